"""Batches on tensors: shuffle, augment, normalise, all of it for a whole batch at once."""

from collections.abc import Iterator, Sequence
from typing import get_args

import torch
from torch import Tensor
from torch.nn import functional

from greenshift.data.dataset import Augment, ImageSet
from greenshift.errors import InputError


def normalise(
    images: Tensor, mean: Sequence[float], std: Sequence[float], dtype: torch.dtype = torch.float32
) -> Tensor:
    """Scale to 0..1, subtract the mean and divide by the standard deviation of each channel.

    Args:
        images: uint8 [N, C, H, W]; its memory format (such as channels_last) is kept.
        mean: C values on the scale 0..1.
        std: C values on the scale 0..1.
        dtype: Floating-point type of the result; the arithmetic is float32 in any case.

    Returns:
        `dtype` [N, C, H, W].

    Raises:
        InputError: If the images do not have as many channels as there are means and deviations.
    """
    channels = images.shape[1]
    if not len(mean) == len(std) == channels:
        raise InputError(f"normalise: images have {channels} channels, mean has {len(mean)}, std has {len(std)}")
    deviation = torch.tensor(std, dtype=torch.float64, device=images.device)
    scale = (1 / (255 * deviation)).float().view(-1, 1, 1)
    shift = (-torch.tensor(mean, dtype=torch.float64, device=images.device) / deviation).float().view(-1, 1, 1)
    return images.to(torch.float32).mul_(scale).add_(shift).to(dtype)


def augment(images: Tensor, mode: Augment, generator: torch.Generator) -> Tensor:
    """Shift each image by up to 4 pixels over black (`crop`), and mirror every other one (`crop-flip`).

    Images under 16 pixels move by 1 pixel only: 4 would be half of an 8x8 image.

    Args:
        images: uint8 [N, C, H, W]; its memory format is kept.
        mode: `none` returns the images themselves.
        generator: Source of the shifts and flips; the same state gives the same images.

    Returns:
        uint8 [N, C, H, W].

    Raises:
        InputError: If the mode is unknown.
    """
    if mode not in get_args(Augment):
        raise InputError(f"augment is {', '.join(get_args(Augment))}, not '{mode}'")
    if mode == "none":
        return images
    count, _, height, width = images.shape
    pad = 4 if min(height, width) >= 16 else 1
    shifts = torch.randint(0, 2 * pad + 1, (2, count), generator=generator)
    padded = functional.pad(images, (pad, pad, pad, pad))
    # All (2 pad + 1)^2 crops of every image as a view; picking one of each is the only copy.
    crops = padded.unfold(2, height, 1).unfold(3, width, 1)
    cropped = crops[torch.arange(count), :, shifts[0], shifts[1]]
    if mode == "crop-flip":
        mirrored = torch.rand(count, generator=generator) < 0.5
        cropped = torch.where(mirrored.view(-1, 1, 1, 1), cropped.flip(3), cropped)
    return cropped


def training_steps(images: int, batch_size: int) -> int:
    """Return how many batches `batches` gives for that many images."""
    full, rest = divmod(images, batch_size)
    return full + (rest > 1)


def batches(
    image_set: ImageSet, batch_size: int, *, generator: torch.Generator, augment: Augment = "none"
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the images of one epoch in random order.

    A last batch of a single image is left out (batch norm cannot train on one); the order is new in
    every epoch, so no image is left out for good.

    Args:
        image_set: The images.
        batch_size: Images in a batch; the last batch may have fewer.
        generator: Source of the order and of the augmentation.
        augment: How each batch is augmented.

    Yields:
        uint8 [B, C, H, W] and int64 [B].

    Raises:
        InputError: If the batch size is below 1, or the set gives no batch at all.
    """
    steps = training_steps(len(image_set), batch_size) if batch_size > 0 else 0
    if steps == 0:
        raise InputError(f"batches: {len(image_set)} images give no batch of size {batch_size}")
    order = torch.randperm(len(image_set), generator=generator)
    for indices in torch.split(order, batch_size)[:steps]:
        yield _augment(image_set.images[indices], augment, generator), image_set.labels[indices]


def evaluation_batches(image_set: ImageSet, batch_size: int = 500) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield all images in order, as views: uint8 [B, C, H, W] and int64 [B]."""
    yield from zip(torch.split(image_set.images, batch_size), torch.split(image_set.labels, batch_size), strict=True)


_augment = augment
