"""Deep shift: weights are signed powers of two, activations fixed point (Elhoushi et al., CVPRW 2021)."""

from dataclasses import dataclass
from typing import Literal

from greenshift.errors import InputError
from greenshift.schemes.base import check_bits, register


@register
@dataclass(frozen=True)
class Shift:
    """A layer whose multiplications are bit shifts.

    Attributes:
        kind: `Q` trains a latent float weight that is rounded to the nearest power of two in log
            space; `PS` trains the exponent and the sign themselves.
        weight_bits: Bits of a stored weight including its sign, 2 to 8. Exponents reach from
            -(2^(b-1) - 1) for Q, from -(2^(b-1) - 2) for PS, up to 0.
        act_integer_bits: Integer bits of the fixed-point input including the sign, 1 to 32.
        act_fraction_bits: Fraction bits of the fixed-point input, 0 to 32.
        rounding: `deterministic` or `stochastic` rounding of exponents (and of PS signs).
        original: Keep the behaviour of the original code where it is wrong (docs/adr/0003).
    """

    kind: Literal["Q", "PS"] = "PS"
    weight_bits: int = 5
    act_integer_bits: int = 16
    act_fraction_bits: int = 16
    rounding: Literal["deterministic", "stochastic"] = "deterministic"
    original: bool = False

    def __post_init__(self) -> None:
        """Check the values."""
        if self.kind not in ("Q", "PS"):
            raise InputError(f"shift: kind is 'Q' or 'PS', not '{self.kind}'")
        check_bits(self, "weight_bits", 2, 8)
        check_bits(self, "act_integer_bits", 1, 32)
        check_bits(self, "act_fraction_bits", 0, 32)
        if self.rounding not in ("deterministic", "stochastic"):
            raise InputError(f"shift: rounding is 'deterministic' or 'stochastic', not '{self.rounding}'")

    @property
    def act_bits(self) -> int:
        """Bits of one stored activation."""
        return self.act_integer_bits + self.act_fraction_bits

    @property
    def min_exponent(self) -> int:
        """Smallest exponent of a weight; the largest is 0."""
        return -((1 << (self.weight_bits - 1)) - (1 if self.kind == "Q" else 2))
