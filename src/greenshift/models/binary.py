"""Residual networks whose convolutions can be binary: a shortcut around each of them, a batch norm in front of it.

Source: Liu et al., "Bi-Real Net" (ECCV 2018), section 3.1: a shortcut around every convolution keeps the real values
that a sign throws away. Batch norm comes before the sign, as in the blocks of Rastegari et al., "XNOR-Net" (ECCV
2016), section 3.2: it holds both signs in balance, gives every channel a learned threshold (the shift of ReActNet's
RSign: Liu et al., ECCV 2020, section 4.2), and brings values to where a sign's gradient is not zero. A PReLU of one
slope follows the convolution, so that the network is not linear without signs either. Stages, channels and names
are those of the residual networks for small images (`greenshift.models.resnet`): `layer*` selects every convolution
but the first. Shortcuts that halve the map average it and repeat its channels, without a convolution of their own that
would have to stay real.
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.models.layers import deepened, halvings, initialise, scaled
from greenshift.models.registry import register


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


class _OneSlope(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, slope: Tensor) -> Tensor:
        ctx.save_for_backward(x, slope)
        return functional.leaky_relu(x, float(slope))

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        x, slope = ctx.saved_tensors
        below = (grads[0] * x.clamp(max=0)).sum(dtype=slope.dtype)
        return torch.ops.aten.leaky_relu_backward(grads[0], x, float(slope), False), below.reshape(slope.shape)


class OneSlopePReLU(nn.PReLU):
    """PReLU of one slope (He et al., ICCV 2015, section 2.1), whose backward pass is made of fast steps on a CPU.

    torch's own one runs number by number in bfloat16 (benchmarks/training_speed.py).
    """

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Return positive values as they are and negative ones times the slope; any shape."""
        if self.training and input.device.type == "cpu":
            return cast(Tensor, _OneSlope.apply(input, self.weight))
        return super().forward(input)


class BiRealUnit(nn.Module):
    """A batch norm, a 3x3 convolution and a PReLU, and a shortcut around them."""

    def __init__(self, inputs: int, repeats: int, stride: int) -> None:
        """Take the input channels, how many times as many come out, and the stride."""
        super().__init__()
        self.bn = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, inputs * repeats, 3, stride, 1, bias=False)
        self.prelu = OneSlopePReLU()
        self.shortcut = nn.Identity() if repeats == stride == 1 else RepeatShortcut(stride, repeats)

    def forward(self, x: Tensor) -> Tensor:
        """Map float [N, inputs, H, W] to [N, inputs * repeats, ceil(H / stride), ceil(W / stride)]."""
        out: Tensor = self.prelu(self.conv(self.bn(x))) + self.shortcut(x)
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
