"""What a layer group can be in a full space: per scheme, its own hyperparameter and the scheme that it makes."""

import itertools
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, InCondition, Integer
from ConfigSpace.hyperparameters import Hyperparameter, UniformIntegerHyperparameter

from greenshift.profile import Arithmetic
from greenshift.schemes import Binary, LayerKey, PowerOfTwo, Scheme, Ternary, Uniform
from greenshift.space.groups import LayerGroup
from greenshift.space.scope import Scope

_ONE_TERM_BITS = 4  # more exponents are below what rounding to a power of two loses; a second term is not
Stored = tuple[Arithmetic, int, int, int]
Values = Mapping[str, Any]
Parameter = Hyperparameter[Any, Any]


@dataclass(frozen=True)
class SchemeChoice:
    """One value of `scheme_GROUP`.

    Attributes:
        name: The value.
        stored: How its layers are stored with the default bits: what a multiply-accumulate is, bits of a weight,
            bits of an activation, and different exponents of a weight. Compared with int8, it says what the choice
            saves on a target.
        most: The same with the most bits that the choice can have, or None if they are the same: what a target has to
            be able to run.
        technique: The technique that brings it, None for float layers.
        parameter: Makes the hyperparameter that only this choice has, None if it has none.
        scheme: Makes the scheme of a group from a configuration; None leaves the layers as they are.
        chooses_act_bits: Whether its activation bits are searched.
    """

    name: str
    stored: Stored
    most: Stored | None
    technique: str | None
    parameter: Callable[[str], UniformIntegerHyperparameter] | None
    scheme: Callable[[Values, str], Scheme | None]
    chooses_act_bits: bool = True


def _act_bits(group: str) -> UniformIntegerHyperparameter:
    return Integer(f"act_bits_{group}", (2, 8), default=8, meta={"technique": "schemes"})


def _lowbit_bits(group: str) -> UniformIntegerHyperparameter:
    return Integer(f"lowbit_bits_{group}", (2, 7), default=4, meta={"technique": "uniform"})


def _lowbit(values: Values, group: str) -> Scheme:
    return Uniform(values[f"lowbit_bits_{group}"], values[f"act_bits_{group}"], step="learned")


def _shift_bits(group: str) -> UniformIntegerHyperparameter:
    return Integer(f"shift_bits_{group}", (2, 7), default=4, meta={"technique": "shift"})


def _shift(values: Values, group: str) -> Scheme:
    bits = values[f"shift_bits_{group}"]
    terms = 1 if bits <= _ONE_TERM_BITS else 2
    return PowerOfTwo(bits, values[f"act_bits_{group}"], terms, step="learned")


def _int8(values: Values, group: str) -> Scheme:  # noqa: ARG001 - all choices are called alike
    return Uniform(8, 8)


def _ternary(values: Values, group: str) -> Scheme:
    return Ternary(values[f"act_bits_{group}"])


def _binary(values: Values, group: str) -> Scheme:
    return Binary(values[f"act_bits_{group}"])


def _sign(values: Values, group: str) -> Scheme:  # noqa: ARG001
    return Binary(act_bits=1)


def _float(values: Values, group: str) -> None:  # noqa: ARG001
    return None


_CHOICES = (
    SchemeChoice("int8", ("int", 8, 8, 0), None, "uniform", None, _int8, chooses_act_bits=False),
    SchemeChoice("lowbit", ("int", 4, 8, 0), ("int", 7, 8, 0), "uniform", _lowbit_bits, _lowbit),
    SchemeChoice("shift", ("shift", 4, 8, 7), ("shift", 7, 8, 7), "shift", _shift_bits, _shift),
    SchemeChoice("ternary", ("shift", 2, 8, 1), None, "ternary", None, _ternary),
    SchemeChoice("binary", ("shift", 1, 8, 1), None, "binary", None, _binary),
    SchemeChoice("sign", ("binary", 1, 1, 0), None, "binary", None, _sign, chooses_act_bits=False),
    SchemeChoice("float", ("float", 32, 32, 0), None, None, None, _float, chooses_act_bits=False),
)
CHOICES = {choice.name: choice for choice in _CHOICES}
WITHOUT_ZERO = ("binary", "sign")  # weights that cannot be pruned


def add_schemes(space: ConfigurationSpace, scope: Scope) -> None:
    """Add the hyperparameters of every group: its scheme, that scheme's bits, its activation bits.

    Args:
        space: The space to add to.
        scope: Gives groups and schemes; a group of one possible scheme has no `scheme_GROUP`.
    """
    choices = [CHOICES[name] for name in scope.schemes]
    acting = [choice.name for choice in choices if choice.chooses_act_bits]
    for group in scope.groups:
        own = {c.name: c.parameter(group.name) for c in choices if c.parameter is not None}
        act_bits = [_act_bits(group.name)] if acting else []
        space.add(*own.values(), *act_bits)
        if len(choices) == 1:
            continue
        # Equal weights: which scheme is good is what the search is for.
        scheme = Categorical(f"scheme_{group.name}", list(scope.schemes), meta={"technique": "schemes"})
        space.add(scheme)
        space.add(EqualsCondition(parameter, scheme, name) for name, parameter in own.items())
        space.add(InCondition(parameter, scheme, acting) for parameter in act_bits)


def group_options(scope: Scope, group: str) -> Iterator[tuple[dict[str, Any], Scheme | None]]:
    """Yield everything that a group can be: its values in a configuration, and its scheme or None for float.

    Args:
        scope: What the space searches.
        group: Name of the group.
    """
    for choice in map(CHOICES.__getitem__, scope.schemes):
        chosen = {f"scheme_{group}": choice.name} if len(scope.schemes) > 1 else {}
        own = [] if choice.parameter is None else [choice.parameter(group)]
        own += [_act_bits(group)] if choice.chooses_act_bits else []
        steps = [range(parameter.lower, parameter.upper + 1) for parameter in own]
        for bits in itertools.product(*steps):
            values = {**chosen, **{parameter.name: step for parameter, step in zip(own, bits, strict=True)}}
            yield values, choice.scheme(values, group)


def scheme_name(values: Values, group: str, scope: Scope) -> str:
    """Name of what a group is in a configuration."""
    return str(values[f"scheme_{group}"]) if len(scope.schemes) > 1 else scope.schemes[0]


def group_schemes(values: Values, scope: Scope, groups: tuple[LayerGroup, ...]) -> tuple[tuple[LayerKey, Scheme], ...]:
    """Return the schemes of a configuration by layer key, one key for all layers where they share one.

    Args:
        values: The configuration.
        scope: What the space searches.
        groups: Its groups in the form of the backbone that the configuration asks for.
    """
    chosen = [(group, CHOICES[scheme_name(values, group.name, scope)].scheme(values, group.name)) for group in groups]
    first = chosen[0][1]
    if first is not None and all(scheme == first for _, scheme in chosen):
        return (("*", first),)
    return tuple((key, scheme) for group, scheme in chosen if scheme is not None for key in group.keys)
