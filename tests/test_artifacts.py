"""A trained network as one file: the same logits after a round trip; damaged and foreign files are refused."""

import json

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from greenshift.artifacts import load_artifact, save_artifact
from greenshift.data import load_dataset
from greenshift.design import Design
from greenshift.errors import InputError
from greenshift.networks import build_network, image_shape
from greenshift.records import DataChoice
from greenshift.schemes import Depth, Shift, Uniform

DIGITS = load_dataset("digits", None)
SHAPE = image_shape(DataChoice("digits"))
DESIGN = Design("tiny_cnn", schemes=((Depth(99), Shift("Q", 4, 8, 8)),))


def network(design=DESIGN, seed=0):
    torch.manual_seed(seed)
    built = build_network(design, SHAPE)
    built.train()
    with torch.no_grad():
        for _ in range(2):
            built(torch.randn(8, *SHAPE.input))  # running statistics that are not the initial ones
    return built


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "new folder" / "a.safetensors"
    save_artifact(path, network(), DESIGN, DIGITS, {"seed": 7, "test_error": 0.25})
    return path


def rewritten(path, change):
    """Write the file again with changed metadata or tensors."""
    with safe_open(path, "pt") as opened:
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        metadata = dict(opened.metadata())
    change(tensors, metadata)
    save_file(tensors, path, metadata)
    return path


@pytest.mark.parametrize(
    "design",
    [
        Design("tiny_cnn"),
        DESIGN,
        Design("tiny_cnn", schemes=((Depth(2), Shift("PS", 5, 16, 16, "stochastic")),)),
        Design("tiny_cnn", width=0.5, schemes=(("*", Uniform(8, 8)),)),
        Design("tiny_cnn", schemes=((Depth(2, "input"), Shift("Q", 3)), ("*", Uniform(4, 8)))),
    ],
)
def test_the_round_trip_keeps_every_logit(design, tmp_path):
    original = network(design).eval()
    save_artifact(tmp_path / "a.safetensors", original, design, DIGITS, {})
    torch.manual_seed(99)  # the file decides, not the generator
    found = load_artifact(tmp_path / "a.safetensors")
    assert found.design == design
    assert not found.model.training
    images = torch.randn(16, *SHAPE.input)
    with torch.no_grad():
        assert torch.equal(found.model(images), original(images))


def test_the_file_says_all_that_is_needed_to_use_it(file):
    description = load_artifact(file).description
    assert description["data"] == "digits"
    assert description["classes"] == list(DIGITS.classes)
    assert description["shape"] == [1, 8, 8]
    assert description["mean"] == list(DIGITS.mean)
    assert (description["seed"], description["test_error"]) == (7, 0.25)


def test_the_file_is_plain_safetensors(file):
    with safe_open(file, "pt") as opened:
        assert set(opened.metadata()) == {"greenshift", "design", "description"}
        assert json.loads(opened.metadata()["design"]) == DESIGN.to_json()
    assert list(file.parent.iterdir()) == [file], "no half-written file is left"


def test_plain_weights_are_no_artifact(tmp_path):
    save_file({"weight": torch.zeros(3)}, tmp_path / "plain.safetensors")
    assert load_artifact(tmp_path / "plain.safetensors") is None


@pytest.mark.parametrize("keep", [0, 4, 100, -1])
def test_a_truncated_file(file, keep):
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(InputError, match=r"a\.safetensors"):
        load_artifact(file)


def test_a_missing_file(tmp_path):
    with pytest.raises(InputError, match="none"):
        load_artifact(tmp_path / "none.safetensors")


@pytest.mark.parametrize(
    ("key", "text", "message"),
    [
        ("greenshift", json.dumps({"format": 99, "version": "9.0"}), "format 99"),
        ("greenshift", "{", "damaged"),
        ("greenshift", "[]", "damaged"),
        ("design", "{}", "damaged"),
        ("design", "{", "damaged"),
        ("design", json.dumps(Design("resnet99").to_json()), "'resnet99'"),
        ("design", json.dumps(Design("resnet20").to_json()), "do not fit"),
        ("description", json.dumps({"classes": ["a"]}), "damaged"),
        ("description", json.dumps({"classes": ["a", "b"], "shape": [1, 8, 8]}), "do not fit"),
    ],
)
def test_a_description_that_is_wrong(file, key, text, message):
    with pytest.raises(InputError, match=message) as refused:
        load_artifact(rewritten(file, lambda _, metadata: metadata.update({key: text})))
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("key", ["design", "description"])
def test_a_description_that_is_missing(file, key):
    with pytest.raises(InputError, match="damaged"):
        load_artifact(rewritten(file, lambda _, metadata: metadata.pop(key)))


def test_weights_that_are_missing(file):
    with pytest.raises(InputError, match="do not fit its design") as refused:
        load_artifact(rewritten(file, lambda tensors, _: tensors.pop(sorted(tensors)[0])))
    assert "Missing key" in str(refused.value), "it says which"
