"""Binary weights: every weight is -a or a (Rastegari et al., "XNOR-Net", ECCV 2016)."""

from dataclasses import dataclass
from typing import Literal

from greenshift.errors import InputError
from greenshift.schemes.base import added, check_bits, register


@register
@dataclass(frozen=True)
class Binary:
    """A layer of weights -a and a with one a per output channel; activations are uniform integers, or signs.

    Attributes:
        act_bits: Bits of an affine activation, 2 to 8, or 1 for the activation's sign.
        sign_gradient: What a sign activation passes back: `approx` the slope 2 - 2|x| where |x| <= 1, that of a
            piecewise quadratic near the sign (Liu et al., "Bi-Real Net", ECCV 2018, section 3.2); `clipped` the
            gradient as it is where |x| <= 1 (Hubara et al., NIPS 2016). Without sign activations it says nothing.
    """

    act_bits: int = 8
    sign_gradient: Literal["approx", "clipped"] = added("approx")

    def __post_init__(self) -> None:
        """Check the values."""
        check_bits(self, "act_bits", 1, 8)
        if self.sign_gradient not in ("approx", "clipped"):
            raise InputError(f"binary: sign_gradient is 'approx' or 'clipped', not '{self.sign_gradient}'")
