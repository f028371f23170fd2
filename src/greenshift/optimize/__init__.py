"""Optimizers behind one protocol: asked for proposals, told results.

`make_optimizer` imports an optimizer's library only when that optimizer is asked for.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from ConfigSpace import ConfigurationSpace

from greenshift.errors import InputError
from greenshift.objectives import Objective
from greenshift.optimize.fidelity import make_fidelity
from greenshift.optimize.problem import Problem, check_prior, legal_warm_start
from greenshift.optimize.protocol import Configuration, Fidelity, Optimizer, Proposal, Status

__all__ = [
    "Configuration",
    "Fidelity",
    "Optimizer",
    "Problem",
    "Proposal",
    "Status",
    "make_fidelity",
    "make_optimizer",
    "optimizer_names",
]


def make_optimizer(
    name: str,
    *,
    space: ConfigurationSpace,
    objectives: Sequence[Objective],
    fidelity: Fidelity | None = None,
    known: Callable[[Configuration], Mapping[str, float]] | None = None,
    seed: int = 0,
    max_trials: int | None = None,
    warm_start: Sequence[Mapping[str, Any]] = (),
    prior: Mapping[str, Any] | None = None,
    limits: Mapping[str, float] | None = None,
) -> Optimizer:
    """Return an optimizer by name.

    Args:
        name: `freezethaw`, ours; `random`, `smac` for the paper's ParEGO with Hyperband, `hyperband` for random
            configurations in the same brackets, `nsga2` for evolution at full fidelity, or `lahc` for late acceptance
            hill climbing on the first objective.
        space: Hyperparameters to search; it is copied, never changed.
        objectives: What is minimised.
        fidelity: Resource of one evaluation, or None.
        known: Values of the objectives that are known before training, and of limited quantities, for
            optimizers that use them (`freezethaw` does).
        seed: Seed; the same seed, problem and results give the same proposals.
        max_trials: About how many evaluations the study will make, a plan and no limit.
        warm_start: Configurations that were good elsewhere; each is proposed early on, once.
        prior: Values believed to be good, of some hyperparameters, for optimizers that use them.
        limits: Upper bounds of objectives and of what else `known` returns, for optimizers that use them (likewise).

    Raises:
        InputError: If the name is unknown, no objective is given, `max_trials` is below 1, the
            seed is out of range, a configuration or value is not legal in the space, the optimizer
            cannot use a prior, or its library is not installed.
    """
    _check(name, objectives, max_trials, seed)
    if prior:
        check_prior(space, prior)
        if name not in _USE_PRIORS:
            raise InputError(f"prior: optimizer '{name}' cannot use it; choose {' or '.join(_USE_PRIORS)}")
    first = legal_warm_start(space, warm_start)
    return _BUILDERS[name](
        Problem(space, tuple(objectives), fidelity, known, seed, max_trials, first, prior, dict(limits or {}))
    )


def _check(name: str, objectives: Sequence[Objective], max_trials: int | None, seed: int) -> None:
    if name not in _BUILDERS:
        raise InputError(f"optimizer: unknown optimizer '{name}'; known: {', '.join(_BUILDERS)}")
    if not objectives:
        raise InputError("optimizer: at least one objective is needed")
    if max_trials is not None and max_trials < 1:
        raise InputError(f"optimizer: max_trials must be at least 1, not {max_trials}")
    if not 0 <= seed < 2**32:
        raise InputError(f"optimizer: seed must be from 0 to {2**32 - 1}, not {seed}")


def optimizer_names() -> tuple[str, ...]:
    """Names that `make_optimizer` knows."""
    return tuple(_BUILDERS)


def _make_freezethaw(problem: Problem) -> Optimizer:
    from greenshift.optimize.freezethaw import FreezeThawOptimizer

    return FreezeThawOptimizer(problem)


def _make_random(problem: Problem) -> Optimizer:
    from greenshift.optimize.random import RandomOptimizer

    return RandomOptimizer(problem)


def _make_smac(problem: Problem) -> Optimizer:
    try:
        import smac  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError("optimizer: 'smac' is not installed; run pip install 'greenshift[smac]'") from error
    from greenshift.optimize.smac import SmacOptimizer

    return SmacOptimizer(problem)


def _make_hyperband(problem: Problem) -> Optimizer:
    from greenshift.optimize.hyperband import HyperbandOptimizer

    return HyperbandOptimizer(problem)


def _make_nsga2(problem: Problem) -> Optimizer:
    try:
        import pymoo  # noqa: F401
    except ModuleNotFoundError as error:
        raise InputError("optimizer: 'nsga2' needs pymoo; run pip install 'greenshift[nsga2]'") from error
    from greenshift.optimize.nsga2 import Nsga2Optimizer

    return Nsga2Optimizer(problem)


def _make_lahc(problem: Problem) -> Optimizer:
    from greenshift.optimize.lahc import LahcOptimizer

    return LahcOptimizer(problem)


_USE_PRIORS = ("freezethaw",)

_BUILDERS: dict[str, Callable[[Problem], Optimizer]] = {
    "freezethaw": _make_freezethaw,
    "random": _make_random,
    "smac": _make_smac,
    "hyperband": _make_hyperband,
    "nsga2": _make_nsga2,
    "lahc": _make_lahc,
}
