import gzip
import struct

import numpy as np
import pytest
import torch

from greenshift.data.fashion import load_fashion_mnist
from greenshift.errors import InputError

COUNTS = {"train": 12, "t10k": 5}


def pixels(part):
    count = COUNTS[part]
    return (np.arange(count * 784) % 251).astype(np.uint8).reshape(count, 28, 28)


def labels(part):
    return (np.arange(COUNTS[part]) % 10).astype(np.uint8)


def idx(array, magic=None):
    header = struct.pack(f">{1 + array.ndim}I", magic or 2048 + array.ndim, *array.shape)
    return header + array.tobytes()


@pytest.fixture
def folder(tmp_path):
    place = tmp_path / "fashion-mnist"
    place.mkdir()
    for part in COUNTS:
        (place / f"{part}-images-idx3-ubyte.gz").write_bytes(gzip.compress(idx(pixels(part))))
        (place / f"{part}-labels-idx1-ubyte.gz").write_bytes(gzip.compress(idx(labels(part))))
    return place


def test_gzipped_files(folder):
    data = load_fashion_mnist((folder.parent,))
    assert torch.equal(data.train_images[:, 0], torch.from_numpy(pixels("train")))
    assert torch.equal(data.test_images[:, 0], torch.from_numpy(pixels("t10k")))
    assert data.train_labels.tolist() == labels("train").tolist()
    assert data.test_labels.dtype == torch.int64
    assert (data.num_classes, data.in_channels, data.image_size) == (10, 1, 28)
    assert (data.augment, data.epochs_range) == ("crop-flip", (5, 100))


def test_raw_files_beside_each_other_in_the_data_folder(folder):
    for path in list(folder.iterdir()):
        path.with_suffix("").write_bytes(gzip.decompress(path.read_bytes()))
        path.unlink()
    assert len(load_fashion_mnist((folder,)).train_labels) == 12


def test_the_first_folder_that_has_it_wins(folder, tmp_path):
    assert len(load_fashion_mnist((tmp_path / "nowhere", folder.parent)).train_labels) == 12


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (lambda good: good[:100], "is damaged or truncated"),
        (lambda good: good[:-9], "is damaged or truncated"),
        (lambda _good: b"", "is truncated: 0 bytes"),
        (lambda _good: b"plain text", "is damaged or truncated"),
        (lambda _good: gzip.compress(idx(pixels("train"))[:-1]), "announces 12 records, 9408 bytes, but holds 9407"),
        (lambda _good: gzip.compress(idx(pixels("train")) + b"0"), "holds 9409 bytes"),
        (lambda _good: gzip.compress(idx(labels("train"))), "starts with 2049, not 2051"),
        (lambda _good: gzip.compress(idx(pixels("train")[:, :27])), "images of 27x28 pixels, not 28x28"),
        (lambda _good: gzip.compress(idx(pixels("train")[:0])), "announces 0 records"),
    ],
)
def test_damaged_images_are_named(folder, content, message):
    path = folder / "train-images-idx3-ubyte.gz"
    path.write_bytes(content(path.read_bytes()))
    with pytest.raises(InputError, match=message) as caught:
        load_fashion_mnist((folder.parent,))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_labels_must_fit(folder):
    path = folder / "t10k-labels-idx1-ubyte.gz"
    path.write_bytes(gzip.compress(idx(labels("t10k")[:4])))
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte.gz holds 4 labels for the 5 images"):
        load_fashion_mnist((folder.parent,))
    path.write_bytes(gzip.compress(idx(np.full(5, 10, np.uint8))))
    with pytest.raises(InputError, match=r"t10k-labels-idx1-ubyte.gz holds label 10; labels are 0 to 9"):
        load_fashion_mnist((folder.parent,))


def test_a_missing_file_is_named(folder):
    (folder / "t10k-images-idx3-ubyte.gz").unlink()
    with pytest.raises(InputError, match="t10k-images-idx3-ubyte is missing"):
        load_fashion_mnist((folder.parent,))
