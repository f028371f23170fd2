"""VGG with batch norm, in its CIFAR form: one linear layer instead of three.

Source: Simonyan and Zisserman, "Very Deep Convolutional Networks" (ICLR 2015), table 1, columns D and E.
"""

from torch import nn

from greenshift.models.layers import conv_bn_relu, deepened, halving_pool, halvings, initialise, scaled
from greenshift.models.registry import register

_CHANNELS = (64, 128, 256, 512, 512)


@register("vgg16", convolutions=(2, 2, 3, 3, 3))
@register("vgg19", convolutions=(2, 2, 4, 4, 4))
def vgg(
    *, convolutions: tuple[int, ...], num_classes: int, in_channels: int, image_size: int, width: float, depth: float
) -> nn.Module:
    """Build five stages of 3x3 convolutions, each closed by a 2x2 maximum, and a linear classifier.

    Images of 17 to 32 pixels shrink to a single pixel in five steps; for smaller ones the maxima of the
    first stages are left out (8x8: of the first two). Larger ones end in a global average. `depth` multiplies
    the convolutions of a stage.
    """
    layers: list[nn.Module] = []
    inputs, size = in_channels, image_size
    for channels, count, stride in zip(_CHANNELS, convolutions, halvings(image_size, 5, smallest=1), strict=True):
        outputs = scaled(channels, width)
        for _ in range(deepened(count, depth)):
            layers.append(conv_bn_relu(inputs, outputs, 3))
            inputs = outputs
        if stride == 2:
            layers.append(halving_pool(size))
            size = -(-size // 2)
    pool = nn.AdaptiveAvgPool2d(1)
    return initialise(nn.Sequential(*layers, pool, nn.Flatten(), nn.Linear(inputs, num_classes)))
