"""Expected hypervolume improvement in closed form, for any mixture of known and uncertain objectives.

The part of the objective space that a front leaves free is cut into boxes. A candidate gains, in each, the product
over the objectives of how far it lies below the box's upper bound, at most down to its lower one. The objectives are
believed to be independent, so the expectation of the product is the product of one-dimensional expectations (Yang,
Emmerich, Deutz and Bäck 2019, "Efficient computation of expected hypervolume improvement using box decomposition
algorithms"). A known objective is one without doubt. It is exact for normal and for log-normal beliefs, and quick
for thousands of candidates.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_ROOT_2PI = np.sqrt(2 * np.pi)


@dataclass(frozen=True)
class Belief:
    """What is believed of one objective of several candidates.

    Attributes:
        mean: Means of normal distributions, shape (n,).
        deviation: Their standard deviations, shape (n,), above 0; None for values that are known.
        log: True if the distributions are of the natural logarithm of the values.
    """

    mean: Vector
    deviation: Vector | None = None
    log: bool = False

    def shortfall(self, levels: Vector) -> Matrix:
        """Return E[max(0, level - value)] for every candidate and level, shape (n, levels)."""
        mean = self.mean[:, None]
        if self.deviation is None:
            return np.maximum(levels - mean, 0.0)
        deviation = self.deviation[:, None]
        if not self.log:
            z = (levels - mean) / deviation
            return np.asarray(deviation * (z * ndtr(z) + np.exp(-z * z / 2) / _ROOT_2PI))
        positive = np.maximum(levels, np.finfo(float).tiny)
        z = (np.log(positive) - mean) / deviation
        below = positive * ndtr(z) - np.exp(mean + deviation**2 / 2 + log_ndtr(z - deviation))
        return np.asarray(np.where(levels > 0, np.maximum(below, 0.0), 0.0))


def expected_improvement(front: Matrix, reference: Vector, beliefs: Sequence[Belief]) -> Vector:
    """Return the expected gain in hypervolume of each candidate.

    Args:
        front: Points that there are, shape (points, objectives), minimised; dominated ones do no harm.
        reference: Worst corner, shape (objectives,).
        beliefs: One for each objective, all about the same candidates.

    Returns:
        Shape (candidates,), in the unit of the hypervolume.
    """
    lower, upper = free_boxes(front, reference)
    expected = np.ones((len(beliefs[0].mean), len(lower)))
    for column, belief in enumerate(beliefs):
        levels, index = np.unique(np.concatenate([lower[:, column], upper[:, column]]), return_inverse=True)
        finite = np.isfinite(levels)
        shortfalls = np.zeros((len(expected), len(levels)))
        shortfalls[:, finite] = belief.shortfall(levels[finite])
        low, high = index[: len(lower)], index[len(lower) :]
        expected *= np.maximum(shortfalls[:, high] - shortfalls[:, low], 0.0)
    return np.asarray(expected.sum(1))


def free_boxes(front: Matrix, reference: Vector) -> tuple[Matrix, Matrix]:
    """Return lower and upper corners, each (boxes, objectives), of what the front leaves free below the reference."""
    inside = front[(front < reference).all(1)]
    if not len(inside):
        return np.full((1, len(reference)), -np.inf), reference[None]
    # A grid through all points in every objective but the first. Of each of its columns, what lies below the least
    # first objective of the points that reach it is free.
    edges = [np.concatenate([[-np.inf], np.unique(inside[:, k]), [reference[k]]]) for k in range(1, len(reference))]
    lower = _corners([edge[:-1] for edge in edges])
    upper = _corners([edge[1:] for edge in edges])
    reached = (inside[None, :, 1:] <= lower[:, None, :]).all(-1)
    level = np.where(reached, inside[:, 0], reference[0]).min(1)
    return np.column_stack([np.full(len(level), -np.inf), lower]), np.column_stack([level, upper])


def _corners(axes: Sequence[Vector]) -> Matrix:
    """Return every combination of one value from each axis, shape (combinations, axes); one empty one of no axes."""
    return np.stack(np.meshgrid(*axes, indexing="ij"), -1).reshape(-1, len(axes)) if axes else np.zeros((1, 0))
