"""Configurations of the paper, by name.

`paper-default` is the default column of Table 1. `paper-pos1` and `paper-pos2` are the two
Pareto-optimal solutions of the paper's results table. Published for both are weight bits, activation
bits, shift depth, shift type, optimizer and epochs, and for POS 1 the stochastic rounding. Everything
else (batch size, learning rate, momentum, weight decay, the rounding of POS 2) is not given with the
results and is filled in with the default of Table 1.
"""

from typing import Any

from greenshift.errors import InputError

_DEFAULT: dict[str, Any] = {
    "batch_size": 128,
    "optimizer": "SGD",
    "lr": 0.1,
    "momentum": 0.9,
    "epochs": 200,
    "weight_bits": 5,
    "act_integer_bits": 16,
    "act_fraction_bits": 16,
    "shift_depth": None,
    "shift_type": "PS",
    "rounding": "deterministic",
    "weight_decay": 1e-4,
}

_NAMED: dict[str, dict[str, Any]] = {
    "paper-default": _DEFAULT,
    "paper-pos1": {
        **_DEFAULT,
        "optimizer": "Ranger",
        "epochs": 67,
        "weight_bits": 4,
        "act_integer_bits": 4,
        "act_fraction_bits": 4,
        "shift_depth": 5,
        "shift_type": "Q",
        "rounding": "stochastic",
    },
    "paper-pos2": {
        **_DEFAULT,
        "epochs": 91,
        "weight_bits": 7,
        "act_integer_bits": 29,
        "act_fraction_bits": 10,
        "shift_depth": 16,
        "shift_type": "Q",
    },
}


def configuration_names() -> tuple[str, ...]:
    """Names that `named_configuration` knows."""
    return tuple(_NAMED)


def named_configuration(name: str, depth: int) -> dict[str, Any]:
    """Return a named configuration for a network of `depth` convolutions and linear layers.

    The default shifts every layer. POS 1 and POS 2 were found on a network of 20 layers; on a shallower
    one their shift depth is cut to `depth`.

    Raises:
        InputError: If the name is unknown.
    """
    if name not in _NAMED:
        raise InputError(f"configuration: unknown name '{name}'; known: {', '.join(_NAMED)}")
    values = dict(_NAMED[name])
    shift_depth = values["shift_depth"]
    values["shift_depth"] = depth if shift_depth is None else min(shift_depth, depth)
    return values
