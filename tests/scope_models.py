"""Networks from elsewhere, for tests of what can be searched on them."""

from torch import nn


def small(num_classes: int, in_channels: int) -> nn.Module:
    """A 5x5 convolution after another, with an activation that is no ReLU."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 8, 5, padding=2),
        nn.GELU(),
        nn.Conv2d(8, 8, 5, padding=2),
        nn.GELU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, num_classes),
    )


def thin(num_classes: int, in_channels: int) -> nn.Module:
    """A convolution over two channels between two others."""
    return nn.Sequential(
        nn.Conv2d(in_channels, 2, 3, padding=1),
        nn.ReLU(),
        nn.Conv2d(2, 8, 3, padding=1),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(8, num_classes),
    )


def bare(num_classes: int, in_channels: int) -> nn.Module:
    """A network that has an activation only behind its classifier."""
    body = nn.Sequential(nn.Conv2d(in_channels, 8, 3, padding=1), nn.Conv2d(8, 8, 3, padding=1))
    return nn.Sequential(body, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, num_classes), nn.ReLU())
