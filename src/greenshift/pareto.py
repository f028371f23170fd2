"""Pareto arithmetic for objectives that are all minimised. Pure NumPy; imports nothing above it."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike, NDArray


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Mark the points that no other point dominates.

    Args:
        points: Array of shape (n, m), every column minimised. Equal points do not dominate each other.

    Returns:
        Boolean array of shape (n,).
    """
    values = np.atleast_2d(np.asarray(points, dtype=float))
    if values.size == 0:
        return np.zeros(0, dtype=bool)
    no_worse = (values[:, None, :] <= values[None, :, :]).all(-1)
    better = (values[:, None, :] < values[None, :, :]).any(-1)
    free: NDArray[np.bool_] = ~np.any(no_worse & better, axis=0)
    return free


def hypervolume(points: ArrayLike, reference: Sequence[float]) -> float:
    """Volume that the points dominate inside the box below `reference`.

    Exact for any number of objectives by slicing along the last one; quick for the two or three
    objectives and the few hundred points of a study.

    Args:
        points: Array of shape (n, m), every column minimised.
        reference: The worst corner, length m. Points at or beyond it add nothing.

    Returns:
        The dominated volume, in the product of the objectives' units.
    """
    corner = np.asarray(reference, dtype=float)
    values = np.asarray(points, dtype=float).reshape(-1, len(corner))
    values = values[(values < corner).all(1)]
    if len(values) == 0:
        return 0.0
    values = values[non_dominated(values)]
    if len(corner) == 1:
        return float(corner[0] - values.min())
    values = values[np.argsort(values[:, -1], kind="stable")]
    edges = np.append(values[:, -1], corner[-1])
    return float(
        sum(
            (edges[i + 1] - edges[i]) * hypervolume(values[: i + 1, :-1], corner[:-1].tolist())
            for i in range(len(values))
            if edges[i + 1] > edges[i]
        )
    )


def knee(points: ArrayLike) -> int:
    """Index of the front point farthest below the line between the front's ends.

    Each objective is scaled to 0..1 over the given points; with more than two objectives the point
    nearest to the ideal corner is taken.

    Args:
        points: Array of shape (n, m) with n >= 1, a non-dominated set, every column minimised.

    Raises:
        ValueError: If there are no points.
    """
    values = np.asarray(points, dtype=float)
    if values.size == 0:
        raise ValueError("the knee of an empty front does not exist")
    spread = np.ptp(values, axis=0)
    scaled = (values - values.min(0)) / np.where(spread > 0, spread, 1.0)
    if values.shape[1] == 2:
        return int(np.argmin(scaled.sum(1)))
    return int(np.argmin(np.linalg.norm(scaled, axis=1)))
