"""Learned step sizes, LSQ: a grid's step is a parameter (Esser et al., Learned Step Size Quantization, ICLR 2020)."""

from typing import Any, cast

import torch
from torch import Tensor, nn

from greenshift.compress.affine import SMALLEST_SCALE, input_statistics


class LearnedStep(torch.autograd.Function):
    """s round(clip(x / s, low, high)) with LSQ's gradients of x and s (Esser et al., section 2).

    The gradient of s is scaled by 1 / sqrt(N Q) for the N numbers that share it and Q codes on its longer side.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, step: Tensor, low: Tensor, high: Tensor, sharing: int) -> Tensor:
        """Round to whole steps between `low` and `high` of them."""
        ctx.save_for_backward(x, step, low, high)
        ctx.sharing = sharing
        return (x.float() / step).clamp_(low, high).round_().mul_(step).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        """Pass the gradient of x where nothing was clipped; sum that of s over the numbers that share it."""
        x, step, low, high = ctx.saved_tensors
        ratio = x.float() / step
        below, above = ratio <= low, ratio >= high
        slope = torch.where(below, low, torch.where(above, high, ratio.round() - ratio))
        factor = (ctx.sharing * torch.maximum(-low, high)).rsqrt()
        step_grad = (grads[0].float() * slope).sum_to_size(step.shape) * factor
        return grads[0] * ~(below | above), step_grad, None, None, None


class LearnedRange(nn.Module):
    """Grid of a layer's input with a trained step: its zero is found on the first batch and then stays.

    The zero is the code that the first range of inputs gives it: 0 for inputs that are never negative, which is
    LSQ's unsigned grid, and about the middle for signed ones. A step that an optimizer pushed to 0 or below
    starts anew.

    Args:
        bits: Bits of an activation.
        device: Where its numbers lie.
    """

    def __init__(self, bits: int, device: torch.device) -> None:
        super().__init__()
        self.top = 2**bits - 1
        self.step = nn.Parameter(torch.zeros((), device=device))  # 0: no batch has been seen yet
        self.register_buffer("zero", torch.zeros((), device=device))

    def fit(self, low: Tensor, high: Tensor, magnitude: Tensor) -> None:
        """Set zero and step to what LSQ starts from, s = 2 mean|x| / sqrt(Q), Q codes on the longer side of zero.

        Args:
            low: Smallest input.
            high: Largest input.
            magnitude: Mean of |input|.
        """
        low, high = low.clamp(max=0.0), high.clamp(min=0.0)
        with torch.no_grad():
            zero = cast(Tensor, self.zero).copy_((-low / (high - low).clamp_min(1e-8) * self.top).round())
            self.step.copy_(2 * magnitude / torch.maximum(zero, self.top - zero).sqrt())

    def forward(self, x: Tensor) -> Tensor:
        """Round to the grid."""
        if self.training and not x.is_meta and not bool(self.step > 0):
            self.fit(*input_statistics(x))
        zero = cast(Tensor, self.zero)
        # LSQ counts the features of one image, not of the batch.
        step, sharing = self.step.clamp_min(SMALLEST_SCALE), x[0].numel()
        return cast(Tensor, LearnedStep.apply(x, step, -zero, self.top - zero, sharing))
