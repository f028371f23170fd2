"""Which objectives an evaluation has to reveal, which are known before, and the scale in which both are compared."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from greenshift.errors import InputError
from greenshift.objectives import Objective
from greenshift.optimize.problem import Problem
from greenshift.optimize.protocol import Configuration

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_TINY = 1e-300


@dataclass(frozen=True)
class Quantities:
    """The objectives and limited quantities of a problem.

    Attributes:
        problem: Gives objectives, what is known and the limits.
        uncertain: Places of the objectives that an evaluation has to reveal, at least one.
        known: Names of everything that is known beforehand: objectives first, then what is only limited.
    """

    problem: Problem
    uncertain: tuple[int, ...]
    known: tuple[str, ...]

    @classmethod
    def of(cls, problem: Problem) -> "Quantities":
        """Sort the quantities of a problem.

        If everything is known there is still a search to make: the first objective then counts as uncertain.

        Raises:
            InputError: If a limited quantity is neither an objective nor known beforehand.
        """
        objectives = problem.objectives
        beforehand = [i for i, o in enumerate(objectives) if o.known and problem.known is not None]
        if len(beforehand) == len(objectives):
            beforehand = beforehand[1:]
        names = [objective.name for objective in objectives]
        others = [name for name in problem.limits if name not in names]
        if others and problem.known is None:
            raise InputError(f"limits: '{others[0]}' is neither an objective nor known before an evaluation")
        uncertain = tuple(i for i in range(len(objectives)) if i not in beforehand)
        return cls(problem, uncertain, (*(names[i] for i in beforehand), *others))

    def known_values(self, configuration: Configuration) -> Sequence[float]:
        """Return what is known of a configuration, in the order of `known`."""
        if not self.known or self.problem.known is None:
            return ()
        values = self.problem.known(configuration)
        return [float(values[name]) for name in self.known]

    def scaled(self, place: int, values: Matrix | Vector) -> Vector:
        """Return values of an objective in the scale of the hypervolume: the decadic logarithm if it is `log`."""
        if not self.problem.objectives[place].log:
            return np.asarray(values, dtype=float)
        return np.asarray(np.log10(np.maximum(values, _TINY)))

    def reference(self, seen: Matrix) -> Vector:
        """Return the worst corner: the objectives' references, or the worst seen where they have none.

        Args:
            seen: Scaled objectives, shape (n, objectives), n >= 1; NaN where nothing is known.
        """

        def worst(place: int, objective: Objective) -> float:
            if objective.reference is not None:
                return float(self.scaled(place, np.array([objective.reference]))[0])
            column = seen[np.isfinite(seen[:, place]), place]
            return float(column.max() + 0.1 * np.ptp(column)) if len(column) else math.inf

        return np.array([worst(place, objective) for place, objective in enumerate(self.problem.objectives)])

    def feasible(self, known: Matrix) -> NDArray[np.bool_]:
        """Return which candidates keep every limit on what is known, shape (n,).

        Args:
            known: Shape (n, len(self.known)).
        """
        bounds = np.array([self.problem.limits.get(name, math.inf) for name in self.known])
        return np.asarray((known <= bounds).all(axis=1))
