"""LeNet-5: the small network on which sparse networks are compared.

Source: LeCun et al., "Gradient-Based Learning Applied to Document Recognition" (Proceedings of the IEEE 1998),
section II.B, in its common form of today: maxima instead of trained subsampling, every convolution connected to
all maps, ReLU (which a design can replace by other functions) and a linear classifier. No batch norms.
"""

from torch import nn

from greenshift.models.layers import halving_pool, initialise, scaled
from greenshift.models.registry import register

_FULL_SIZE = 32  # what the network was designed for
_KERNEL = 5


@register("lenet5")
def lenet5(*, num_classes: int, in_channels: int, image_size: int, width: float) -> nn.Module:
    """Build two 5x5 convolutions (6 and 16 channels) with a 2x2 maximum each, and three linear layers (120, 84).

    61,706 parameters for 28x28 and 32x32 grey images at width 1. Images under 32 pixels are padded by the first
    convolution, as the original pads 28 pixels to 32; the second one pads where its map would hold no kernel.
    """
    first, second, wide, narrow = (scaled(c, width) for c in (6, 16, 120, 84))
    padding = _KERNEL // 2 if image_size < _FULL_SIZE else 0
    size = image_size + 2 * padding - _KERNEL + 1
    layers: list[nn.Module] = [nn.Conv2d(in_channels, first, _KERNEL, padding=padding), nn.ReLU(), halving_pool(size)]
    size = -(-size // 2)
    padding = 0 if size >= 2 * _KERNEL else _KERNEL // 2
    layers += [nn.Conv2d(first, second, _KERNEL, padding=padding), nn.ReLU()]
    size += 2 * padding - _KERNEL + 1
    layers.append(halving_pool(size))
    size = -(-size // 2)
    layers += [nn.Flatten(), nn.Linear(second * size * size, wide), nn.ReLU(), nn.Linear(wide, narrow), nn.ReLU()]
    return initialise(nn.Sequential(*layers, nn.Linear(narrow, num_classes)))
