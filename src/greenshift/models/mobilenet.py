"""MobileNetV2 in its CIFAR form: the stem and the second stage keep the resolution.

Source: Sandler et al., "MobileNetV2: Inverted Residuals and Linear Bottlenecks" (CVPR 2018), table 2. The
activations are plain ReLUs, as usual for CIFAR: the limit of 6 is there for low-precision arithmetic,
which the schemes handle by their own ranges.
"""

from torch import Tensor, nn

from greenshift.models.layers import conv_bn_relu, deepened, halvings, initialise, scaled
from greenshift.models.registry import register

# Expansion, channels, blocks, and whether the stage halves its map for 32x32 images.
_STAGES = (
    (1, 16, 1, False),
    (6, 24, 2, False),
    (6, 32, 3, True),
    (6, 64, 4, True),
    (6, 96, 3, False),
    (6, 160, 3, True),
    (6, 320, 1, False),
)


class InvertedResidual(nn.Module):
    """Widen by 1x1, filter each channel by 3x3, narrow by 1x1 without activation; shortcut where shapes agree."""

    def __init__(self, inputs: int, outputs: int, expansion: int, stride: int) -> None:
        """Take the channel counts, the expansion of the inner channels and the stride of the 3x3 filter."""
        super().__init__()
        inner = inputs * expansion
        layers: list[nn.Module] = [] if expansion == 1 else [conv_bn_relu(inputs, inner, 1)]
        layers.append(conv_bn_relu(inner, inner, 3, stride, groups=inner))
        layers.append(conv_bn_relu(inner, outputs, 1, relu=False))
        self.layers = nn.Sequential(*layers)
        self.residual = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        """Map float [N, inputs, H, W] to [N, outputs, ceil(H / stride), ceil(W / stride)]."""
        y: Tensor = self.layers(x)
        return x + y if self.residual else y


@register("mobilenetv2")
def mobilenetv2(*, num_classes: int, in_channels: int, image_size: int, width: float, depth: float) -> nn.Module:
    """Build the stem, 17 inverted residuals at depth 1, the 1x1 head, a global average and a linear classifier.

    Maps shrink to an eighth of the image, but not below 2x2: for 8x8 images the first halving is left out.
    """
    strides = iter(halvings(image_size, 3, smallest=2))
    inputs = scaled(32, width)
    layers: list[nn.Module] = [conv_bn_relu(in_channels, inputs, 3)]
    for expansion, channels, blocks, halves in _STAGES:
        outputs = scaled(channels, width)
        stride = next(strides) if halves else 1
        for index in range(deepened(blocks, depth)):
            layers.append(InvertedResidual(inputs, outputs, expansion, stride if index == 0 else 1))
            inputs = outputs
    head = scaled(1280, width)
    layers += [conv_bn_relu(inputs, head, 1), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(head, num_classes)]
    return initialise(nn.Sequential(*layers))
