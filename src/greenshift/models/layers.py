"""Parts that the families share: channel and map sizes, the conv-norm-relu unit, initial weights."""

from torch import nn


def scaled(channels: int, width: float) -> int:
    """Return a channel count times a width multiplier, rounded to a multiple of 4 and at least 4.

    Multiples of 4 fill the words that kernels load; a width of 1 changes nothing.
    """
    if width == 1:
        return channels
    return max(4, 4 * round(channels * width / 4))


def deepened(blocks: int, depth: float) -> int:
    """Return a stage's number of blocks times a depth multiplier, rounded (halves up) and at least one."""
    return max(1, int(blocks * depth + 0.5))


def halvings(image_size: int, wanted: int, smallest: int) -> tuple[int, ...]:
    """Say at which of the places where a network for 32x32 images halves its maps it still should.

    A halving that would take the map below `smallest` is saved, and it is saved at the input side:
    the deep layers, which hold most channels, then see the map sizes that they were designed for.

    Args:
        image_size: Height and width of the images in pixels.
        wanted: Number of places.
        smallest: Smallest final map, in pixels.

    Returns:
        The stride at each place, input first: 1 or 2.
    """
    kept, size = 0, image_size
    while kept < wanted and -(-size // 2) >= smallest and size > 1:
        kept, size = kept + 1, -(-size // 2)
    return (1,) * (wanted - kept) + (2,) * kept


def halving_pool(size: int) -> nn.MaxPool2d:
    """Return a 2x2 maximum for maps of a size; an odd map keeps its last row and column, as under a stride of 2."""
    return nn.MaxPool2d(2, ceil_mode=size % 2 == 1)


def conv_bn_relu(
    inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1, relu: bool = True
) -> nn.Sequential:
    """Return a convolution with "same" padding and no bias, its batch norm and, unless left out, its ReLU."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, groups=groups, bias=False)
    layers: list[nn.Module] = [conv, nn.BatchNorm2d(outputs)]
    return nn.Sequential(*layers, nn.ReLU()) if relu else nn.Sequential(*layers)


def initialise(model: nn.Module) -> nn.Module:
    """Draw the convolution and linear weights by He's rule (fan-in, normal), from torch's global generator.

    Source: He et al., "Delving Deep into Rectifiers" (ICCV 2015), section 2.2. Batch norms and linear
    biases keep torch's defaults.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight)
    return model
