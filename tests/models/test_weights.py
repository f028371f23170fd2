import os
from pathlib import Path

import pytest
import safetensors.torch
import torch

from greenshift.data import ImageSet, evaluation_batches, load_dataset, normalise
from greenshift.errors import InputError
from greenshift.models import build_model, load_weights

SHARED = Path(__file__).parents[3] / "shared" / "data"


def tiny(**changes):
    return build_model("tiny_cnn", **{"num_classes": 10, "in_channels": 1, "image_size": 8, **changes})


def same(first, second):
    first, second = first.state_dict(), second.state_dict()
    return all(torch.equal(first[key], second[key]) for key in first)


def wrapped(state, prefix):
    return {prefix + key: value for key, value in state.items()}


@pytest.mark.parametrize("nest", [None, "state_dict", "model"])
@pytest.mark.parametrize("prefix", ["", "module.", "_orig_mod."])
def test_torch_files_with_nests_and_prefixes(tmp_path, nest, prefix):
    source, target = tiny(), tiny()
    source[0][1].running_mean += 1
    state = wrapped(source.state_dict(), prefix)
    torch.save({nest: state, "best_prec1": 91.0} if nest else state, tmp_path / "w.th")
    assert not same(source, target)
    load_weights(target, tmp_path / "w.th")
    assert same(source, target)


def test_safetensors(tmp_path):
    source, target = tiny(), tiny()
    safetensors.torch.save_file(source.state_dict(), tmp_path / "w.safetensors")
    load_weights(target, str(tmp_path / "w.safetensors"))
    assert same(source, target)


def test_old_checkpoints_without_batch_counters_load(tmp_path):
    source, target = tiny(), tiny()
    state = {k: v for k, v in source.state_dict().items() if not k.endswith("num_batches_tracked")}
    torch.save(state, tmp_path / "w.th")
    load_weights(target, tmp_path / "w.th")
    assert same(source, target)


def drop_one(state):
    state.pop("0.0.weight")


def add_one(state):
    state["extra.weight"] = torch.zeros(1)


def reshape_one(state):
    state["1.weight"] = torch.zeros(3)


def rename_all(state):
    for key in list(state):
        state["other." + key] = state.pop(key)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (drop_one, "missing 0.0.weight$"),
        (add_one, "unexpected extra.weight$"),
        (reshape_one, r"unexpected 1.weight"),
        (rename_all, r"missing 0.0.weight, .* and \d+ more; unexpected other\."),
    ],
)
def test_another_models_checkpoint_changes_nothing(tmp_path, damage, message):
    model, before = tiny(), tiny()
    before.load_state_dict(model.state_dict())
    state = {key: value + 1 for key, value in model.state_dict().items()}
    damage(state)
    torch.save(state, tmp_path / "w.th")
    with pytest.raises(InputError, match=message) as caught:
        load_weights(model, tmp_path / "w.th")
    assert "w.th is of another model" in str(caught.value)
    assert "\n" not in str(caught.value)
    assert same(model, before)


def test_other_shapes_are_named(tmp_path):
    torch.save(tiny(in_channels=3).state_dict(), tmp_path / "w.th")
    with pytest.raises(InputError, match=r"other shape 0.0.weight \(16, 3, 3, 3\) instead of \(16, 1, 3, 3\)$"):
        load_weights(tiny(), tmp_path / "w.th")


class Surprise:
    def __reduce__(self):
        return os.getcwd, ()


@pytest.mark.parametrize("name", ["w.th", "w.safetensors"])
def test_damaged_files(tmp_path, name):
    path = tmp_path / name
    if name == "w.th":
        torch.save(tiny().state_dict(), path)
    else:
        safetensors.torch.save_file(tiny().state_dict(), path)
    content = path.read_bytes()
    for damaged in (content[: len(content) // 2], b"", b"no weights at all"):
        path.write_bytes(damaged)
        with pytest.raises(InputError, match=f"{name} is damaged"):
            load_weights(tiny(), path)


def test_what_is_no_state_dict(tmp_path):
    with pytest.raises(InputError, match="no such file"):
        load_weights(tiny(), tmp_path / "nowhere.th")
    for content in ([1, 2], {}, {"state_dict": {"a": 1}}, {"epoch": 3}):
        torch.save(content, tmp_path / "w.th")
        with pytest.raises(InputError, match="holds no weights"):
            load_weights(tiny(), tmp_path / "w.th")
    torch.save({"state_dict": Surprise()}, tmp_path / "w.th")
    with pytest.raises(InputError, match="holds more than weights"):
        load_weights(tiny(), tmp_path / "w.th")


@pytest.fixture
def one_thread():
    """Threads that wait for each other on a busy machine take many times as long as one."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def correct(name, file, images):
    """Number of the first test images that a published checkpoint classifies correctly."""
    folders = [Path(os.environ["GREENSHIFT_DATA"])] if "GREENSHIFT_DATA" in os.environ else []
    found = [f / "checkpoints" / file for f in (*folders, SHARED) if (f / "checkpoints" / file).is_file()]
    if not found:
        pytest.skip(f"{file} is not in the checkpoints folder of GREENSHIFT_DATA or ../shared/data")
    try:
        data = load_dataset("cifar10")
    except InputError as error:
        pytest.skip(str(error))
    model = build_model(name, num_classes=10, in_channels=3, image_size=32)
    load_weights(model, found[0])
    model = model.eval().to(memory_format=torch.channels_last)
    hits = 0
    with torch.inference_mode():
        for batch, labels in evaluation_batches(ImageSet(data.test_images[:images], data.test_labels[:images]), 50):
            x = normalise(batch, data.mean, data.std).contiguous(memory_format=torch.channels_last)
            hits += int((model(x).argmax(1) == labels).sum())
    return hits


@pytest.mark.usefixtures("one_thread")
def test_resnet20_reproduces_its_published_accuracy():
    """91.73 % of 10,000; two images may flip with another processor's summation order."""
    assert correct("resnet20", "resnet20-12fca82f.th", 10_000) == pytest.approx(9173, abs=2)


@pytest.mark.usefixtures("one_thread")
def test_resnet56_reproduces_its_published_accuracy_on_the_first_images():
    """1,859 of the first 2,000 (and 9,339 of all 10,000); one may flip."""
    assert correct("resnet56", "resnet56-4bfd9763.th", 2_000) == pytest.approx(1859, abs=1)
