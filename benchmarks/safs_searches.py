"""The searches of `safs.py`: functions for every module or stage of a network, settings of its training, or both."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float

from greenshift.activations import ACTIVATIONS

Values = dict[str, Any]


@dataclass(frozen=True)
class Search:
    """What an optimizer searches, and for how long.

    Attributes:
        name: What its lines in the output go by.
        optimizer: Name of the optimizer.
        space: What can be chosen.
        steps: Number of evaluations.
        starts: Configurations that are evaluated first.
        fixed: Values that belong to every configuration.
    """

    name: str
    optimizer: str
    space: ConfigurationSpace
    steps: int
    starts: tuple[Values, ...]
    fixed: Values = field(default_factory=dict)


def first_stage(modules: Iterable[str], steps: int) -> Search:
    """SAFS's first stage: functions with fixed scales, one gene for each module, from ReLU everywhere."""
    space = _functions(modules)
    return Search("stage1", "lahc", space, steps, (_default(space),))


def second_stage(name: str, functions: Values, lr: float, steps: int) -> Search:
    """SAFS's second stage: the functions' scales are trained, and the settings of the training are drawn."""
    space = _add_settings(ConfigurationSpace(), lr)
    return Search(name, "random", space, steps, (_default(space),), {**functions, "scales": "trained"})


def joint_search(name: str, optimizer: str, places: Iterable[str], lr: float, steps: int) -> Search:
    """Functions, whether their scales are trained, and settings in one space, from ReLU everywhere."""
    space = _add_settings(_functions(places), lr)
    space.add(Categorical("scales", ["fixed", "trained"], default="fixed"))
    return Search(name, optimizer, space, steps, (_default(space),))


def one_function_everywhere(space: ConfigurationSpace) -> tuple[Values, ...]:
    """Return the default configuration with every function in all places, ReLU first."""
    places = [name for name in _default(space) if name.startswith("act ")]
    return tuple({**_default(space), **dict.fromkeys(places, function)} for function in ACTIVATIONS)


def _default(space: ConfigurationSpace) -> Values:
    return dict(space.get_default_configuration())


def _functions(places: Iterable[str]) -> ConfigurationSpace:
    """One gene for each place, `act PLACE`."""
    space = ConfigurationSpace()
    space.add(*(Categorical(f"act {place}", ACTIVATIONS, default="relu") for place in places))
    return space


def _add_settings(space: ConfigurationSpace, lr: float) -> ConfigurationSpace:
    """Settings in the ranges of SAFS's code, with the optimizers that are there."""
    optimizer = Categorical("optimizer", ["SGD", "Adam", "RAdam", "Ranger"], default="SGD")
    momentum = Float("momentum", (0.1, 0.999), default=0.9)
    schedule = Categorical("schedule", ["constant", "step", "cosine"], default="cosine")
    space.add(optimizer, momentum, schedule, Float("lr", (1e-4, 1e-1), log=True, default=lr))
    space.add(Float("weight_decay", (1e-5, 1e-1), log=True, default=1e-4))
    space.add(EqualsCondition(momentum, optimizer, "SGD"), EqualsCondition(schedule, optimizer, "SGD"))
    return space
