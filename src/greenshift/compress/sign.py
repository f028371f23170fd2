"""Sign activations: a layer's input becomes -1 or 1, and a gradient passes near the threshold only."""

from typing import Any, Literal, cast

import torch
from torch import Tensor, nn

_THRESHOLD_MOMENTUM = 0.05


class _Sign(torch.autograd.Function):
    """Sign of each value's distance to a threshold, 1 at the threshold; the slope of its gradient is given."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, threshold: Tensor, gradient: str) -> Tensor:
        distance = (x - threshold).add_(0.0)  # makes -0 a 0
        ctx.save_for_backward(distance)
        ctx.gradient = gradient
        # Comparing, and turning the answer into numbers, would be the slow part in bfloat16.
        return torch.copysign(distance.new_ones(()), distance)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        magnitude = ctx.saved_tensors[0].abs()
        if ctx.gradient == "clipped":
            return grads[0] * (magnitude <= 1), None, None
        # 2 - 2|x| is exact in the type of x for |x| from 0.5 to 1 and rounded once below: no float32 copy is needed.
        return magnitude.mul_(-2.0).add_(2.0).clamp_(min=0.0).mul_(grads[0]), None, None


class Sign(nn.Module):
    """Replace a layer's input by its signs; -1 and 1 are exact in every float type, and so are sums of products.

    Inputs that are never negative, such as those behind a ReLU, would all be 1: their threshold is their mean instead
    of 0, and follows it in training. One threshold for a layer, not trained: ReActNet's RSign trains one for each
    channel (Liu et al., ECCV 2020, section 4.2), which a batch norm in front of the sign has in its bias.

    Args:
        gradient: `approx` or `clipped`, see `greenshift.schemes.Binary`.
        device: Where the threshold lies.
    """

    def __init__(self, gradient: Literal["approx", "clipped"], device: torch.device | None = None) -> None:
        super().__init__()
        self.gradient = gradient
        self.register_buffer("threshold", torch.zeros((), device=device))

    def fit(self, low: Tensor, high: Tensor, magnitude: Tensor) -> None:  # noqa: ARG002 - of what has an upper end
        """Take the threshold from the inputs.

        Args:
            low: Smallest input.
            high: Largest input.
            magnitude: Mean of |input|.
        """
        cast(Tensor, self.threshold).copy_(torch.where(low >= 0, magnitude, 0.0))

    def forward(self, x: Tensor) -> Tensor:
        """Return -1 for values below the threshold and 1 for others."""
        threshold = cast(Tensor, self.threshold)
        if self.training and not x.is_meta:
            with torch.no_grad():
                # Behind a batch norm some input is negative in every batch, and no mean has to be taken.
                mean = x.detach().float().mean() if bool(x.detach().amin() >= 0) else threshold.new_zeros(())
                threshold.lerp_(mean, _THRESHOLD_MOMENTUM if bool(threshold > 0) else 1.0)
        return cast(Tensor, _Sign.apply(x, threshold, self.gradient))
