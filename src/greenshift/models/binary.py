"""Residual networks whose convolutions can be binary: a shortcut around each of them, no ReLU in front of a sign.

Source: Liu et al., "Bi-Real Net" (ECCV 2018), section 3.1: a shortcut around every convolution keeps the real values
that a sign throws away. Stages, channels and names are those of the residual networks for small images
(`greenshift.models.resnet`), so that `layer*` selects every convolution but the first. Shortcuts that halve the map
average it and repeat the channels (Liu et al., "ReActNet", ECCV 2020, section 4.1), without a convolution that would
have to stay real. PReLUs of one slope after the batch norms (ReActNet's, without its shifts per channel)
leave both signs to the sum that is binarised next, and make a network without signs more than a linear one.
"""

import torch
from torch import Tensor, nn

from greenshift.models.layers import deepened, halvings, initialise, scaled
from greenshift.models.registry import register

_FIRST_SLOPE = 1.0  # the unit starts as the original's, whose sums have no preferred sign


class RepeatShortcut(nn.Module):
    """Mean of each window of `stride` pixels, and the channels `repeats` times over."""

    def __init__(self, stride: int, repeats: int) -> None:
        """Take the stride and the number of repeats."""
        super().__init__()
        # An odd map keeps its last row and column, as under the convolution's stride.
        self.pool: nn.Module = nn.Identity() if stride == 1 else nn.AvgPool2d(stride, ceil_mode=True)
        self.repeats = repeats

    def forward(self, x: Tensor) -> Tensor:
        """Map float [N, C, H, W] to [N, C * repeats, ceil(H / stride), ceil(W / stride)]."""
        return torch.cat([self.pool(x)] * self.repeats, 1)


class BiRealUnit(nn.Module):
    """A 3x3 convolution, its batch norm and PReLU, and a shortcut around them."""

    def __init__(self, inputs: int, repeats: int, stride: int) -> None:
        """Take the input channels, how many times as many come out, and the stride."""
        super().__init__()
        self.conv = nn.Conv2d(inputs, inputs * repeats, 3, stride, 1, bias=False)
        self.bn = nn.BatchNorm2d(inputs * repeats)
        self.prelu = nn.PReLU(init=_FIRST_SLOPE)
        self.shortcut = nn.Identity() if repeats == stride == 1 else RepeatShortcut(stride, repeats)

    def forward(self, x: Tensor) -> Tensor:
        """Map float [N, inputs, H, W] to [N, inputs * repeats, ceil(H / stride), ceil(W / stride)]."""
        out: Tensor = self.prelu(self.bn(self.conv(x))) + self.shortcut(x)
        return out


class BiRealNet(nn.Module):
    """Stem, three stages of units with a shortcut each, global average, linear classifier."""

    def __init__(self, *, units: int, num_classes: int, in_channels: int, image_size: int, width: float) -> None:
        """Build the network with so many units in a stage."""
        super().__init__()
        channels = scaled(16, width)
        stride2, stride3 = halvings(image_size, 2, smallest=2)
        self.conv1 = nn.Conv2d(in_channels, channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.layer1 = _stage(channels, 1, 1, units)
        self.layer2 = _stage(channels, 2, stride2, units)
        self.layer3 = _stage(channels * 2, 2, stride3, units)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(channels * 4, num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map float images [N, in_channels, H, W] to logits [N, num_classes]."""
        y = self.bn1(self.conv1(x))
        y = self.layer3(self.layer2(self.layer1(y)))
        out: Tensor = self.linear(torch.flatten(self.pool(y), 1))
        return out


def _stage(inputs: int, repeats: int, stride: int, units: int) -> nn.Sequential:
    first = BiRealUnit(inputs, repeats, stride)
    return nn.Sequential(first, *(BiRealUnit(inputs * repeats, 1, 1) for _ in range(units - 1)))


@register("birealnet20", layers=20)
def birealnet(
    *, layers: int, num_classes: int, in_channels: int, image_size: int, width: float, depth: float
) -> nn.Module:
    """Build a Bi-Real network, 6n+2 layers at depth 1; every stage has twice the channels of the one before it."""
    units = deepened((layers - 2) // 3, depth)
    return initialise(
        BiRealNet(units=units, num_classes=num_classes, in_channels=in_channels, image_size=image_size, width=width)
    )
