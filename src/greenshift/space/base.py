"""A search space: a ConfigSpace, checked input, and the mapping from a configuration to a design."""

import difflib
import math
import numbers
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, get_args

from ConfigSpace import Configuration, ConfigurationSpace
from ConfigSpace.exceptions import (
    ActiveHyperparameterNotSetError,
    ForbiddenValueError,
    IllegalValueError,
    InactiveHyperparameterSetError,
)
from ConfigSpace.hyperparameters import (
    CategoricalHyperparameter,
    FloatHyperparameter,
    Hyperparameter,
    IntegerHyperparameter,
    OrdinalHyperparameter,
)
from ConfigSpace.types import NotSet

from greenshift.design import Design, Recipe
from greenshift.errors import InputError
from greenshift.fidelities import QUANTITIES, FidelityName, hyperparameters_of, network_ranges
from greenshift.space.full import add_full, full_design, reasons, require_scope, single_techniques
from greenshift.space.paper import paper_design, paper_hyperparameters
from greenshift.space.scope import Scope

# Makes a design of a configuration, a backbone and the recipe of what the space does not search.
DesignRule = Callable[[Mapping[str, Any], str, Recipe], Design]

# Which hyperparameters of a space may be its fidelity; what no space searches may be one in all of them.
_FIDELITIES = {"paper": ("epochs", "shift_depth", "weight_bits"), "full": ("epochs",)}


@dataclass(frozen=True)
class SearchSpace:
    """What a study searches.

    Attributes:
        name: Name of the space, such as `paper`.
        configspace: The hyperparameters, without those that are the fidelity.
        fidelity: Names of the hyperparameters that are the fidelity instead.
        depth: Number of convolutions and linear layers of the network.
        fixed: Values of the hyperparameters that every configuration shares and the ConfigSpace lacks.
        rule: What makes a design of a configuration.
        reasons: Why a hyperparameter may be inactive, by its name, and why a value is not among its choices, by
            `name=value`, for people who write configurations.
        starts: Values for searches to begin with; `complete` makes configurations of them.
    """

    name: str
    configspace: ConfigurationSpace
    fidelity: tuple[str, ...]
    depth: int
    fixed: Mapping[str, Any] = field(default_factory=dict)
    rule: DesignRule = paper_design
    reasons: Mapping[str, str] = field(default_factory=dict)
    starts: tuple[Mapping[str, Any], ...] = ()

    def validate(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Check a configuration against the space and return it as plain Python values, in the space's order.

        Whole numbers may come as floats (`64.0`), as some JSON writers do it.

        Raises:
            InputError: If a hyperparameter is unknown, missing, inactive or has a value that is not
                allowed; the message names it, the value and what is allowed.
        """
        self._check_names(configuration)
        values = {name: _legal(self.configspace[name], value) for name, value in configuration.items()}
        try:
            checked = Configuration(self.configspace, values=values)
        except ActiveHyperparameterNotSetError as error:
            raise InputError(f"configuration: '{error.hyperparameter.name}' is missing; add it") from error
        except InactiveHyperparameterSetError as error:
            raise InputError(self._inactive(error.hyperparameter.name)) from error
        except (ForbiddenValueError, IllegalValueError) as error:
            raise InputError("configuration: " + " ".join(str(error).split())) from error
        return {name: values[name] for name in self.configspace if name in checked}

    def to_design(
        self,
        configuration: Mapping[str, Any],
        *,
        backbone: str,
        quantities: Mapping[str, float],
        epochs: int | None,
        base: Recipe,
    ) -> Design:
        """Return the design that a configuration stands for. Pure; ranges are `validate`'s business.

        A study with epochs as fidelity trains one and the same design for fewer epochs on its lower
        rungs, so they leave that design alone and `epochs` is the number of a full training.
        Where shift depth or weight bits are the fidelity, the design has as many as `quantities` says.

        Args:
            configuration: Values of the space's hyperparameters, or a named configuration.
            backbone: Model name.
            quantities: Of the evaluation (`fidelities.quantities_at`); what is not in it is full.
            epochs: Epochs of a full training, or None to take the configuration's, or `base`'s if the
                configuration has none.
            base: Recipe for what the space does not search (augmentation, schedule, label smoothing).

        Raises:
            InputError: If a hyperparameter is missing or has a value that no design can have.
        """
        configuration = {**self.fixed, **configuration}
        for name, (_, most) in network_ranges(self.depth).items():
            if name in self.fidelity:
                configuration[name] = round(quantities.get(name, most))
        full = configuration.get("epochs", base.epochs) if epochs is None else epochs
        try:
            return self.rule(configuration, backbone, replace(base, epochs=full))
        except KeyError as error:
            raise InputError(f"configuration: {error} is missing; add it") from error

    def complete(self, configuration: Mapping[str, Any]) -> dict[str, Any]:
        """Return a legal configuration: what is missing has its default, what is inactive is left out.

        Args:
            configuration: Values of some hyperparameters of this space.

        Raises:
            InputError: If a hyperparameter is unknown or has a value that is not allowed.
        """
        self._check_names(configuration)
        given = {name: _legal(self.configspace[name], value) for name, value in configuration.items()}
        values: dict[str, Any] = {}
        for name, hyperparameter in self.configspace.items():  # a parent comes before what depends on it
            conditions = self.configspace.parent_conditions_of[name]
            active = all(condition.satisfied_by_value(values) for condition in conditions)
            values[name] = given.get(name, hyperparameter.default_value) if active else NotSet
        return self.validate({name: value for name, value in values.items() if value is not NotSet})

    def _check_reason(self, name: str, value: Any) -> None:
        reason = self.reasons.get(f"{name}={value}")
        if reason is not None:
            raise InputError(f"configuration: {name} cannot be {value!r}: {reason}; choose another value")

    def _inactive(self, name: str) -> str:
        conditions = " and ".join(
            str(c).partition(" | ")[2] or str(c) for c in self.configspace.parent_conditions_of[name]
        )
        reason = self.reasons.get(name, f"it counts where {conditions}")
        return f"configuration: '{name}' is not used with the other values: {reason}; remove it"

    def _check_names(self, configuration: Mapping[str, Any]) -> None:
        known = list(self.configspace)
        for name, value in configuration.items():
            self._check_reason(name, value)
            if name in self.fidelity:
                raise InputError(f"configuration: '{name}' is the fidelity of this study and not searched; remove it")
            if name not in known:
                close = difflib.get_close_matches(str(name), known, n=1)
                hint = f"did you mean '{close[0]}'?" if close else "known: " + ", ".join(known)
                raise InputError(f"configuration: unknown hyperparameter '{name}'; {hint}")


def make_space(
    name: str, *, depth: int, fidelity: str | None, seed: int = 0, scope: Scope | None = None
) -> SearchSpace:
    """Return a search space by name.

    Args:
        name: `paper`, Table 1 of the paper, or `full`, every technique per layer group.
        depth: Number of convolutions and linear layers of the network, the largest shift depth.
        fidelity: A `FidelityName`, whose hyperparameters leave the space (`epochs`; of `paper` also `shift_depth`
            and `weight_bits`), or None.
        seed: Seed of the space's own sampling; optimizers bring their own.
        scope: What a full space searches; needed for `full` only.

    Raises:
        InputError: If the space or the fidelity is unknown, `depth` is below 1, or a full space has no scope.
    """
    if name not in _FIDELITIES:
        raise InputError(f"space: unknown space '{name}'; known: {', '.join(_FIDELITIES)}")
    _check_fidelity(name, fidelity)
    if depth < 1:
        raise InputError(f"space {name}: depth is the number of layers to shift, at least 1, not {depth}")
    configspace, searched = ConfigurationSpace(name=name, seed=seed), hyperparameters_of(fidelity)
    if name == "full":
        scope = require_scope(scope)
        add_full(configspace, scope)
        rule, starts = partial(full_design, scope), tuple(single_techniques(configspace, scope))
        return SearchSpace(name, configspace, searched, depth, rule=rule, reasons=reasons(scope), starts=starts)
    configspace.add(
        hyperparameter for hyperparameter in paper_hyperparameters(depth) if hyperparameter.name not in searched
    )
    return SearchSpace(name, configspace, searched, depth)


def _check_fidelity(space: str, fidelity: str | None) -> None:
    single = [name for name in get_args(FidelityName) if "," not in name]
    known = [name for name in single if not QUANTITIES[name].searched or name in _FIDELITIES[space]]
    for name in [] if fidelity is None else fidelity.split(","):
        if name not in known:
            which = "" if space == "paper" else f" in space {space}, where layers have schemes of their own"
            raise InputError(f"fidelity: '{name}' is unknown{which}; known: {', '.join(known)}")


def space_names() -> tuple[str, ...]:
    """Names that `make_space` knows."""
    return tuple(_FIDELITIES)


def _legal(hyperparameter: Hyperparameter[Any, Any], value: Any) -> Any:
    """Return `value` as the plain type of its hyperparameter, or raise an InputError that says what is allowed."""
    number = isinstance(value, numbers.Real) and not isinstance(value, bool) and math.isfinite(value)
    if isinstance(hyperparameter, IntegerHyperparameter):
        allowed = f"a whole number from {hyperparameter.lower} to {hyperparameter.upper}"
        legal = number and value == int(value) and hyperparameter.lower <= value <= hyperparameter.upper
        plain: type = int
    elif isinstance(hyperparameter, FloatHyperparameter):
        allowed = f"a number from {hyperparameter.lower:g} to {hyperparameter.upper:g}"
        legal = number and hyperparameter.lower <= value <= hyperparameter.upper
        plain = float
    elif isinstance(hyperparameter, CategoricalHyperparameter):
        allowed = "one of " + ", ".join(str(choice) for choice in hyperparameter.choices)
        legal = isinstance(value, str) and value in hyperparameter.choices
        plain = str
    elif isinstance(hyperparameter, OrdinalHyperparameter):
        allowed = "one of " + ", ".join(f"{step:g}" for step in hyperparameter.sequence)
        legal = number and value in hyperparameter.sequence
        plain = type(hyperparameter.sequence[0])
    else:
        raise TypeError(f"hyperparameters of type {type(hyperparameter).__name__} have no rule here")
    if not legal:
        raise InputError(f"configuration: {hyperparameter.name} is {value!r}; allowed is {allowed}")
    return plain(value)
