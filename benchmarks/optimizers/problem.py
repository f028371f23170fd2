"""What a benchmark problem is, and the hypervolume that every optimizer is judged by."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from ConfigSpace import ConfigurationSpace
from numpy.typing import NDArray

from greenshift.objectives import Objective
from greenshift.optimize import Configuration, Fidelity
from greenshift.pareto import hypervolume, non_dominated

Evaluate = Callable[[Configuration, float | None], Mapping[str, float]]
Cost = Callable[[Configuration, float | None], float]
Known = Callable[[Configuration], Mapping[str, float]]
Best = Callable[[int], NDArray[np.float64]]


@dataclass(frozen=True)
class BenchmarkProblem:
    """A problem whose evaluations take no time here but have a known cost.

    Attributes:
        name: Name in the registry and in every record.
        space: Hyperparameters.
        objectives: What is minimised; the reference of each is the worst value that counts, and one with
            `log` is scaled by its logarithm in the hypervolume.
        ideal: A value of each objective that nothing undercuts; it only sets the hypervolume's unit.
        fidelity: Resource of an evaluation, or None.
        known: Objectives known before an evaluation, or None.
        evaluate: Objectives of a configuration at a fidelity; None is the full one.
        cost_s: Seconds from nothing to a fidelity; None is the full one.
        full_cost_s: Seconds of one full evaluation, the unit of every reported cost.
        best_front: Objectives, in order, of the non-dominated points of a large search with a seed.
        exact: True if `best_front` is the whole truth, whatever the seed.
    """

    name: str
    space: ConfigurationSpace
    objectives: tuple[Objective, ...]
    ideal: tuple[float, ...]
    fidelity: Fidelity | None
    known: Known | None
    evaluate: Evaluate
    cost_s: Cost
    full_cost_s: float
    best_front: Best
    exact: bool = False

    def counts(self, fidelity: float | None) -> bool:
        """Whether an evaluation at a fidelity may stand on the front."""
        return self.fidelity is None or self.fidelity.partial or fidelity in (None, self.fidelity.maximum)


def scaled(problem: BenchmarkProblem, points: NDArray[np.float64]) -> NDArray[np.float64]:
    """Scale objectives, in order along the last axis, so that the ideal is 0 and the reference 1."""
    columns = []
    for index, (objective, ideal) in enumerate(zip(problem.objectives, problem.ideal, strict=True)):
        values = points[..., index]
        reference = objective.reference
        assert reference is not None, f"{problem.name}: objective {objective.name} needs a reference"
        if objective.log:
            columns.append((np.log(values) - math.log(ideal)) / (math.log(reference) - math.log(ideal)))
        else:
            columns.append((values - ideal) / (reference - ideal))
    return np.stack(columns, axis=-1)


@dataclass
class Front:
    """The non-dominated points of a run, and the hypervolume they span.

    Attributes:
        problem: Where the points come from.
        hypervolume: Share of the box between the ideal and the reference that is dominated.
        points: Scaled objectives of the front.
    """

    problem: BenchmarkProblem
    hypervolume: float = 0.0
    points: list[NDArray[np.float64]] = field(default_factory=list)

    def add(self, objectives: Mapping[str, float]) -> bool:
        """Add one point; return whether the hypervolume grew."""
        values = np.array([objectives[objective.name] for objective in self.problem.objectives], dtype=float)
        point = scaled(self.problem, values)
        if not (point < 1).all() or any((held <= point).all() for held in self.points):
            return False
        stacked = np.array([*self.points, point])
        self.points = list(stacked[non_dominated(stacked)])
        self.hypervolume = hypervolume(self.points, [1.0] * len(point))
        return True


def front_volume(problem: BenchmarkProblem, points: NDArray[np.float64]) -> float:
    """Hypervolume of objectives, in order, in the same unit as `Front.hypervolume`."""
    return hypervolume(scaled(problem, points), [1.0] * len(problem.objectives))
