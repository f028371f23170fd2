"""What schemes of integers share, simulated in float: affine grids of activations, scales of outputs.

The range of a layer's input follows what is seen in training by an exponential average; gradients pass straight
through inside the range (Jacob et al., CVPR 2018, sections 2 and 3).
"""

from typing import Any, cast

import torch
from torch import Tensor, nn

SMALLEST_SCALE = 1e-12  # for channels without weights
_RANGE_MOMENTUM = 0.05


def along_outputs(value: Tensor, like: Tensor) -> Tensor:
    """Shape one value for each output so that it meets the weights of `like`, (outputs, ...)."""
    return value.view(-1, *[1] * (like.dim() - 1))


class Affine(torch.autograd.Function):
    """Round to an affine integer grid; the gradient passes where the value is inside the grid's range."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor, low: int, high: int) -> Tensor:
        """Return (clip(round(x / scale) + zero, low, high) - zero) scale."""
        steps = (x.float() / scale).round_().add_(zero)
        kept = steps.clamp(low, high)
        ctx.save_for_backward(kept == steps)
        return kept.sub_(zero).mul_(scale).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Pass the gradient where nothing was clipped."""
        (inside,) = ctx.saved_tensors
        return torch.where(inside, grads[0], 0.0), None, None, None, None  # twice as fast as a product


class ActivationRange(nn.Module):
    """Range of a layer's input: follows the data in training, fixed at evaluation.

    Args:
        bits: Bits of an activation.
    """

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def fit(self, low: Tensor, high: Tensor, magnitude: Tensor) -> None:  # noqa: ARG002 - of what learns its step
        """Take a range over, extended to hold 0.

        Args:
            low: Smallest input.
            high: Largest input.
            magnitude: Mean of |input|.
        """
        cast(Tensor, self.low).copy_(low.clamp(max=0.0))
        cast(Tensor, self.high).copy_(high.clamp(min=0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Round the input to the 2^bits levels of the range."""
        low, high = cast(Tensor, self.low), cast(Tensor, self.high)
        if self.training and not x.is_meta:
            with torch.no_grad():
                new_low, new_high = extremes(x)
                weight = _RANGE_MOMENTUM if bool(high > low) else 1.0
                low.lerp_(new_low.clamp(max=0.0), weight)
                high.lerp_(new_high.clamp(min=0.0), weight)
        top = 2**self.bits - 1
        scale = (high - low).clamp_min(1e-8) / top
        quantised: Tensor = Affine.apply(x, scale, torch.round(-low / scale), 0, top)
        return quantised


def input_statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return smallest value, largest value and mean magnitude of a layer's input, as `fit` takes them."""
    return *extremes(x), x.detach().float().abs().mean()


def extremes(x: Tensor) -> tuple[Tensor, Tensor]:
    """Return smallest and largest value as float32; two passes without a copy are faster than `torch.aminmax`."""
    values = x.detach()
    return values.amin().float(), values.amax().float()
