"""What an evaluation will cost: a ridge regression on the logarithm of the cost per unit of fidelity.

Simple models of low variance predict training times well (Guinet, Perrone and Archambeau 2020, arXiv 2011.11456):
time goes with the work of a step, which known objectives such as energy stand for, and with the number of steps.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_PENALTY = 1e-2
_PENALTY_SHARE = 1e-3


@dataclass(frozen=True)
class Expense:
    """One evaluation and what it cost.

    Attributes:
        features: What the cost may depend on, shape (columns,).
        start: Fidelity that the trial had reached before, 0 if none.
        end: Fidelity that it reached, above `start`.
        cost_s: What the evaluation cost in s, above 0.
    """

    features: Vector
    start: float
    end: float
    cost_s: float


@dataclass(frozen=True)
class CostModel:
    """Predicts what evaluations cost.

    Attributes:
        weights: Of the features, and a constant; shape (columns + 1,).
        resumes: True if a trial that goes on pays for the difference only, False if it starts again.
    """

    weights: Vector
    resumes: bool

    def predict_s(self, features: Matrix, start: Vector, end: float) -> Vector:
        """Return the predicted cost in s of going from one fidelity to another.

        Args:
            features: Shape (n, columns).
            start: Fidelity reached so far, shape (n,), 0 for none.
            end: Fidelity to reach.
        """
        rate = np.exp(features @ self.weights[:-1] + self.weights[-1])
        return np.asarray(rate * (end - start if self.resumes else end))


def fit_costs(expenses: Sequence[Expense], columns: int) -> CostModel:
    """Fit the model to what is known.

    Whether a trial that goes on resumes its checkpoint or starts again is taken from the evaluations: whichever
    explains their costs better.

    Args:
        expenses: May be empty; then every unit of fidelity costs one second.
        columns: Number of features.
    """
    if not expenses:
        return CostModel(np.zeros(columns + 1), resumes=True)
    (resumed, error), (restarted, other_error) = (_fit(expenses, resumes) for resumes in (True, False))
    return CostModel(resumed, True) if error <= other_error else CostModel(restarted, False)


def _fit(expenses: Sequence[Expense], resumes: bool) -> tuple[Vector, float]:
    """Return the weights and the sum of squared errors of the logarithm."""
    units = np.array([e.end - e.start if resumes else e.end for e in expenses])
    targets = np.log([e.cost_s for e in expenses]) - np.log(units)
    inputs = np.hstack([np.array([e.features for e in expenses]), np.ones((len(expenses), 1))])
    penalty = np.full(inputs.shape[1], _PENALTY + _PENALTY_SHARE * len(expenses))
    penalty[-1] = 1e-9
    middle = targets.mean()
    weights = np.linalg.solve(inputs.T @ inputs + np.diag(penalty), inputs.T @ (targets - middle))
    weights[-1] += middle
    return weights, float(((targets - inputs @ weights) ** 2).sum())
