"""Sign activations: a layer's input becomes -1 or 1, and a gradient passes near zero only."""

from typing import Any, Literal, cast

import torch
from torch import Tensor, nn


class _Sign(torch.autograd.Function):
    """Sign of each value, 1 for zero; the slope of its gradient is given."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, gradient: str) -> Tensor:
        ctx.save_for_backward(x)
        ctx.gradient = gradient
        return torch.where(x < 0, -1.0, 1.0).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (x,) = ctx.saved_tensors
        distance = x.abs()
        if ctx.gradient == "clipped":
            return grads[0] * (distance <= 1), None
        # 2 - 2|x| is exact in the type of x for |x| from 0.5 to 1 and rounded once below: no float32 copy is needed.
        return grads[0] * (2.0 - 2.0 * distance).clamp_(min=0.0), None


class Sign(nn.Module):
    """Replace a layer's input by its signs; -1 and 1 are exact in every float type, and so are sums of products.

    Args:
        gradient: `approx` or `clipped`, see `greenshift.schemes.Binary`.
    """

    def __init__(self, gradient: Literal["approx", "clipped"]) -> None:
        super().__init__()
        self.gradient = gradient

    def forward(self, x: Tensor) -> Tensor:
        """Return -1 for values below zero and 1 for others."""
        return cast(Tensor, _Sign.apply(x, self.gradient))
