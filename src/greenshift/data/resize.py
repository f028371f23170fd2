"""Images of fewer pixels, as a camera of that resolution would have taken them."""

import dataclasses

import torch
from torch import Tensor

from greenshift.data.dataset import Dataset
from greenshift.errors import InputError

_CHUNK = 5000  # images in float32 at a time: CIFAR's 60,000 would take 740 MB


def check_resolution(resolution: int, image_size: int, name: str) -> None:
    """Refuse images that would have to be enlarged.

    Args:
        resolution: Wanted height and width in pixels.
        image_size: Height and width of the dataset's images in pixels.
        name: The dataset's, for the message.

    Raises:
        InputError: If the resolution is above the data's.
    """
    if resolution > image_size:
        raise InputError(
            f"design: a resolution of {resolution} is above that of {name}, whose images have {image_size} pixels a "
            "side; give a smaller one or none"
        )


def resized(dataset: Dataset, resolution: int | None) -> Dataset:
    """Return a dataset with its images at another resolution, as bytes again.

    The mean and the deviation by which images are normalised stay the dataset's: averaging keeps the mean.

    Args:
        dataset: The dataset; it is not changed.
        resolution: Height and width in pixels, at most the dataset's; None for its own.

    Raises:
        InputError: If the resolution is above the data's.
    """
    if resolution is None or resolution == dataset.image_size:
        return dataset
    check_resolution(resolution, dataset.image_size, dataset.name)
    train, test = (area_average(images, resolution) for images in (dataset.train_images, dataset.test_images))
    return dataclasses.replace(dataset, train_images=train, test_images=test)


def area_average(images: Tensor, resolution: int) -> Tensor:
    """Average over the area that each new pixel covers, old pixels counted by the share that lies inside.

    Args:
        images: uint8 [N, C, H, H].
        resolution: New height and width in pixels, at most H.

    Returns:
        uint8 [N, C, resolution, resolution], rounded to nearest.
    """
    weights = _overlaps(images.shape[-1], resolution)
    chunks = images.split(_CHUNK)
    return torch.cat([(weights @ chunk.float() @ weights.T).round().to(torch.uint8) for chunk in chunks])


def _overlaps(old: int, new: int) -> Tensor:
    """Share of each of `new` equal parts of a line that each of `old` equal parts covers, [new, old]."""
    edges = torch.arange(new + 1, dtype=torch.float64) * old / new
    pixels = torch.arange(old, dtype=torch.float64)
    ends = torch.minimum(edges[1:, None], pixels + 1)
    starts = torch.maximum(edges[:-1, None], pixels)
    return ((ends - starts).clamp_min(0) * new / old).float()
