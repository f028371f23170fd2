"""Image folders: `train/CLASS/*.png` and `test/CLASS/*.png`, any sizes, into square tensors."""

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from greenshift.data.dataset import Dataset, channel_statistics
from greenshift.errors import InputError

_EXTENSIONS = {".png", ".jpg", ".jpeg", ".bmp", ".gif", ".webp", ".ppm", ".pgm", ".tif", ".tiff"}
_GREY_MODES = {"1", "L", "LA"}
_DEFAULT_SIZE = 32


def parse_folder(name: str) -> tuple[Path, int]:
    """Read `PATH` or `PATH@SIZE` into the folder and the image size in pixels (32 unless given)."""
    path, _, size = name.rpartition("@")
    if path and size.isdecimal() and not Path(name).expanduser().exists():
        return Path(path).expanduser(), int(size)
    return Path(name).expanduser(), _DEFAULT_SIZE


def load_image_folder(name: str, path: Path, size: int) -> Dataset:
    """Load a folder with `train/CLASS/` and `test/CLASS/` (or, if there is no `test`, `val/CLASS/`).

    Every image is stretched to `size` x `size`. The result is grey if every image is, colour otherwise.
    Validation images are always cut from `train`, as for every dataset.

    Args:
        name: Name of the dataset.
        path: The folder.
        size: Height and width of the result in pixels.

    Raises:
        InputError: If a part is missing or empty, the parts' classes differ, or an image is damaged.
    """
    if size < 1:
        raise InputError(f"dataset {name}: the size after @ must be at least 1 pixel")
    test = path / "test" if (path / "test").is_dir() else path / "val"
    train_files = _files(path / "train")
    test_files = _files(test)
    classes = tuple(train_files)
    unknown = sorted(set(test_files) - set(classes))
    if unknown:
        raise InputError(f"{test / unknown[0]}: {path / 'train'} has no class '{unknown[0]}'")
    if len(classes) < 2:
        raise InputError(f"{path / 'train'} has one class only; at least two are needed")
    train_images, train_labels, train_grey = _read_all(train_files, classes, size)
    test_images, test_labels, test_grey = _read_all(test_files, classes, size)
    channels = 1 if train_grey and test_grey else 3
    mean, std = channel_statistics(train_images[:, :channels])
    return Dataset(
        name=name,
        train_images=train_images[:, :channels].contiguous(),
        train_labels=train_labels,
        test_images=test_images[:, :channels].contiguous(),
        test_labels=test_labels,
        classes=classes,
        mean=mean,
        std=std,
    )


def _files(part: Path) -> dict[str, list[Path]]:
    """Return the image files of each class, both sorted."""
    if not part.is_dir():
        raise InputError(f"{part} is missing: an image folder holds train/CLASS/ and test/CLASS/ (or val/CLASS/)")
    folders = sorted(folder for folder in part.iterdir() if folder.is_dir() and not folder.name.startswith("."))
    files = {f.name: sorted(p for p in f.rglob("*") if p.suffix.lower() in _EXTENSIONS) for f in folders}
    if not files:
        raise InputError(f"{part} has no class folders: put the images of each class into {part}/CLASS/")
    for label, found in files.items():
        if not found:
            raise InputError(f"{part / label} holds no images ({', '.join(sorted(_EXTENSIONS))})")
    return files


def _read_all(files: dict[str, list[Path]], classes: tuple[str, ...], size: int) -> tuple[Tensor, Tensor, bool]:
    """Return uint8 [N, 3, size, size], int64 labels [N], and whether every image is grey."""
    count = sum(len(found) for found in files.values())
    images = torch.empty(count, 3, size, size, dtype=torch.uint8)
    labels = torch.empty(count, dtype=torch.int64)
    all_grey, row = True, 0
    for label, found in files.items():
        for path in found:
            pixels, grey = _read_image(path, size)
            images[row] = torch.from_numpy(pixels).permute(2, 0, 1)
            labels[row] = classes.index(label)
            all_grey, row = all_grey and grey, row + 1
    return images, labels, all_grey


def _read_image(path: Path, size: int) -> tuple[NDArray[np.uint8], bool]:
    """Return uint8 [size, size, 3], upright, and whether the file is grey."""
    try:
        with Image.open(path) as file:
            # Lets a JPEG be decoded at a fraction of its size; other formats ignore it.
            file.draft(file.mode, (2 * size, 2 * size))
            image: Image.Image = ImageOps.exif_transpose(file)
            if image.mode.startswith("I"):
                # 16-bit grey; Pillow's own conversion would clip instead of scale.
                image = Image.fromarray((np.asarray(image).clip(0, 65535) // 256).astype(np.uint8))
            grey = image.mode in _GREY_MODES
            image = image.convert("RGB").resize((size, size), Image.Resampling.BILINEAR)
            return np.array(image, dtype=np.uint8), grey
    except Exception as error:
        # Pillow raises OSError, SyntaxError, ValueError and its own kinds for damaged files.
        raise InputError(f"{path} cannot be read as an image: {error}") from error
