"""What every optimizer is given, and the small rules that all of them share."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
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
    """

    space: ConfigurationSpace
    objectives: tuple[Objective, ...]
    fidelity: Fidelity | None = None
    known: Callable[[Configuration], Mapping[str, float]] | None = None
    seed: int = 0
    max_trials: int | None = None


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
    try:
        return plain_configuration(Sample(problem.space, values=dict(configuration)))
    except (ValueError, KeyError) as error:
        reason = " ".join(str(error).split())
        raise InputError(f"tell: trial {trial} is no configuration of this space: {reason}") from error
