"""Which of several points go on: whole fronts first, the widest-spread points of the front that is cut."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from greenshift.pareto import non_dominated


def best(points: Sequence[Sequence[float]], count: int) -> list[int]:
    """Return the indices of `count` points, best first.

    Points are sorted into fronts (Deb et al., "NSGA-II", IEEE TEC 2002, section III-A) and whole fronts are
    taken; where one does not fit, its points of the largest crowding distance are (section III-B). Of equal
    ones the earlier is taken.

    Args:
        points: Shape (n, m), every column minimised and finite.
        count: How many to take; all if there are fewer.
    """
    values = np.asarray(points, dtype=float)
    left = np.arange(len(values))
    taken: list[int] = []
    while len(taken) < count and len(left):
        mask = non_dominated(values[left])
        front = left[mask]
        order = np.argsort(-crowding_distances(values[front]), kind="stable")
        taken.extend(front[order].tolist())
        left = left[~mask]
    return taken[:count]


def crowding_distances(front: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return how far each point's neighbours lie apart, summed over objectives scaled to their range.

    The extremes of an objective that differs at all are infinitely far from their neighbours.

    Args:
        front: Shape (n, m).
    """
    distances = np.zeros(len(front))
    for column in front.T:
        order = np.argsort(column, kind="stable")
        spread = column[order[-1]] - column[order[0]]
        if spread > 0:
            distances[order[1:-1]] += (column[order[2:]] - column[order[:-2]]) / spread
            distances[order[[0, -1]]] = np.inf
    return distances
