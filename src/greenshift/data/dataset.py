"""What a dataset is: images and labels in memory, and how they like to be trained on."""

from dataclasses import dataclass
from typing import Literal

import torch
from torch import Tensor

Augment = Literal["none", "crop", "crop-flip"]


@dataclass(frozen=True, eq=False)
class ImageSet:
    """Images with their labels.

    Attributes:
        images: uint8 [N, C, H, W].
        labels: int64 [N].
    """

    images: Tensor
    labels: Tensor

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.labels)


@dataclass(frozen=True, eq=False)
class Dataset:
    """A classification dataset of square images. Loaded ones are shared: do not write to the tensors.

    Attributes:
        name: Name, or path of an image folder.
        train_images: uint8 [N, C, H, W].
        train_labels: int64 [N], below the number of classes.
        test_images: uint8 [M, C, H, W].
        test_labels: int64 [M].
        classes: Names of the classes, by label.
        mean: Mean of each channel on the scale 0..1, subtracted before training.
        std: Standard deviation of each channel on the scale 0..1, divided by before training.
        augment: The augmentation that suits the images.
        epochs_range: Fewest and most epochs that a search tries on it.
    """

    name: str
    train_images: Tensor
    train_labels: Tensor
    test_images: Tensor
    test_labels: Tensor
    classes: tuple[str, ...]
    mean: tuple[float, ...]
    std: tuple[float, ...]
    augment: Augment = "crop-flip"
    epochs_range: tuple[int, int] = (5, 100)

    @property
    def num_classes(self) -> int:
        """Number of classes."""
        return len(self.classes)

    @property
    def in_channels(self) -> int:
        """Channels of an image."""
        return int(self.train_images.shape[1])

    @property
    def image_size(self) -> int:
        """Height and width of an image in pixels."""
        return int(self.train_images.shape[2])


def channel_statistics(images: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return the mean and standard deviation of each channel on the scale 0..1.

    Args:
        images: uint8 [N, C, H, W].

    Returns:
        Two tuples of length C. A constant channel gets a deviation of 1, so that it can be divided by.
    """
    values = torch.arange(256, dtype=torch.float64) / 255
    means, stds = [], []
    for channel in images.unbind(1):
        share = channel.flatten().bincount(minlength=256).double() / channel.numel()
        mean = float((share * values).sum())
        means.append(mean)
        stds.append(float((share * (values - mean) ** 2).sum().sqrt()) or 1.0)
    return tuple(means), tuple(stds)
