"""Which class builds a layer of which scheme, and how that layer is profiled.

A new scheme adds a module with its layers and one `Handler` here; nothing else changes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from greenshift.compress.binary import BinaryConv2d, BinaryLinear
from greenshift.compress.power_of_two import PowerOfTwoConv2d, PowerOfTwoLinear, load_power_of_two_weight
from greenshift.compress.shift import ShiftConv2d, ShiftLinear, load_float_weight
from greenshift.compress.ternary import TernaryConv2d, TernaryLinear, load_ternary_weight
from greenshift.compress.uniform import UniformConv2d, UniformLinear, start_weight_step
from greenshift.errors import InputError
from greenshift.profile import Arithmetic
from greenshift.schemes import Binary, PowerOfTwo, Scheme, Shift, Ternary, Uniform


@dataclass(frozen=True)
class Storage:
    """How a layer's numbers are stored and multiplied.

    Attributes:
        arithmetic: What one multiply-accumulate is.
        weight_bits: Bits of a stored weight.
        act_bits: Bits of an input activation.
        weight_levels: Number of different exponents of a weight, 0 if it has none.
        per_channel: Whether a scale is stored per output channel, or once.
        scale_bytes: Bytes of one such scale: 4 for a float, 1 for the exponent of a window, 0 if there is none.
        terms: Multiply-accumulates that one weight takes.
    """

    arithmetic: Arithmetic
    weight_bits: int
    act_bits: int
    weight_levels: int = 0
    per_channel: bool = True
    scale_bytes: int = 0
    terms: int = 1


@dataclass(frozen=True)
class Handler:
    """What `convert` and the profile need to know about one scheme.

    Attributes:
        conv: Class in place of `nn.Conv2d`.
        linear: Class in place of `nn.Linear`.
        load: Copies a float weight into the new layer.
        storage: Storage of a layer of the given scheme.
        zeros: Name of the parameter whose zeros make weights of exactly 0 in a layer of the given
            scheme; None if the scheme has no such weight, so that it cannot be pruned.
    """

    conv: type[nn.Conv2d]
    linear: type[nn.Linear]
    load: Callable[[Any, torch.Tensor], None]
    storage: Callable[[Any], Storage]
    zeros: Callable[[Any], str | None] = lambda _: None


# The buffer of a pruned layer: true where a weight stays.
MASK = "pruning_mask"
FLOAT = Storage("float", 32, 32)


def _copy_weight(layer: nn.Conv2d | nn.Linear, weight: torch.Tensor) -> None:
    with torch.no_grad():
        layer.weight.copy_(weight)


def _load_uniform(layer: UniformConv2d | UniformLinear, weight: torch.Tensor) -> None:
    _copy_weight(layer, weight)
    start_weight_step(layer)


def _uniform_storage(scheme: Uniform) -> Storage:
    return Storage("int", scheme.weight_bits, scheme.act_bits, per_channel=scheme.per_channel, scale_bytes=4)


def _power_of_two_storage(scheme: PowerOfTwo) -> Storage:
    bits = scheme.weight_bits, scheme.act_bits
    return Storage("shift", *bits, scheme.exponents, scale_bytes=1, terms=scheme.terms)


def _signed_storage(weight_bits: int, act_bits: int) -> Storage:
    """Return the storage of weights -1, 1 and perhaps 0: one exponent, so that nothing is left to shift or multiply."""
    return Storage("shift", weight_bits, act_bits, weight_levels=1, scale_bytes=4)


def _binary_storage(scheme: Binary) -> Storage:
    return Storage("binary", 1, 1, scale_bytes=4) if scheme.act_bits == 1 else _signed_storage(1, scheme.act_bits)


def _shift_storage(scheme: Shift) -> Storage:
    return Storage("shift", scheme.weight_bits, scheme.act_bits, 1 - scheme.min_exponent)


def _shift_zeros(scheme: Shift) -> str | None:
    if scheme.kind == "PS":
        return "sign"
    # The original's stochastic rounding fails on the logarithm of zero.
    return None if scheme.original and scheme.rounding == "stochastic" else "weight"


_HANDLERS: dict[type, Handler] = {
    Binary: Handler(BinaryConv2d, BinaryLinear, _copy_weight, _binary_storage),
    PowerOfTwo: Handler(
        PowerOfTwoConv2d,
        PowerOfTwoLinear,
        load_power_of_two_weight,
        _power_of_two_storage,
        lambda _: "weight",
    ),
    Shift: Handler(ShiftConv2d, ShiftLinear, load_float_weight, _shift_storage, _shift_zeros),
    Ternary: Handler(
        TernaryConv2d,
        TernaryLinear,
        load_ternary_weight,
        lambda s: _signed_storage(2, s.act_bits),
        lambda _: "weight",
    ),
    Uniform: Handler(UniformConv2d, UniformLinear, _load_uniform, _uniform_storage, lambda _: "weight"),
}


def storage_of(scheme: Scheme | None) -> Storage:
    """Return how a layer of a scheme is stored; float32 without one."""
    return FLOAT if scheme is None else _HANDLERS[type(scheme)].storage(scheme)


def zeros_of(scheme: Scheme | None, name: str) -> str:
    """Return the name of the parameter whose zeros make a layer's weights exactly 0.

    Args:
        scheme: The layer's scheme, None for a float layer.
        name: The layer's name, for the message.

    Raises:
        InputError: If the scheme has no weight of exactly 0.
    """
    parameter = "weight" if scheme is None else _HANDLERS[type(scheme)].zeros(scheme)
    if parameter is None:
        raise InputError(f"prune: {name} has no weight of exactly zero under {scheme}; use another scheme there")
    return parameter


def build_layer(layer: nn.Conv2d | nn.Linear, scheme: Scheme) -> nn.Module:
    """Build the layer that replaces a float one, with the same geometry, weights, device and mode.

    Weights that are pruned stay exactly 0, and the mask goes with them.

    Args:
        layer: A `torch.nn.Conv2d` or `torch.nn.Linear`; it is not changed.
        scheme: The scheme of the new layer.

    Raises:
        InputError: If the layer is pruned and the scheme has no weight of exactly 0.
    """
    handler = _HANDLERS[type(scheme)]
    common: dict[str, Any] = {"bias": layer.bias is not None, "device": layer.weight.device, "scheme": scheme}
    new: nn.Conv2d | nn.Linear
    if isinstance(layer, nn.Conv2d):
        copied = ("kernel_size", "stride", "padding", "dilation", "groups", "padding_mode")
        geometry = {name: getattr(layer, name) for name in copied}
        new = handler.conv(layer.in_channels, layer.out_channels, **geometry, **common)
    else:
        new = handler.linear(layer.in_features, layer.out_features, **common)
    handler.load(new, layer.weight)
    if layer.bias is not None and new.bias is not None:
        with torch.no_grad():
            new.bias.copy_(layer.bias)
    mask = getattr(layer, MASK, None)
    if mask is not None:
        zeros_of(scheme, "a pruned layer")
        new.register_buffer(MASK, mask.clone())
    return new.to(layer.weight).train(layer.training)  # its ranges come from the CPU
