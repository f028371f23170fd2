"""GoogLeNet in its CIFAR form: 64 convolutions with batch norm, a 3x3 stem without stride, no side outputs.

Source: Szegedy et al., "Going Deeper with Convolutions" (CVPR 2015), table 1; the 5x5 convolutions are
two 3x3 ones (Szegedy et al., CVPR 2016, section 3.1).
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from greenshift.models.layers import conv_bn_relu, deepened, halvings, initialise, scaled
from greenshift.models.registry import register


@dataclass(frozen=True)
class _Channels:
    """Outputs of a block's convolutions: 1x1; 1x1 then 3x3; 1x1 then 3x3 twice; 1x1 after the maximum."""

    one: int
    three_in: int
    three: int
    five_in: int
    five: int
    pool: int


# The blocks of table 1 by stage, row by row; between two stages is a 3x3 maximum with stride 2.
_STAGES = (
    (
        _Channels(64, 96, 128, 16, 32, 32),
        _Channels(128, 128, 192, 32, 96, 64),
    ),
    (
        _Channels(192, 96, 208, 16, 48, 64),
        _Channels(160, 112, 224, 24, 64, 64),
        _Channels(128, 128, 256, 24, 64, 64),
        _Channels(112, 144, 288, 32, 64, 64),
        _Channels(256, 160, 320, 32, 128, 128),
    ),
    (
        _Channels(256, 160, 320, 32, 128, 128),
        _Channels(384, 192, 384, 48, 128, 128),
    ),
)


class Inception(nn.Module):
    """Four branches over one input, joined along the channels."""

    def __init__(self, inputs: int, channels: _Channels, width: float) -> None:
        """Take the input channels, the table's channels and the width multiplier."""
        super().__init__()
        one, three_in, three, five_in, five, pool = (
            scaled(c, width)
            for c in (channels.one, channels.three_in, channels.three, channels.five_in, channels.five, channels.pool)
        )
        self.one = conv_bn_relu(inputs, one, 1)
        self.three = nn.Sequential(conv_bn_relu(inputs, three_in, 1), conv_bn_relu(three_in, three, 3))
        self.five = nn.Sequential(
            conv_bn_relu(inputs, five_in, 1), conv_bn_relu(five_in, five, 3), conv_bn_relu(five, five, 3)
        )
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), conv_bn_relu(inputs, pool, 1))
        self.outputs = one + three + five + pool

    def forward(self, x: Tensor) -> Tensor:
        """Map float [N, inputs, H, W] to [N, outputs, H, W]."""
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pool(x)], 1)


@register("googlenet")
def googlenet(*, num_classes: int, in_channels: int, image_size: int, width: float, depth: float) -> nn.Module:
    """Build the stem, nine inception blocks at depth 1, a global average and a linear classifier.

    Maps shrink to a quarter of the image (8x8 images: 2x2). At another depth a stage has its last blocks only, or
    its first one several times.
    """
    strides = iter(halvings(image_size, 2, smallest=2))
    outputs = scaled(192, width)
    layers: list[nn.Module] = [conv_bn_relu(in_channels, outputs, 3)]
    for index, stage in enumerate(_STAGES):
        if index > 0:
            layers.append(nn.MaxPool2d(3, next(strides), 1))
        count = deepened(len(stage), depth)
        for place in range(len(stage) - count, len(stage)):
            block = Inception(outputs, stage[max(place, 0)], width)
            layers.append(block)
            outputs = block.outputs
    return initialise(nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(outputs, num_classes)))
