"""CIFAR-10 and CIFAR-100 from their official binary or Python files: 60,000 colour images of 32x32 pixels.

Source: Krizhevsky, "Learning Multiple Layers of Features from Tiny Images" (2009). Binary records are the
label byte (CIFAR-100: coarse and fine label), then 1024 bytes each of red, green and blue, row by row.
"""

import io
import pickle
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from greenshift.data.dataset import Dataset
from greenshift.data.registry import register
from greenshift.data.sources import locate, read, read_exactly
from greenshift.errors import InputError

_PIXELS = 3 * 32 * 32
# ImageNet's statistics, not CIFAR's own: the checkpoints in wide use were trained with them.
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

_FINE_CLASSES = """
apple aquarium_fish baby bear beaver bed bee beetle bicycle bottle bowl boy bridge bus butterfly camel can
castle caterpillar cattle chair chimpanzee clock cloud cockroach couch crab crocodile cup dinosaur dolphin
elephant flatfish forest fox girl hamster house kangaroo keyboard lamp lawn_mower leopard lion lizard lobster
man maple_tree motorcycle mountain mouse mushroom oak_tree orange orchid otter palm_tree pear pickup_truck
pine_tree plain plate poppy porcupine possum rabbit raccoon ray road rocket rose sea seal shark shrew skunk
skyscraper snail snake spider squirrel streetcar sunflower sweet_pepper table tank telephone television tiger
tractor train trout tulip turtle wardrobe whale willow_tree wolf woman worm
"""


@dataclass(frozen=True)
class _Layout:
    """One of the two CIFARs as its archives hold it: file stems with their record counts."""

    name: str
    binary_folder: str
    python_folder: str
    train: tuple[tuple[str, int], ...]
    test: tuple[str, int]
    label_bytes: int
    label_key: str
    classes: tuple[str, ...]


_CIFAR10 = _Layout(
    name="cifar10",
    binary_folder="cifar-10-batches-bin",
    python_folder="cifar-10-batches-py",
    train=tuple((f"data_batch_{index}", 10_000) for index in range(1, 6)),
    test=("test_batch", 10_000),
    label_bytes=1,
    label_key="labels",
    classes=("airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"),
)
_CIFAR100 = _Layout(
    name="cifar100",
    binary_folder="cifar-100-binary",
    python_folder="cifar-100-python",
    train=(("train", 50_000),),
    test=("test", 10_000),
    label_bytes=2,
    label_key="fine_labels",
    classes=tuple(_FINE_CLASSES.split()),
)


@register("cifar10")
def load_cifar10(roots: tuple[Path, ...]) -> Dataset:
    """Load CIFAR-10 from `cifar-10-batches-bin` or `cifar-10-batches-py` in one of the data folders.

    Raises:
        InputError: If the files are not found or one of them is damaged.
    """
    return _load(_CIFAR10, roots)


@register("cifar100")
def load_cifar100(roots: tuple[Path, ...]) -> Dataset:
    """Load CIFAR-100 with its fine labels from `cifar-100-binary` or `cifar-100-python`.

    Raises:
        InputError: If the files are not found or one of them is damaged.
    """
    return _load(_CIFAR100, roots)


def _load(layout: _Layout, roots: tuple[Path, ...]) -> Dataset:
    stems = [stem for stem, _ in (*layout.train, layout.test)]
    binary = [f"{stem}.bin" for stem in stems]
    places = [(layout.binary_folder, binary), (layout.python_folder, stems), ("", binary), ("", stems)]
    place = locate(layout.name, roots, places)
    is_binary = any((place / name).is_file() for name in binary)
    reader = _read_binary if is_binary else _read_python
    parts = [reader(place, stem, count, layout) for stem, count in layout.train]
    test_images, test_labels = reader(place, *layout.test, layout)
    return Dataset(
        name=layout.name,
        train_images=torch.cat([images for images, _ in parts]),
        train_labels=torch.cat([labels for _, labels in parts]),
        test_images=test_images,
        test_labels=test_labels,
        classes=layout.classes,
        mean=_MEAN,
        std=_STD,
    )


def _read_binary(place: Path, stem: str, count: int, layout: _Layout) -> tuple[Tensor, Tensor]:
    path = place / f"{stem}.bin"
    record = layout.label_bytes + _PIXELS
    content = read_exactly(path, count * record, f"{count} records of {record} bytes")
    records = np.frombuffer(content, np.uint8).reshape(count, record)
    return _tensors(path, records[:, layout.label_bytes :], records[:, layout.label_bytes - 1], layout)


def _read_python(place: Path, stem: str, count: int, layout: _Layout) -> tuple[Tensor, Tensor]:
    path = place / stem
    content = read(path)
    try:
        batch = _ArrayUnpickler(io.BytesIO(content), encoding="bytes").load()
    except Exception as error:
        # A damaged pickle raises nearly anything.
        raise InputError(f"{path} is damaged or no CIFAR batch ({error}); unpack the official archive again") from error
    # Python 2 wrote the official files, so their keys are bytes; whoever wrote them again has strings.
    entries = batch.items() if isinstance(batch, dict) else ()
    fields = {key.decode("latin1") if isinstance(key, bytes) else key: value for key, value in entries}
    pixels, labels = fields.get("data"), fields.get(layout.label_key)
    if not isinstance(pixels, np.ndarray) or not isinstance(labels, list | np.ndarray):
        raise InputError(f"{path} has no 'data' and '{layout.label_key}': it is no {layout.name} batch")
    whole = all(isinstance(label, int | np.integer) for label in labels)
    if pixels.dtype != np.uint8 or pixels.shape != (count, _PIXELS) or len(labels) != count or not whole:
        found = f"{pixels.dtype} {pixels.shape} with {len(labels)} labels"
        raise InputError(f"{path} holds {found}, not uint8 ({count}, {_PIXELS}) with {count} whole numbers as labels")
    return _tensors(path, pixels, np.asarray(labels), layout)


def _tensors(path: Path, pixels: NDArray[Any], labels: NDArray[Any], layout: _Layout) -> tuple[Tensor, Tensor]:
    if labels.min() < 0 or labels.max() >= len(layout.classes):
        bad = labels.min() if labels.min() < 0 else labels.max()
        raise InputError(f"{path} holds label {bad}; {layout.name} has labels 0 to {len(layout.classes) - 1}")
    images = np.ascontiguousarray(pixels).reshape(-1, 3, 32, 32)
    return torch.from_numpy(images.copy()), torch.from_numpy(labels.astype(np.int64))


def _encode_latin1(text: str, _encoding: str) -> bytes:
    """Stand in for `_codecs.encode`, by which protocol 2 writes bytes, without its other codecs."""
    return text.encode("latin1")


# By their names up to NumPy 1; NumPy 2 moved `numpy.core` to `numpy._core`.
_ALLOWED: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): np.ndarray,
    ("numpy", "dtype"): np.dtype,
    ("numpy.core.multiarray", "_reconstruct"): np.empty(0).__reduce__()[0],
    ("numpy.core.multiarray", "scalar"): np.int64(0).__reduce__()[0],
    ("numpy.core.numeric", "_frombuffer"): np.empty(0).__reduce_ex__(5)[0],
    ("_codecs", "encode"): _encode_latin1,
}


class _ArrayUnpickler(pickle.Unpickler):
    """Unpickles NumPy arrays in plain containers and refuses everything else: pickles can run code."""

    def find_class(self, module: str, name: str) -> Any:
        """Return the few callables that array pickles need."""
        allowed = _ALLOWED.get((module.replace("numpy._core.", "numpy.core."), name))
        if allowed is not None:
            return allowed
        raise pickle.UnpicklingError(f"it asks for {module}.{name}")
