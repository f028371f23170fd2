import numpy as np
import pytest
import torch
from PIL import Image

from greenshift.data import load_dataset
from greenshift.data.folders import parse_folder
from greenshift.errors import InputError


def save(path, color, size=(40, 24), mode="RGB"):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new(mode, size, color).save(path)


@pytest.fixture
def folder(tmp_path):
    for part, count in (("train", 3), ("test", 2)):
        for index in range(count):
            save(tmp_path / part / "red" / f"{index}.png", (200, 0, 10))
            save(tmp_path / part / "blue" / f"{index}.jpg", (0, 0, 250), size=(300, 200))
    (tmp_path / "train" / "red" / "notes.txt").write_text("not an image")
    (tmp_path / "train" / ".cache").mkdir()
    return tmp_path


def test_classes_sizes_and_colours(folder):
    data = load_dataset(str(folder))
    assert data.classes == ("blue", "red")
    assert data.train_images.shape == (6, 3, 32, 32)
    assert data.test_images.shape == (4, 3, 32, 32)
    assert data.train_labels.tolist() == [0, 0, 0, 1, 1, 1]
    assert data.test_labels.tolist() == [0, 0, 1, 1]
    assert data.train_images.dtype == torch.uint8
    assert torch.equal(data.train_images[3], torch.tensor([200, 0, 10]).view(3, 1, 1).expand(3, 32, 32))
    assert int((data.train_images[0].int() - torch.tensor([0, 0, 250]).view(3, 1, 1)).abs().max()) <= 3
    assert data.mean == pytest.approx((100 / 255, 0, 130 / 255), abs=0.01)
    assert data.std == pytest.approx((100 / 255, 1, 120 / 255), abs=0.02)


def test_another_size_and_validation_folder_as_test(folder):
    (folder / "test").rename(folder / "val")
    data = load_dataset(f"{folder}@12")
    assert data.train_images.shape == (6, 3, 12, 12)
    assert len(data.test_labels) == 4


def test_test_goes_before_val(folder):
    save(folder / "val" / "red" / "0.png", (0, 0, 0))
    assert len(load_dataset(f"{folder}@10").test_labels) == 4


def test_the_size_is_read_from_the_end_unless_the_folder_is_called_so(tmp_path):
    (tmp_path / "a@48").mkdir()
    assert parse_folder(f"{tmp_path}/a@48") == (tmp_path / "a@48", 32)
    assert parse_folder(f"{tmp_path}/a@48@16") == (tmp_path / "a@48", 16)
    assert parse_folder(f"{tmp_path}/b@x") == (tmp_path / "b@x", 32)


def test_grey_images_have_one_channel(tmp_path):
    deep = np.full((8, 8), 51_400, np.uint16)
    for part in ("train", "test"):
        save(tmp_path / part / "a" / "0.png", 7, mode="L")
        save(tmp_path / part / "b" / "0.png", 9, mode="L")
        Image.fromarray(deep).save(tmp_path / part / "b" / "deep.png")
    data = load_dataset(str(tmp_path))
    assert data.train_images.shape == (3, 1, 32, 32)
    assert data.train_images[:, 0, 0, 0].tolist() == [7, 9, 200]


def test_photographs_are_turned_upright(folder):
    image = Image.new("RGB", (32, 32), (0, 0, 0))
    image.paste((255, 255, 255), (0, 0, 32, 16))
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(folder / "test" / "red" / "turned.png", exif=exif)
    turned = load_dataset(str(folder)).test_images[-1, 0]
    assert turned[:, :16].max() == 0
    assert turned[:, 16:].min() == 255


def test_a_damaged_image_is_named(folder):
    path = folder / "train" / "blue" / "1.jpg"
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"nothing"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=r"train/blue/1.jpg cannot be read as an image") as caught:
            load_dataset(f"{folder}@32")
        assert "\n" not in str(caught.value)


def remove(folder, *parts):
    for path in sorted(folder.joinpath(*parts).rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.joinpath(*parts).rmdir()


@pytest.mark.parametrize(
    ("gone", "message"),
    [
        (("train",), r"train is missing: an image folder holds train/CLASS/"),
        (("test",), r"val is missing"),
        (("train", "red"), r"train has no class 'red'"),
    ],
)
def test_a_missing_part_is_named(folder, gone, message):
    remove(folder, *gone)
    with pytest.raises(InputError, match=message):
        load_dataset(str(folder))


def test_empty_and_single_classes(folder):
    (folder / "train" / "green").mkdir()
    with pytest.raises(InputError, match=r"train/green holds no images"):
        load_dataset(str(folder))
    for gone in (("train", "green"), ("train", "red"), ("test", "red")):
        remove(folder, *gone)
    with pytest.raises(InputError, match="one class only"):
        load_dataset(str(folder))
    remove(folder, "train", "blue")
    with pytest.raises(InputError, match="no class folders"):
        load_dataset(str(folder))


def test_a_size_of_zero(folder):
    with pytest.raises(InputError, match="at least 1 pixel"):
        load_dataset(f"{folder}@0")
