"""Test functions of BoTorch and pymoo, which need no data files."""

import functools
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace, Float
from numpy.typing import NDArray

from greenshift.errors import InputError
from greenshift.objectives import Objective
from greenshift.optimize import Configuration, Fidelity

from .evolution import evolve
from .problem import BenchmarkProblem

_RESOLUTION = 27
# An assumption, about 100 between the cheapest and the full evaluation.
_COST_EXPONENT = 4.8
_ZDT_DIMENSIONS, _DTLZ_DIMENSIONS = 6, 7

Function = Callable[[NDArray[np.float64]], NDArray[np.float64]]


def make_momf(name: str) -> BenchmarkProblem:
    """Return BoTorch's `branincurrin` or `park` with a fidelity (Irshad, Karsch and Döpp, arXiv 2112.13901).

    The fidelity is a resolution from 1 to 27, a twenty-seventh of the function's own each. A value at a lower one
    is an approximation and no result. Seconds grow as e^(4.8 s) over the function's own fidelity s.

    Raises:
        InputError: If the name is unknown or BoTorch is missing.
    """
    try:
        import torch
        from botorch.test_functions.multi_objective_multi_fidelity import MOMFBraninCurrin, MOMFPark
    except ModuleNotFoundError as error:
        raise InputError("problem: momf needs BoTorch; run pip install 'greenshift[bench]'") from error
    if name not in ("branincurrin", "park"):
        raise InputError(f"problem: unknown problem 'momf-{name}'; known: momf-branincurrin, momf-park")
    function = MOMFBraninCurrin() if name == "branincurrin" else MOMFPark()

    def values(points: NDArray[np.float64]) -> NDArray[np.float64]:
        result: NDArray[np.float64] = function(torch.from_numpy(points)).numpy()
        return result

    def cost_s(_: Configuration, resolution: float | None) -> float:
        return math.exp(_COST_EXPONENT * (_share(resolution) - 1))

    def full(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return values(np.column_stack([points, np.ones(len(points))]))

    return _cube_problem(
        f"momf-{name}",
        lambda row, resolution: values(np.array([[*row, _share(resolution)]]))[0],
        Cube(function.dim - 1, (0.0, 0.0), (-1.0, -1.0)),
        functools.partial(_search, full, function.dim - 1),
        (Fidelity("resolution", 1, _RESOLUTION, 3, partial=False), cost_s),
    )


def make_pymoo(name: str) -> BenchmarkProblem:
    """Return `zdt1`, `zdt2`, `zdt3` (6 variables) or `dtlz2` (7 variables, 3 objectives), without a fidelity.

    The references lie a tenth beyond the front's worst values.

    Raises:
        InputError: If the name is unknown or pymoo is missing.
    """
    try:
        from pymoo.problems import get_problem
    except ModuleNotFoundError as error:
        raise InputError("problem: zdt and dtlz need pymoo; run pip install 'greenshift[bench]'") from error
    known = {f"zdt{i}": {"n_var": _ZDT_DIMENSIONS} for i in (1, 2, 3)}
    known["dtlz2"] = {"n_var": _DTLZ_DIMENSIONS, "n_obj": 3}
    if name not in known:
        raise InputError(f"problem: unknown problem 'pymoo-{name}'; known: {', '.join(f'pymoo-{n}' for n in known)}")
    function = get_problem(name, **known[name])
    front: NDArray[np.float64] = np.asarray(function.pareto_front(), dtype=float)
    ideal, worst = front.min(axis=0), front.max(axis=0)

    def values(points: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(function.evaluate(points, return_values_of=["F"]), dtype=float)

    return _cube_problem(
        f"pymoo-{name}",
        lambda row, _: values(np.array([row]))[0],
        Cube(function.n_var, tuple((worst + 0.1 * (worst - ideal)).tolist()), tuple(ideal.tolist())),
        lambda seed: np.concatenate([front, _search(values, function.n_var, seed)]),
        None,
    )


class Cube:
    """A unit cube of variables, and the box of objectives that counts."""

    def __init__(self, dimensions: int, references: tuple[float, ...], ideal: tuple[float, ...]) -> None:
        """Name the variables x0, x1, ... and the objectives f0, f1, ..."""
        self.names = [f"x{i}" for i in range(dimensions)]
        self.objectives = tuple(Objective(f"f{i}", "", reference) for i, reference in enumerate(references))
        self.ideal = ideal

    def space(self) -> ConfigurationSpace:
        """The variables as hyperparameters."""
        space = ConfigurationSpace()
        space.add(*(Float(name, (0.0, 1.0)) for name in self.names))
        return space


def _cube_problem(
    name: str,
    at: Callable[[list[float], float | None], NDArray[np.float64]],
    cube: Cube,
    best_front: Callable[[int], NDArray[np.float64]],
    fidelity: tuple[Fidelity, Callable[[Configuration, float | None], float]] | None,
) -> BenchmarkProblem:
    def evaluate(configuration: Configuration, reached: float | None) -> dict[str, float]:
        found = at([configuration[variable] for variable in cube.names], reached)
        return {objective.name: float(value) for objective, value in zip(cube.objectives, found, strict=True)}

    def one_second(*_: Any) -> float:
        return 1.0

    return BenchmarkProblem(
        name=name,
        space=cube.space(),
        objectives=cube.objectives,
        ideal=cube.ideal,
        fidelity=None if fidelity is None else fidelity[0],
        known=None,
        evaluate=evaluate,
        cost_s=one_second if fidelity is None else fidelity[1],
        full_cost_s=1.0,
        best_front=best_front,
    )


def _share(resolution: float | None) -> float:
    return 1.0 if resolution is None else resolution / _RESOLUTION


def _search(function: Function, dimensions: int, seed: int) -> NDArray[np.float64]:
    return evolve(function, dimensions, seed=seed)
