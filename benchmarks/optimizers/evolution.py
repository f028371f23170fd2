"""The large search behind a best-known front: NSGA-II with many cheap evaluations."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

POPULATION, GENERATIONS = 200, 500


def evolve(
    evaluate: Callable[[NDArray[np.float64]], NDArray[np.float64]],
    dimensions: int,
    *,
    seed: int,
) -> NDArray[np.float64]:
    """Return the objectives of the best points of pymoo's NSGA-II after 100,000 evaluations.

    Args:
        evaluate: Objectives, shape (n, m), of points in the unit cube, shape (n, dimensions).
        dimensions: Number of variables.
        seed: Seed of the search.
    """
    from pymoo.algorithms.moo.nsga2 import NSGA2
    from pymoo.core.problem import Problem
    from pymoo.optimize import minimize

    class Cube(Problem):
        def __init__(self) -> None:
            count = evaluate(np.full((1, dimensions), 0.5)).shape[1]
            super().__init__(n_var=dimensions, n_obj=count, xl=np.zeros(dimensions), xu=np.ones(dimensions))

        def _evaluate(self, x: NDArray[np.float64], out: dict[str, object], *_: object, **__: object) -> None:
            out["F"] = evaluate(x)

    result = minimize(Cube(), NSGA2(pop_size=POPULATION), ("n_gen", GENERATIONS), seed=seed)
    return np.atleast_2d(np.asarray(result.F, dtype=float))
