"""SMAC3's parts, put together the way the paper uses them, with what makes them repeatable."""

import logging
import math
from pathlib import Path

from ConfigSpace import Configuration, ConfigurationSpace
from smac import HyperparameterOptimizationFacade, MultiFidelityFacade, Scenario
from smac.acquisition.maximizer.local_search import LocalSearch
from smac.facade.abstract_facade import AbstractFacade
from smac.initial_design import RandomInitialDesign
from smac.model.random_forest.random_forest import RandomForest
from smac.multi_objective.parego import ParEGO

from greenshift.optimize.problem import Problem

_PLANNED_TRIALS = 200
_INITIAL_CONFIGURATIONS = 25


class _OrderedLocalSearch(LocalSearch):
    """SMAC's local search with starting points in an order that does not depend on Python's hash seed."""

    def _get_init_points_from_previous_configs(
        self,
        previous_configs: list[Configuration],
        n_points: int,
        additional_start_points: list[tuple[float, Configuration]] | None,
    ) -> list[Configuration]:
        points = super()._get_init_points_from_previous_configs(previous_configs, n_points, additional_start_points)
        return sorted(points, key=lambda point: bytes(point.get_array().tobytes()))


def make_facade(problem: Problem, space: ConfigurationSpace, folder: Path) -> AbstractFacade:
    """Return SMAC for a problem, ready to be asked.

    Args:
        problem: What is to be optimised.
        space: A copy of the problem's space that SMAC may seed and sample from.
        folder: Where SMAC may write.
    """
    _silence()
    initial = _initial_configurations(problem, len(space))
    fidelity = problem.fidelity
    several = len(problem.objectives) > 1
    scenario = Scenario(
        space,
        output_directory=folder,
        deterministic=True,
        objectives=[objective.name for objective in problem.objectives] if several else "cost",
        # SMAC asks nothing else of n_trials when it is driven by ask and tell than room for the initial design.
        n_trials=max(problem.max_trials or _PLANNED_TRIALS, initial + 1 + len(problem.warm_start)),
        use_default_config=True,
        # A hair below the minimum, because floor(log(243) / log(3)) is 4 in floating point.
        min_budget=None if fidelity is None else fidelity.minimum * (1 - 1e-9),
        max_budget=None if fidelity is None else fidelity.maximum,
        seed=problem.seed,
    )
    facade = HyperparameterOptimizationFacade if fidelity is None else MultiFidelityFacade
    maximizer = facade.get_acquisition_maximizer(scenario)
    maximizer._local_search = _OrderedLocalSearch(configspace=space, seed=problem.seed)
    return facade(
        scenario,
        None,
        model=_make_forest(problem, space),
        acquisition_maximizer=maximizer,
        initial_design=RandomInitialDesign(
            scenario,
            n_configs=initial,
            max_ratio=1.0,
            additional_configs=[Configuration(space, values=values) for values in problem.warm_start],
        ),
        intensifier=(
            HyperparameterOptimizationFacade.get_intensifier(scenario, max_config_calls=1)
            if fidelity is None
            else MultiFidelityFacade.get_intensifier(scenario, eta=fidelity.eta, incumbent_selection="highest_budget")
        ),
        multi_objective_algorithm=ParEGO(scenario) if several else None,
        logging_level=False,
        overwrite=True,
    )


class CostScale:
    """Brings objectives to a size that SMAC does not take for zero, and prices failures.

    Each objective is multiplied by the power of two that brings its first non-zero value into [0.5, 1);
    this changes no digit of it. A failure costs the worst value seen in every objective.
    """

    def __init__(self, count: int) -> None:
        """Start with nothing seen of `count` objectives."""
        self._scales: list[float | None] = [None] * count
        self._worst: list[float] = [1.0] * count
        self._empty = True

    def scale(self, values: tuple[float, ...]) -> list[float]:
        """Return the scaled values and remember the worst ones."""
        for index, value in enumerate(values):
            if self._scales[index] is None and value != 0:
                self._scales[index] = math.ldexp(1.0, -math.frexp(value)[1])
        scaled = [value * (scale or 1.0) for value, scale in zip(values, self._scales, strict=True)]
        self._worst = scaled if self._empty else [max(pair) for pair in zip(scaled, self._worst, strict=True)]
        self._empty = False
        return scaled

    def worst(self) -> list[float]:
        """Return the worst scaled value of each objective, 1 before there is any."""
        return list(self._worst)


def _make_forest(problem: Problem, space: ConfigurationSpace) -> RandomForest:
    """Return the forest of SMAC's facade, the same trees in a fraction of the time.

    SMAC allows 2^20 leaves, and scikit-learn allocates for all of them before it grows a tree: over 100 MB for
    each of ten trees, mostly page faults. A tree has no more leaves than there are evaluations, so fewer do.
    One thread, because ten small trees are done before a pool has started, and training needs the cores.
    """
    return RandomForest(
        configspace=space,
        log_y=True,
        n_trees=10,
        ratio_features=1.0,
        min_samples_split=2,
        min_samples_leaf=1,
        max_leaf_nodes=2**14,
        bootstrapping=True,
        n_jobs=1,
        seed=problem.seed,
    )


def _initial_configurations(problem: Problem, hyperparameters: int) -> int:
    planned = problem.max_trials or _PLANNED_TRIALS
    return max(1, min(_INITIAL_CONFIGURATIONS, 10 * hyperparameters, planned // 4))


def _silence() -> None:
    """Keep SMAC's own log off the screen; the study reports what is worth telling."""
    logger = logging.getLogger("smac")
    logger.setLevel(logging.CRITICAL)
    if not logger.handlers:
        logger.addHandler(logging.NullHandler())
