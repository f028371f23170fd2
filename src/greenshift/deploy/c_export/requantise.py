"""From sums to bytes without floats: integers for a layer's float32 multipliers, and where bytes are clipped.

A multiplier is M / 2^s exactly. The product of float32 differs from the exact one by half a unit in the last place at
most, and as ties between bytes are float32 numbers themselves, the two round to different bytes only within 2^-17 of a
tie. So C code multiplies integers and goes the long way, which emulates both roundings of float32, only there and for
sums that float32 cannot hold. Below and above two sums per channel the byte is clipped anyway; they are found here.
"""

from dataclasses import dataclass
from typing import cast

import numpy as np
from numpy.typing import NDArray

from greenshift.deploy.network import Convolution, Grid
from greenshift.errors import InputError

Integers = NDArray[np.int64]
_INT32 = 2**31 - 1
_LARGEST_SHIFT = 62
_PRODUCT_BITS, _LONG, _ROUNDED = 22, 64, 65  # as in runtime.c


@dataclass(frozen=True)
class Channels:
    """What turns the sums of a layer into bytes or logits, one number per output.

    Attributes:
        bias: Added to the sum of weight times byte; holds what the zero of the input adds.
        low_at: Largest sum with the lowest byte.
        high_at: Smallest sum with the highest byte.
        multiplier: Whole part M of the factor M / 2^shift, at most 16 bits.
        shift: Its exponent, from 1 to 62.
        align: What is missing from the shift to 22 if 32 bits then hold sums times M; 64 if they need 64 bits, and
            65 if float32 cannot hold the sums.
    """

    bias: Integers
    low_at: Integers
    high_at: Integers
    multiplier: Integers
    shift: Integers
    align: Integers


def split(multiplier: float, name: str, bits: int = 16) -> tuple[int, int]:
    """Return whole numbers M and s, s >= 1, with multiplier = M / 2^s.

    Args:
        multiplier: Above 0.
        name: Of the layer, for the message.
        bits: Room for M.

    Raises:
        InputError: If M does not fit or s is above 62.
    """
    whole, power = float(multiplier).as_integer_ratio()
    shift = power.bit_length() - 1
    if shift == 0:
        whole, shift = 2 * whole, 1
    if whole >= 1 << bits or not whole or shift > _LARGEST_SHIFT:
        raise InputError(
            f"layer '{name}': multiplier {multiplier:g} is outside of what C code holds "
            f"({bits} bits over at most 2^{_LARGEST_SHIFT}); pack the network again with other activation steps"
        )
    return whole, shift


def channels(layer: Convolution, source: Grid) -> Channels:
    """Return the integers of a layer's requantisation.

    Raises:
        InputError: If a sum may leave 32 bits, or a multiplier cannot be split.
    """
    weight = layer.weight.reshape(len(layer.weight), -1).astype(np.int64)
    bias = layer.bias.astype(np.int64) - source.zero * weight.sum(axis=1)
    reach = 255 * np.abs(weight).sum(axis=1) + np.abs(bias)
    if int(reach.max()) >= _INT32:
        raise InputError(
            f"layer '{layer.name}': sums may reach {int(reach.max())}, above 32 bits; use smaller weights or a bias "
            "that fits them"
        )
    parts = [split(float(value), layer.name) for value in layer.multiplier]
    multiplier, shift = (np.array(values, dtype=np.int64) for values in zip(*parts, strict=True))
    if layer.grid is None:
        low_at, high_at = np.full(len(bias), -_INT32), np.full(len(bias), _INT32)
        return Channels(bias, low_at, high_at, multiplier, shift, np.full(len(bias), _ROUNDED))
    low_at = _last_sum(layer, layer.grid, layer.low)
    high_at = _last_sum(layer, layer.grid, layer.high - 1) + 1
    inner = np.minimum(np.maximum(np.abs(low_at), np.abs(high_at)), reach)
    missing = _PRODUCT_BITS - shift
    narrow = (missing >= 0) & (inner * multiplier < 2.0 ** (31 - missing))
    align = np.where(inner >= 2**24, _ROUNDED, np.where(narrow, missing, _LONG))
    return Channels(bias, low_at, np.minimum(high_at, _INT32), multiplier, shift, align)


def _last_sum(layer: Convolution, grid: Grid, byte: int) -> Integers:
    """Largest sum of each channel whose byte is not above `byte`; -2^31 + 1 if there is none."""
    below, above = np.full(len(layer.bias), -_INT32), np.full(len(layer.bias), _INT32)
    while (above - below > 1).any():
        middle = (below + above) // 2
        value = middle.astype(np.float32) * layer.multiplier
        clipped = np.clip(value, np.float32(layer.low - grid.zero), np.float32(layer.high - grid.zero))
        fits = np.rint(clipped) + grid.zero <= byte
        below, above = np.where(fits, middle, below), np.where(fits, above, middle)
    return cast(Integers, below)
