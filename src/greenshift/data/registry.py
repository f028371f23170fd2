"""Datasets by name."""

import difflib
import functools
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from greenshift.data.dataset import Dataset
from greenshift.data.folders import load_image_folder, parse_folder
from greenshift.data.sources import search_path
from greenshift.errors import InputError

Loader = Callable[[tuple[Path, ...]], Dataset]
L = TypeVar("L", bound=Loader)

_LOADERS: dict[str, Loader] = {}
# Enough for a study and its tests; CIFAR takes 180 MB.
_CACHED = 4


def register(name: str) -> Callable[[L], L]:
    """Function decorator: make a loader, called with the data folders in order, known under a name.

    Raises:
        ValueError: If the name is taken.
    """

    def mark(loader: L) -> L:
        if name in _LOADERS:
            raise ValueError(f"a dataset named '{name}' is registered already")
        _LOADERS[name] = loader
        return loader

    return mark


def dataset_names() -> tuple[str, ...]:
    """Return the names of the known datasets, sorted."""
    return tuple(sorted(_LOADERS))


def load_dataset(name: str, folder: str | None = None) -> Dataset:
    """Load a dataset; a second call in the same process gives the same object.

    Args:
        name: A known name (see `dataset_names`), or the path of an image folder: `train/CLASS/` and
            `test/CLASS/` (or `val/CLASS/`) with images, resized to 32x32, or to 64x64 for `PATH@64`.
        folder: Folder that holds the official dataset folders; it is looked at before the folder named
            by `GREENSHIFT_DATA` and the usual system folders. Nothing is downloaded.

    Returns:
        The dataset.

    Raises:
        InputError: If the name is unknown, the files are not found, or one of them is wrong.
    """
    if name in _LOADERS:
        return _load(name, search_path(folder))
    path, size = parse_folder(name)
    if name and path.is_dir():
        return _load_folder(name, path.resolve(), size)
    close = difflib.get_close_matches(name, dataset_names(), n=2)
    hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(dataset_names())}"
    raise InputError(f"dataset '{name}' is neither known nor the path of an image folder; {hint}")


@functools.lru_cache(maxsize=_CACHED)
def _load(name: str, roots: tuple[Path, ...]) -> Dataset:
    return _LOADERS[name](roots)


@functools.lru_cache(maxsize=_CACHED)
def _load_folder(name: str, path: Path, size: int) -> Dataset:
    return load_image_folder(name, path, size)
