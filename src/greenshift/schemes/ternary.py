"""Ternary weight networks: every weight is -a, 0 or a (Li et al., "Ternary Weight Networks", 2016)."""

from dataclasses import dataclass

from greenshift.errors import InputError
from greenshift.schemes.base import check_bits, register


@register
@dataclass(frozen=True)
class Ternary:
    """A layer of weights -a, 0 and a with one a per output channel; activations are uniform integers.

    Attributes:
        act_bits: Bits of an affine activation, 2 to 8.
        threshold: Weights up to this share of their channel's mean magnitude become 0; at least 0 and below 1, so
            that a channel never loses its largest weight. 0.7 is near the least squared error for weights that are
            normally or uniformly distributed (Li et al.).
        learned_scale: Train a, with the gradient factor of LSQ; otherwise it is the mean magnitude of the weights
            that are kept.
    """

    act_bits: int = 8
    threshold: float = 0.7
    learned_scale: bool = True

    def __post_init__(self) -> None:
        """Check the values."""
        check_bits(self, "act_bits", 2, 8)
        if not 0 <= self.threshold < 1:
            raise InputError(f"ternary: threshold is at least 0 and below 1, not {self.threshold}")
