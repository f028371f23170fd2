import pytest
import torch

from greenshift.data import dataset_names, load_dataset
from greenshift.data.registry import register
from greenshift.errors import InputError


def test_names():
    assert dataset_names() == ("cifar10", "cifar100", "digits", "fashion-mnist")


def test_digits():
    data = load_dataset("digits")
    assert data.train_images.shape == (1442, 1, 8, 8)
    assert data.test_images.shape == (355, 1, 8, 8)
    assert data.train_images.dtype == torch.uint8
    assert data.train_labels.dtype == data.test_labels.dtype == torch.int64
    assert (int(data.train_images.min()), int(data.train_images.max())) == (0, 255)
    assert (data.num_classes, data.in_channels, data.image_size) == (10, 1, 8)
    assert (data.augment, data.epochs_range) == ("none", (2, 18))
    assert data.test_labels.bincount().min() >= 34
    values = data.train_images.double() / 255
    assert data.mean == pytest.approx([float(values.mean())])
    assert data.std == pytest.approx([float(values.std())], rel=1e-4)


def test_digits_are_those_of_scikit_learn():
    bunch = pytest.importorskip("sklearn.datasets").load_digits()
    data = load_dataset("digits")
    images, labels = (
        torch.cat([getattr(data, f"{part}_{kind}") for part in ("train", "test")]) for kind in ("images", "labels")
    )
    ours = sorted((bytes(image.flatten().tolist()), int(label)) for image, label in zip(images, labels, strict=True))
    grey = (bunch.data * 255 / 16).round().astype(int)
    theirs = sorted((bytes(row.tolist()), int(label)) for row, label in zip(grey, bunch.target, strict=True))
    assert ours == theirs


def test_digits_test_images_are_not_trained_on():
    data = load_dataset("digits")
    train = {bytes(image) for image in data.train_images.flatten(1).numpy()}
    assert not any(bytes(image) in train for image in data.test_images.flatten(1).numpy())


def test_a_dataset_is_loaded_once():
    assert load_dataset("digits") is load_dataset("digits")


def test_another_environment_is_another_dataset(tmp_path, monkeypatch):
    monkeypatch.setattr("greenshift.data.sources.SYSTEM_FOLDERS", ())
    for name in ("first", "second"):
        (tmp_path / name / "cifar-10-batches-bin").mkdir(parents=True)
        (tmp_path / name / "cifar-10-batches-bin" / "test_batch.bin").touch()
        monkeypatch.setenv("GREENSHIFT_DATA", str(tmp_path / name))
        with pytest.raises(InputError, match=f"{name}/cifar-10-batches-bin/data_batch_1.bin is missing"):
            load_dataset("cifar10")


def test_where_it_looked_is_said(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    monkeypatch.setenv("GREENSHIFT_DATA", str(tmp_path / "environment"))
    monkeypatch.setattr("greenshift.data.sources.SYSTEM_FOLDERS", (str(tmp_path / "system"),))
    with pytest.raises(InputError) as caught:
        load_dataset("fashion-mnist", str(tmp_path / "mine"))
    text = str(caught.value)
    assert "no fashion-mnist" in text
    assert text.index("/mine") < text.index("/environment") < text.index("/system")
    assert "GREENSHIFT_DATA" in text
    assert "\n" not in text


def test_a_folder_that_is_none(tmp_path):
    with pytest.raises(InputError, match=r"data folder .*/nowhere' is not a folder"):
        load_dataset("digits", str(tmp_path / "nowhere"))


@pytest.mark.parametrize(
    ("name", "message"), [("digit", "did you mean digits"), ("zzz", "known: cifar10"), ("", "known: cifar10")]
)
def test_unknown_names(name, message, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=message):
        load_dataset(name)


def test_a_name_cannot_be_registered_twice():
    with pytest.raises(ValueError, match="'digits' is registered already"):
        register("digits")(lambda _roots: None)
