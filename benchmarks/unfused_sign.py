"""Signs with the gradient of Bi-Real Net as a chain of separate autograd steps, as such networks are often written.

The yardstick for `greenshift.compress.sign`: the same formula (Liu et al., "Bi-Real Net", ECCV 2018, section 3.2), with
the sign put in the place of its piecewise quadratic approximation, which keeps its gradient. In bfloat16 the sum of the
two is a sign but for its rounding.
"""

import torch
from torch import Tensor, nn

from greenshift.compress.sign import Sign


class UnfusedSign(nn.Module):
    """-1 below zero and 1 elsewhere, one autograd node per operation."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the signs; any shape."""
        clipped = x.clamp(-1, 1)
        soft = clipped * (2 - clipped.abs())
        return soft + (torch.where(x < 0, -1.0, 1.0).to(x.dtype) - soft).detach()


def unfuse_signs(model: nn.Module) -> nn.Module:
    """Put these signs, and torch's own PReLU, in the place of a network's; return the network."""
    for parent in list(model.modules()):
        for name, layer in list(parent.named_children()):
            if isinstance(layer, Sign):
                setattr(parent, name, UnfusedSign())
            elif isinstance(layer, nn.PReLU):
                setattr(parent, name, nn.PReLU())
    return model
