"""Fashion-MNIST from its four IDX files: 70,000 grey images of 28x28 pixels in 10 classes.

Source: Xiao, Rasul and Vollgraf, "Fashion-MNIST" (arXiv:1708.07747). The IDX layout: a big-endian magic
number (2051 for images, 2049 for labels), the sizes as 32-bit integers, then one byte per value.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from greenshift.data.dataset import Dataset
from greenshift.data.registry import register
from greenshift.data.sources import locate, read
from greenshift.errors import InputError

_FILES = tuple(f"{part}-{kind}-ubyte" for part in ("train", "t10k") for kind in ("images-idx3", "labels-idx1"))
_CLASSES = (
    "T-shirt/top", "trouser", "pullover", "dress", "coat", "sandal", "shirt", "sneaker", "bag", "ankle boot",
)  # fmt: skip
_SIZE = 28


@register("fashion-mnist")
def load_fashion_mnist(roots: tuple[Path, ...]) -> Dataset:
    """Load Fashion-MNIST from `fashion-mnist/` in one of the data folders; files may be gzipped.

    Raises:
        InputError: If the files are not found, or one of them is damaged or does not fit the others.
    """
    names = [*_FILES, *(f"{name}.gz" for name in _FILES)]
    place = locate("fashion-mnist", roots, [(sub, names) for sub in ("fashion-mnist", "FashionMNIST/raw", "")])
    train_images, train_labels = _part(place, "train")
    test_images, test_labels = _part(place, "t10k")
    return Dataset(
        name="fashion-mnist",
        train_images=train_images,
        train_labels=train_labels,
        test_images=test_images,
        test_labels=test_labels,
        classes=_CLASSES,
        mean=(0.2860,),
        std=(0.3530,),
    )


def _part(place: Path, part: str) -> tuple[Tensor, Tensor]:
    images_path, images = _read_idx(place / f"{part}-images-idx3-ubyte", 3)
    labels_path, labels = _read_idx(place / f"{part}-labels-idx1-ubyte", 1)
    if images.shape[1:] != (_SIZE, _SIZE):
        raise InputError(
            f"{images_path} holds images of {images.shape[1]}x{images.shape[2]} pixels, not {_SIZE}x{_SIZE}"
        )
    if len(images) != len(labels):
        raise InputError(f"{labels_path} holds {len(labels)} labels for the {len(images)} images of {images_path.name}")
    if labels.max() >= len(_CLASSES):
        raise InputError(f"{labels_path} holds label {labels.max()}; labels are 0 to {len(_CLASSES) - 1}")
    return torch.from_numpy(images.copy()).unsqueeze(1), torch.from_numpy(labels.astype(np.int64))


def _read_idx(path: Path, dimensions: int) -> tuple[Path, np.ndarray]:
    """Return the path that was read, raw or gzipped, and its uint8 array."""
    zipped = path.with_name(path.name + ".gz")
    if not path.is_file() and zipped.is_file():
        path, content = zipped, _unzip(zipped)
    else:
        content = read(path)
    header = 4 + 4 * dimensions
    magic = 2048 + dimensions
    if len(content) < header:
        raise InputError(f"{path} is truncated: {len(content)} bytes are no IDX file")
    found, *shape = struct.unpack(f">{1 + dimensions}I", content[:header])
    if found != magic:
        raise InputError(f"{path} starts with {found}, not {magic}: it is no IDX file of {dimensions} dimensions")
    expected = math.prod(shape)
    if len(content) - header != expected or expected == 0:
        raise InputError(
            f"{path} announces {shape[0]} records, {expected} bytes, but holds {len(content) - header} bytes; "
            "fetch the official file again"
        )
    return path, np.frombuffer(content, np.uint8, offset=header).reshape(shape)


def _unzip(path: Path) -> bytes:
    try:
        return gzip.decompress(read(path))
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise InputError(f"{path} is damaged or truncated ({error}); fetch the official file again") from error
