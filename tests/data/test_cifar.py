import dataclasses
import os
import pickle
import struct

import numpy as np
import pytest
import torch

from greenshift.data import cifar
from greenshift.errors import InputError

COUNT = 6
OFFICIAL = cifar._CIFAR10


def records(seed, classes):
    random = np.random.default_rng(seed)
    return (
        random.integers(0, 256, (COUNT, 3072), dtype=np.uint8),
        random.integers(0, classes, COUNT),
    )


@pytest.fixture(autouse=True)
def few_records(monkeypatch):
    """The same files with 6 instead of 10,000 or 50,000 records each."""
    for name in ("_CIFAR10", "_CIFAR100"):
        layout = getattr(cifar, name)
        small = dataclasses.replace(
            layout, train=tuple((stem, COUNT) for stem, _ in layout.train), test=(layout.test[0], COUNT)
        )
        monkeypatch.setattr(cifar, name, small)


def stems(layout):
    return [stem for stem, _ in (*layout.train, layout.test)]


def write_binary(root, layout):
    place = root / layout.binary_folder
    place.mkdir()
    for seed, stem in enumerate(stems(layout)):
        pixels, labels = records(seed, len(layout.classes))
        coarse = [np.full((COUNT, 1), 255)] if layout.label_bytes == 2 else []
        content = np.concatenate([*coarse, labels[:, None], pixels], 1).astype(np.uint8)
        (place / f"{stem}.bin").write_bytes(content.tobytes())
    return place


def write_python(root, layout, protocol=None, key=str.encode):
    place = root / layout.python_folder
    place.mkdir()
    for seed, stem in enumerate(stems(layout)):
        pixels, labels = records(seed, len(layout.classes))
        batch = {key("data"): pixels, key(layout.label_key): list(labels), b"filenames": ["a"] * COUNT}
        (place / stem).write_bytes(pickle.dumps(batch, protocol))
    return place


@pytest.mark.parametrize("write", [write_binary, write_python])
@pytest.mark.parametrize("name", ["cifar10", "cifar100"])
def test_both_forms_of_both_sets(tmp_path, write, name):
    layout = getattr(cifar, f"_{name.upper()}")
    write(tmp_path, layout)
    data = getattr(cifar, f"load_{name}")((tmp_path,))
    parts = [records(seed, len(layout.classes)) for seed in range(len(stems(layout)))]
    expected = np.concatenate([pixels for pixels, _ in parts[:-1]]).reshape(-1, 3, 32, 32)
    assert torch.equal(data.train_images, torch.from_numpy(expected))
    assert data.train_labels.tolist() == np.concatenate([labels for _, labels in parts[:-1]]).tolist()
    assert data.test_labels.tolist() == parts[-1][1].tolist()
    assert torch.equal(data.test_images.flatten(1), torch.from_numpy(parts[-1][0]))
    assert data.train_labels.dtype == torch.int64
    assert (data.name, data.num_classes, data.in_channels, data.image_size) == (name, len(layout.classes), 3, 32)
    assert len(set(data.classes)) == data.num_classes
    assert list(data.classes) == sorted(data.classes)


def test_the_official_sizes_hold(tmp_path, monkeypatch):
    monkeypatch.setattr(cifar, "_CIFAR10", OFFICIAL)
    (tmp_path / OFFICIAL.binary_folder).mkdir()
    with (tmp_path / OFFICIAL.binary_folder / "data_batch_1.bin").open("wb") as file:
        file.truncate(30_729_999)
    with pytest.raises(InputError, match=r"data_batch_1.bin is truncated: 30729999 bytes, not 30730000 \(10000 rec"):
        cifar.load_cifar10((tmp_path,))
    assert [count for _, count in OFFICIAL.train] == [10_000] * 5


def test_the_folder_itself_may_be_named(tmp_path):
    place = write_binary(tmp_path, cifar._CIFAR10)
    assert len(cifar.load_cifar10((place,)).train_labels) == 5 * COUNT


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda good: good[:-1], "is truncated: 18437 bytes, not 18438"),
        (lambda good: good[:3073], "is truncated"),
        (lambda good: good + b"0", "is too long"),
        (lambda good: b"\x0a" + good[1:], "holds label 10; cifar10 has labels 0 to 9"),
    ],
)
def test_a_wrong_binary_file_is_named(tmp_path, change, message):
    path = write_binary(tmp_path, cifar._CIFAR10) / "data_batch_3.bin"
    path.write_bytes(change(path.read_bytes()))
    with pytest.raises(InputError, match=message) as caught:
        cifar.load_cifar10((tmp_path,))
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_named_and_the_other_form_is_not_taken_instead(tmp_path):
    write_python(tmp_path, cifar._CIFAR10)
    (write_binary(tmp_path, cifar._CIFAR10) / "test_batch.bin").unlink()
    with pytest.raises(InputError, match=r"test_batch.bin is missing"):
        cifar.load_cifar10((tmp_path,))


class Attack:
    def __reduce__(self):
        return os.mkdir, ("attacked",)


def python2_pickle(pixels, labels):
    """A batch byte for byte as Python 2 wrote it: its strings are bytes, NumPy's modules have their old names."""
    dtype = b"cnumpy\ndtype\nU\x02u1K\x00K\x01\x87R(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb"
    empty = b"cnumpy.core.multiarray\n_reconstruct\ncnumpy\nndarray\nK\x00\x85U\x01b\x87R"
    shape = b"K" + bytes([len(pixels)]) + b"M\x00\x0c\x86"
    raw = b"T" + struct.pack("<I", pixels.size) + pixels.tobytes()
    array = empty + b"(K\x01" + shape + dtype + b"\x89" + raw + b"tb"
    numbers = b"](" + b"".join(b"K" + bytes([label]) for label in labels) + b"e"
    return b"\x80\x02}(U\x04data" + array + b"U\x06labels" + numbers + b"u."


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
@pytest.mark.parametrize("key", [str, str.encode])
def test_files_that_python_3_wrote_again(tmp_path, protocol, key):
    write_python(tmp_path, cifar._CIFAR100, protocol, key)
    assert cifar.load_cifar100((tmp_path,)).test_labels.tolist() == records(1, 100)[1].tolist()


def test_files_of_python_2_as_the_official_ones_are(tmp_path):
    place = write_python(tmp_path, cifar._CIFAR10)
    for seed, stem in enumerate(stems(cifar._CIFAR10)):
        (place / stem).write_bytes(python2_pickle(*records(seed, 10)))
    data = cifar.load_cifar10((tmp_path,))
    assert torch.equal(data.test_images.flatten(1), torch.from_numpy(records(5, 10)[0]))
    assert data.test_labels.tolist() == records(5, 10)[1].tolist()


def test_pickles_cannot_run_code(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    path = write_python(tmp_path, cifar._CIFAR10) / "data_batch_2"
    path.write_bytes(pickle.dumps({b"data": Attack()}))
    with pytest.raises(InputError, match=r"data_batch_2 is damaged.*asks for posix.mkdir"):
        cifar.load_cifar10((tmp_path,))
    assert not (tmp_path / "attacked").exists()


@pytest.mark.parametrize(
    ("batch", "message"),
    [
        ([1, 2], "is no cifar10 batch"),
        ({b"data": np.zeros((COUNT, 3072), np.uint8)}, "is no cifar10 batch"),
        ({b"data": np.zeros((5, 3072), np.uint8), b"labels": [0] * 5}, r"holds uint8 \(5, 3072\) with 5 labels"),
        ({b"data": np.zeros((COUNT, 3072), np.uint8), b"labels": [0] * 5}, "with 5 labels"),
        ({b"data": np.zeros((COUNT, 3072), np.uint8), b"labels": ["cat"] * COUNT}, "6 whole numbers as labels"),
        ({b"data": np.zeros((COUNT, 3072)), b"labels": [0] * COUNT}, "holds float64"),
        ({b"data": np.zeros((COUNT, 3072), np.uint8), b"labels": [10] + [0] * 5}, "holds label 10"),
        ({b"data": np.zeros((COUNT, 3072), np.uint8), b"labels": [-1] + [0] * 5}, "holds label -1"),
    ],
)
def test_a_wrong_python_file_is_named(tmp_path, batch, message):
    path = write_python(tmp_path, cifar._CIFAR10) / "test_batch"
    path.write_bytes(pickle.dumps(batch, 2))
    with pytest.raises(InputError, match=message) as caught:
        cifar.load_cifar10((tmp_path,))
    assert str(path) in str(caught.value)


def test_a_truncated_python_file_is_named(tmp_path):
    path = write_python(tmp_path, cifar._CIFAR10) / "data_batch_5"
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(InputError, match="data_batch_5 is damaged"):
        cifar.load_cifar10((tmp_path,))
