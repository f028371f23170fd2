"""Uniform integers: the int8 baseline that every front carries, and learned step sizes down to two bits."""

from dataclasses import dataclass
from typing import Literal

from greenshift.errors import InputError
from greenshift.schemes.base import added, check_bits, register


@register
@dataclass(frozen=True)
class Uniform:
    """A layer on integers with a float scale: weights per output channel or per layer, activations per tensor.

    Attributes:
        weight_bits: Bits of a signed symmetric weight, 2 to 8.
        act_bits: Bits of an affine activation, 2 to 8.
        per_channel: Whether every output channel has a weight scale of its own, or the layer has one.
        step: `range` takes the steps from the range of the weights and of the inputs seen in training or
            calibration; `learned` trains them (LSQ: Esser et al., ICLR 2020).
    """

    weight_bits: int = 8
    act_bits: int = 8
    per_channel: bool = added(True)
    step: Literal["range", "learned"] = added("range")

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("weight_bits", "act_bits"):
            check_bits(self, name, 2, 8)
        if not isinstance(self.per_channel, bool):
            raise InputError(f"uniform: per_channel is true or false, not {self.per_channel!r}")
        if self.step not in ("range", "learned"):
            raise InputError(f"uniform: step is 'range' or 'learned', not {self.step!r}")
