"""Uniform integers: the int8 baseline that every front carries."""

from dataclasses import dataclass

from greenshift.errors import InputError
from greenshift.schemes.base import register


@register
@dataclass(frozen=True)
class Uniform:
    """A layer on integers with a float scale: weights per output channel, activations per tensor.

    Attributes:
        weight_bits: Bits of a signed symmetric weight, 2 to 8.
        act_bits: Bits of an affine activation, 2 to 8.
    """

    weight_bits: int = 8
    act_bits: int = 8

    def __post_init__(self) -> None:
        """Check the values."""
        for name in ("weight_bits", "act_bits"):
            if not 2 <= getattr(self, name) <= 8:
                raise InputError(f"uniform: {name} is 2 to 8, not {getattr(self, name)}")
