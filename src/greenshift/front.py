"""The front of a study and its hypervolume: the one place that says which evaluations count, and how.

An evaluation counts if it belongs to the search (baselines are shown beside the front, not on it), ended
`ok`, and was reached at the highest fidelity of the study so far: fidelities are never mixed.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from greenshift.fidelities import resource_of
from greenshift.objectives import Objective
from greenshift.pareto import hypervolume, non_dominated
from greenshift.records import Evaluation

REFERENCE_BASELINE = "float32"
REFERENCE_MARGIN = 1.1


@dataclass(frozen=True)
class CurvePoint:
    """State of a search after one more finished evaluation; costs are sums over the evaluations so far.

    Attributes:
        trials: Finished evaluations of the search.
        seconds: Wall time of all evaluations, baselines included, in s.
        energy_j: Energy of all evaluations, baselines included, in J, or None if one was not measured.
        hypervolume: See `front_hypervolume`.
    """

    trials: int
    seconds: float
    energy_j: float | None
    hypervolume: float


@dataclass(frozen=True)
class Nearest:
    """The configuration that comes closest to satisfying the constraints, and what stands in the way.

    Attributes:
        evaluation: The evaluation, usually an infeasible one that was never trained.
        binding: The constrained objective that is missed by the largest factor.
        value: Its value, in the objective's unit.
        limit: Its bound, in the objective's unit.
    """

    evaluation: Evaluation
    binding: str
    value: float
    limit: float


def reached_fidelity(evaluation: Evaluation) -> float:
    """Return the resource an evaluation was made with, 0 if the study has none."""
    return resource_of(evaluation.fidelity)


def comparable(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Return the `ok` evaluations of the search at the highest fidelity that any of them reached."""
    usable = [e for e in evaluations if e.role == "trial" and e.outcome == "ok"]
    highest = max(map(reached_fidelity, usable), default=0.0)
    return [e for e in usable if reached_fidelity(e) == highest]


def finished_baselines(evaluations: Iterable[Evaluation]) -> list[Evaluation]:
    """Return the baselines that gave their objectives, in the order they ran."""
    return [e for e in evaluations if e.role == "baseline" and e.outcome == "ok"]


def objective_values(evaluation: Evaluation, objectives: Sequence[Objective]) -> tuple[float, ...]:
    """Return an evaluation's objectives in order, in their units."""
    return tuple(evaluation.objectives[objective.name] for objective in objectives)


def front(evaluations: Iterable[Evaluation], objectives: Sequence[Objective]) -> list[Evaluation]:
    """Return the non-dominated evaluations, sorted by the first objective.

    Of several evaluations with equal objectives the earliest is kept. What is worse than an objective's own reference
    is of no use and left out.

    Args:
        evaluations: Any evaluations of one study; those that do not count are left out (see the module).
        objectives: The study's objectives, all minimised.
    """
    distinct: dict[tuple[float, ...], Evaluation] = {}
    for evaluation in comparable(evaluations):
        distinct.setdefault(objective_values(evaluation, objectives), evaluation)
    points = [point for point in distinct if all(map(_counts, point, objectives))]
    if not points:
        return []
    keep = non_dominated(points)
    return [distinct[point] for point in sorted(point for point, kept in zip(points, keep, strict=True) if kept)]


def _counts(value: float, objective: Objective) -> bool:
    return objective.reference is None or value <= objective.reference


def study_reference(
    evaluations: Iterable[Evaluation],
    objectives: Sequence[Objective],
    known: Mapping[str, float] | None = None,
) -> tuple[float, ...]:
    """Return the study's fixed worst corner for the hypervolume, in the objectives' units.

    An objective's own reference counts if it has one (1.0 for `error`). For the others it is 1.1 times
    the float32 baseline's value, which a cost model knows before anything is trained. Only where no
    baseline says anything does it fall back to 1.1 times the worst value seen, which then moves.

    Args:
        evaluations: The study's evaluations, baselines included.
        objectives: The study's objectives.
        known: The float32 baseline's cost (`Store.facts()["float32"]`), for studies without trained baselines.
    """
    seen = [e for e in evaluations if e.outcome == "ok"]
    baseline: dict[str, float] = dict(known or {})
    for evaluation in seen:
        if evaluation.label == REFERENCE_BASELINE:
            baseline.update(evaluation.objectives)

    def corner(objective: Objective) -> float:
        if objective.reference is not None:
            return objective.reference
        if objective.name in baseline:
            return REFERENCE_MARGIN * baseline[objective.name]
        return REFERENCE_MARGIN * max((e.objectives[objective.name] for e in seen), default=1.0)

    return tuple(corner(objective) for objective in objectives)


def front_hypervolume(
    points: Sequence[Sequence[float]], objectives: Sequence[Objective], reference: Sequence[float]
) -> float:
    """Return the hypervolume of points below the reference.

    Objectives whose differences are ratios (`Objective.log`) are measured in decades, so for error and
    energy the figure is the area of error gained times decades of energy saved.

    Args:
        points: Shape (n, m), in the objectives' units.
        objectives: The m objectives.
        reference: The worst corner, in the objectives' units (`study_reference`).
    """
    return hypervolume([_scaled(point, objectives) for point in points], _scaled(reference, objectives))


def hypervolume_curve(
    evaluations: Iterable[Evaluation], objectives: Sequence[Objective], reference: Sequence[float]
) -> list[CurvePoint]:
    """Return hypervolume against cost, one point per finished evaluation of the search.

    The volume is of the evaluations at the highest fidelity of the whole study, so the curve never
    falls and stays at 0 until that fidelity is first reached.

    Args:
        evaluations: The study's evaluations in the order they finished, baselines included.
        objectives: The study's objectives.
        reference: The worst corner (`study_reference`).
    """
    history = list(evaluations)
    counting = {id(e) for e in comparable(history)}
    curve: list[CurvePoint] = []
    points: list[tuple[float, ...]] = []
    volume, seconds = 0.0, 0.0
    energy_j: float | None = 0.0
    for evaluation in history:
        reading = evaluation.reading
        seconds += reading.wall_s
        energy_j = None if energy_j is None or reading.energy_j is None else energy_j + reading.energy_j
        if evaluation.role == "baseline" or evaluation.outcome not in ("ok", "failed"):
            continue
        if id(evaluation) in counting:
            points.append(objective_values(evaluation, objectives))
            points = [point for point, kept in zip(points, non_dominated(points), strict=True) if kept]
            volume = front_hypervolume(points, objectives, reference)
        curve.append(CurvePoint(len(curve) + 1, seconds, energy_j, volume))
    return curve


def nearest(evaluations: Iterable[Evaluation], limits: Mapping[str, float]) -> Nearest | None:
    """Return the evaluation of the search that comes closest to the limits, or None if there is none.

    Closest means the smallest of the largest factors by which a limit is missed.

    Args:
        evaluations: The study's evaluations; those without a cost are left out.
        limits: Upper bound per objective, in the objective's unit.
    """
    best: tuple[float, Nearest] | None = None
    for evaluation in evaluations:
        if evaluation.role == "baseline" or evaluation.cost is None or not limits:
            continue
        cost = evaluation.cost
        binding = max(limits, key=lambda name: cost[name] / limits[name])
        factor = cost[binding] / limits[binding]
        if best is None or factor < best[0]:
            best = factor, Nearest(evaluation, binding, cost[binding], limits[binding])
    return None if best is None else best[1]


def _scaled(values: Sequence[float], objectives: Sequence[Objective]) -> list[float]:
    tiny = 1e-300  # a free network is infinitely many decades better; keep the volume finite
    return [
        math.log10(max(value, tiny)) if objective.log else value
        for value, objective in zip(values, objectives, strict=True)
    ]
