"""Shift beyond the paper: weights are one power of two or a sum of two, in a window of exponents per output."""

from dataclasses import dataclass
from typing import Literal

from greenshift.errors import InputError
from greenshift.schemes.base import check_bits, register

# Bits of a code: powers of two in the window, and how far below the first term the second may lie. Of all sets that
# fit the bits and int8, those with the least squared error on normally and Laplace distributed weights.
_TWO_TERMS = {4: (4, 1), 5: (6, 2), 6: (7, 3), 7: (7, 6)}


@register
@dataclass(frozen=True)
class PowerOfTwo:
    """A layer of weights 2^e q with one whole number e per output channel; activations are uniform integers.

    With one term q is 0 or a signed power of two of K = 2^(weight_bits - 1) - 1 successive ones. With two terms it is
    also the sum or difference of two of them, the smaller one a limited distance below the larger: the smallest is
    the unit, so that every weight is a whole number of at most 96 units. Sets of one term: Przewlocka-Rus et al.,
    "Power-of-Two Quantization for Low Bitwidth and Hardware Compliant Neural Networks", arXiv 2203.05025; sums of
    them: Li, Dong and Wang, "Additive Powers-of-Two Quantization", ICLR 2020, whose windows interleave.

    Attributes:
        weight_bits: Bits of a stored weight: 2 (ternary) to 4 with one term, 4 to 7 with two.
        act_bits: Bits of an affine activation, 2 to 8.
        terms: Shifted additions per weight, 1 or 2.
        scale: How e is chosen: `mse` for the least squared error, `max` for the power nearest the largest weight.
        rounding: `nearest` power, or nearest in the logarithm (`log`), as DeepShift rounds; one term only.
        step: Whether the activations' step follows their `range` or is `learned` (LSQ: Esser et al., ICLR 2020).
    """

    weight_bits: int = 4
    act_bits: int = 8
    terms: int = 1
    scale: Literal["mse", "max"] = "mse"
    rounding: Literal["nearest", "log"] = "nearest"
    step: Literal["range", "learned"] = "range"

    def __post_init__(self) -> None:
        """Check the values."""
        if self.terms not in (1, 2):
            raise InputError(f"poweroftwo: terms is 1 or 2, not {self.terms}")
        self._check_weight_bits()
        check_bits(self, "act_bits", 2, 8)
        if self.scale not in ("mse", "max"):
            raise InputError(f"poweroftwo: scale is 'mse' or 'max', not {self.scale!r}")
        if self.rounding not in ("nearest", "log"):
            raise InputError(f"poweroftwo: rounding is 'nearest' or 'log', not {self.rounding!r}")
        if self.rounding == "log" and self.terms == 2:
            raise InputError("poweroftwo: rounding 'log' is for one term; choose 'nearest', or terms=1")
        if self.step not in ("range", "learned"):
            raise InputError(f"poweroftwo: step is 'range' or 'learned', not {self.step!r}")

    def _check_weight_bits(self) -> None:
        bits, fewest, most = self.weight_bits, *((2, 4) if self.terms == 1 else (4, 7))
        if not isinstance(bits, int) or fewest <= bits <= most:
            check_bits(self, "weight_bits", fewest, most)
            return
        reason = ""
        if self.terms == 1 and bits > most:
            reason = ": further exponents are below what rounding to a power of two loses; choose terms=2"
        elif bits > most:
            reason = ": int8 holds no further sums of two powers; choose 7, or uniform integers"
        elif self.terms == 2:
            reason = "; choose terms=1"
        raise InputError(f"poweroftwo: weight_bits is {fewest} to {most} with terms={self.terms}, not {bits}{reason}")

    @property
    def exponents(self) -> int:
        """Number of successive powers of two that a term can be."""
        return 2 ** (self.weight_bits - 1) - 1 if self.terms == 1 else _TWO_TERMS[self.weight_bits][0]

    @property
    def magnitudes(self) -> tuple[int, ...]:
        """What a weight can be but for its sign, in units of the smallest power, ascending from 0."""
        reach = 0 if self.terms == 1 else _TWO_TERMS[self.weight_bits][1]
        found = {0}
        for first in range(self.exponents):
            second = [2**exponent for exponent in range(max(0, first - reach), first)]
            found |= {2**first, *(2**first + term for term in second), *(2**first - term for term in second)}
        return tuple(sorted(found))
