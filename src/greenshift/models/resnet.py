"""Residual networks for small images.

Source: He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016), section 4.2: three
stages of 2n layers with 16, 32 and 64 channels, 6n+2 layers in all, shortcuts without parameters
(option A). Parameter names are those of the widely used CIFAR checkpoints (`conv1`, `layer1.0.conv1`,
..., `linear`).
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.models.layers import deepened, halvings, initialise, scaled
from greenshift.models.registry import register


class PadShortcut(nn.Module):
    """Option A shortcut: every `stride`-th pixel, and zero channels on both sides of the old ones."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Take the channel counts (`outputs` at least `inputs`) and the stride."""
        super().__init__()
        self.stride = stride
        self.before = (outputs - inputs) // 2
        self.after = outputs - inputs - self.before

    def forward(self, x: Tensor) -> Tensor:
        """Map float [N, inputs, H, W] to [N, outputs, ceil(H / stride), ceil(W / stride)]."""
        return functional.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, self.before, self.after))


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut around them."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        """Take the channel counts and the stride of the first convolution."""
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        same = inputs == outputs and stride == 1
        self.shortcut: nn.Module = nn.Identity() if same else PadShortcut(inputs, outputs, stride)
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        """Map float [N, inputs, H, W] to [N, outputs, ceil(H / stride), ceil(W / stride)]."""
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        out: Tensor = self.relu2(y + self.shortcut(x))
        return out


class ResNet(nn.Module):
    """Stem, three stages of basic blocks, global average, linear classifier."""

    def __init__(self, *, blocks: int, num_classes: int, in_channels: int, image_size: int, width: float) -> None:
        """Build the network with so many blocks in a stage."""
        super().__init__()
        channels = [scaled(c, width) for c in (16, 32, 64)]
        stride2, stride3 = halvings(image_size, 2, smallest=2)
        self.conv1 = nn.Conv2d(in_channels, channels[0], 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels[0])
        self.relu = nn.ReLU()
        self.layer1 = _stage(channels[0], channels[0], blocks, 1)
        self.layer2 = _stage(channels[0], channels[1], blocks, stride2)
        self.layer3 = _stage(channels[1], channels[2], blocks, stride3)
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(channels[2], num_classes)

    def forward(self, x: Tensor) -> Tensor:
        """Map float images [N, in_channels, H, W] to logits [N, num_classes]."""
        y = self.relu(self.bn1(self.conv1(x)))
        y = self.layer3(self.layer2(self.layer1(y)))
        out: Tensor = self.linear(torch.flatten(self.pool(y), 1))
        return out


def _stage(inputs: int, outputs: int, blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(inputs, outputs, stride)
    return nn.Sequential(first, *(BasicBlock(outputs, outputs, 1) for _ in range(blocks - 1)))


@register("resnet20", layers=20)
@register("resnet32", layers=32)
@register("resnet56", layers=56)
def resnet(
    *, layers: int, num_classes: int, in_channels: int, image_size: int, width: float, depth: float
) -> nn.Module:
    """Build a residual network, 6n+2 layers at depth 1; maps shrink to a quarter of the image (8x8 images: 2x2)."""
    blocks = deepened((layers - 2) // 6, depth)
    return initialise(
        ResNet(blocks=blocks, num_classes=num_classes, in_channels=in_channels, image_size=image_size, width=width)
    )
