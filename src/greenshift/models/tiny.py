"""A small plain network for small images: what the default study searches in minutes."""

from torch import nn

from greenshift.models.layers import conv_bn_relu, deepened, halving_pool, halvings, initialise, scaled
from greenshift.models.registry import register


@register("tiny_cnn")
def tiny_cnn(*, num_classes: int, in_channels: int, image_size: int, width: float, depth: float) -> nn.Module:
    """Build four 3x3 convolutions (16, 32, 32 and 64 channels), a global average and a linear classifier.

    About 34,000 parameters at width 1. A 2x2 maximum follows the first and the second convolution; images
    under 16 pixels have the second one only, so that the last maps of 8x8 images are 4x4. A convolution
    is a stage: a depth of 2 has two of each, and none is left out.
    """
    channels = [scaled(c, width) for c in (16, 32, 32, 64)]
    layers: list[nn.Module] = []
    inputs, size = in_channels, image_size
    for outputs, stride in zip(channels, (*halvings(image_size, 2, smallest=4), 1, 1), strict=True):
        for _ in range(deepened(1, depth)):
            layers.append(conv_bn_relu(inputs, outputs, 3))
            inputs = outputs
        if stride == 2:
            layers.append(halving_pool(size))
            size = -(-size // 2)
    pool = nn.AdaptiveAvgPool2d(1)
    return initialise(nn.Sequential(*layers, pool, nn.Flatten(), nn.Linear(inputs, num_classes)))
