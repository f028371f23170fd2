"""What every optimizer is given, and the small rules that all of them share."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from ConfigSpace import Configuration as Sample
from ConfigSpace import ConfigurationSpace

from greenshift.errors import InputError
from greenshift.objectives import Objective
from greenshift.optimize.protocol import Configuration, Fidelity, Status

Key = tuple[tuple[str, Any], ...]


@dataclass(frozen=True)
class Problem:
    """What is to be optimised.

    Attributes:
        space: Hyperparameters; an optimizer works on its own copy.
        objectives: What is minimised, at least one.
        fidelity: Resource of one evaluation, or None.
        known: Values of the objectives that are known before training, for a configuration; None if
            there are none. Optimizers that cannot use them ignore it.
        seed: Seed of all that is random.
        max_trials: About how many evaluations the study will make, for optimizers that plan ahead.
        warm_start: Configurations that were good elsewhere, to begin with; legal in the space.
        prior: Values believed to be good, of some hyperparameters; legal in the space.
        limits: Upper bound of objectives, and of other quantities that `known` returns.
    """

    space: ConfigurationSpace
    objectives: tuple[Objective, ...]
    fidelity: Fidelity | None = None
    known: Callable[[Configuration], Mapping[str, float]] | None = None
    seed: int = 0
    max_trials: int | None = None
    warm_start: tuple[Configuration, ...] = ()
    prior: Mapping[str, Any] | None = None
    limits: Mapping[str, float] = field(default_factory=dict)


def plain_configuration(values: Mapping[str, Any]) -> Configuration:
    """Return hyperparameters as a dict of plain Python values (ConfigSpace hands out NumPy scalars), by name."""
    return {
        name: value.item() if isinstance(value, np.generic) else value
        for name, value in sorted(values.items(), key=lambda item: item[0])
    }


def configuration_key(configuration: Mapping[str, Any]) -> Key:
    """Return what makes two configurations the same one; `dict` of it is the configuration again."""
    return tuple(plain_configuration(configuration).items())


def objective_values(
    objectives: tuple[Objective, ...], values: Mapping[str, float] | None, status: Status
) -> tuple[float, ...] | None:
    """Return the objectives in order, or None for a failed evaluation.

    An evaluation with a value that is not finite counts as failed: a surrogate cannot learn from it.

    Raises:
        InputError: If a value is missing in an evaluation that did not fail.
    """
    if status == "failed" or values is None:
        return None
    missing = [objective.name for objective in objectives if objective.name not in values]
    if missing:
        raise InputError(f"tell: objective '{missing[0]}' is missing; give it, or tell the evaluation as failed")
    ordered = tuple(float(values[objective.name]) for objective in objectives)
    return ordered if all(math.isfinite(value) for value in ordered) else None


def told_configuration(problem: Problem, trial: int, configuration: Mapping[str, Any] | None) -> Configuration:
    """Return the configuration of a trial that the optimizer did not propose, as plain values.

    Raises:
        InputError: If it is not given or not a legal configuration of the problem's space.
    """
    if configuration is None:
        raise InputError(f"tell: trial {trial} was not proposed here; pass its configuration")
    return legal_configuration(problem.space, configuration, f"tell: trial {trial}")


def legal_configuration(space: ConfigurationSpace, configuration: Mapping[str, Any], what: str) -> Configuration:
    """Return a configuration as plain values.

    Args:
        space: The space it has to be legal in.
        configuration: Values of its active hyperparameters.
        what: What to call it in an error.

    Raises:
        InputError: If it is not a legal configuration of the space.
    """
    try:
        return plain_configuration(Sample(space, values=dict(configuration)))
    except (ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"{what} is no configuration of this space: {reason}") from error


def legal_warm_start(
    space: ConfigurationSpace, configurations: Sequence[Mapping[str, Any]]
) -> tuple[Configuration, ...]:
    """Return configurations as plain values.

    Raises:
        InputError: If one is not a legal configuration of the space.
    """
    return tuple(
        legal_configuration(space, configuration, f"warm_start: number {number}")
        for number, configuration in enumerate(configurations, start=1)
    )


def check_prior(space: ConfigurationSpace, prior: Mapping[str, Any]) -> None:
    """Check that a prior names hyperparameters of a space and legal values of them.

    Raises:
        InputError: If it does not; the message says what is allowed.
    """
    for name, value in prior.items():
        if name not in space:
            raise InputError(f"prior: unknown hyperparameter '{name}'; known: {', '.join(space)}")
        if not space[name].legal_value(value):
            raise InputError(f"prior: {name} cannot be {value!r}; allowed: {space[name]}")
