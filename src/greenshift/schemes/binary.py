"""Binary weights: every weight is -a or a (Rastegari et al., "XNOR-Net", ECCV 2016)."""

from dataclasses import dataclass

from greenshift.errors import InputError
from greenshift.schemes.base import register


@register
@dataclass(frozen=True)
class Binary:
    """A layer of weights -a and a with one a per output channel; activations are uniform integers.

    Attributes:
        act_bits: Bits of an affine activation, 2 to 8.
    """

    act_bits: int = 8

    def __post_init__(self) -> None:
        """Check the values."""
        if self.act_bits == 1:
            raise InputError("binary: act_bits 1 (sign activations) is not supported yet; choose 2 to 8")
        if not 2 <= self.act_bits <= 8:
            raise InputError(f"binary: act_bits is 2 to 8, not {self.act_bits}")
