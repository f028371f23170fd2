"""A small plain network for small images: what the default study searches in minutes."""

from torch import nn

from greenshift.models.layers import conv_bn_relu, halvings, initialise, scaled
from greenshift.models.registry import register


@register("tiny_cnn")
def tiny_cnn(*, num_classes: int, in_channels: int, image_size: int, width: float) -> nn.Module:
    """Build four 3x3 convolutions (16, 32, 32 and 64 channels), a global average and a linear classifier.

    About 33,000 parameters at width 1. Maps shrink to a quarter of the image (8x8 images: 2x2).
    """
    a, b, c, d = (scaled(channels, width) for channels in (16, 32, 32, 64))
    stride2, stride4 = halvings(image_size, 2, smallest=2)
    return initialise(
        nn.Sequential(
            conv_bn_relu(in_channels, a, 3),
            conv_bn_relu(a, b, 3, stride2),
            conv_bn_relu(b, c, 3),
            conv_bn_relu(c, d, 3, stride4),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
            nn.Linear(d, num_classes),
        )
    )
