"""`greenshift pack` on what `greenshift select` wrote."""

import json

import pytest

from greenshift.artifacts import save_artifact
from greenshift.data import load_dataset
from greenshift.deploy.file import read_network
from greenshift.design import Design
from greenshift.networks import build_network, image_shape
from greenshift.records import DataChoice
from greenshift.schemes import Depth, Shift


@pytest.fixture
def artifact(selected):
    """The artifact that `select --json` names."""
    return json.loads(selected[1].out)["artifact"]


@pytest.fixture
def wide(tmp_path):
    """An artifact whose first layer has weights of 15 exponents in one output."""
    design = Design("tiny_cnn", schemes=((Depth(99), Shift("PS", 5)),))
    model = build_network(design, image_shape(DataChoice("digits")))
    layer = model[0][0]
    layer.shift.data.fill_(0.0)
    layer.shift.data[0, 0, 0, 0] = -14.0
    layer.sign.data.fill_(1.0)
    path = tmp_path / "wide.safetensors"
    save_artifact(path, model, design, load_dataset("digits"), {})
    return path


def test_from_search_to_packed_file(artifact, greenshift, tmp_path):
    path = tmp_path / "a.packed"
    said = greenshift("pack", artifact, "-o", path, "--calibration", "64", "--allow-rounding", "--test", "--json")
    assert said.code == 0, said.err
    told = json.loads(said.out)
    assert told["path"] == str(path)
    assert told["size_bytes"] == path.stat().st_size < told["float32_bytes"]
    assert told["calibration_images"] == 64
    assert told["agreement"] > 0.7  # the network is hardly trained: most of its decisions are close
    assert told["test"]["images"] == len(load_dataset("digits").test_labels)
    assert abs(told["test"]["packed_error"] - told["test"]["float_error"]) <= 1 - told["test"]["agreement"] <= 0.3
    network = read_network(path)
    assert [layer["name"] for layer in told["layers"]] == [step.name for step in network.convolutions]
    assert network.description["design"]["backbone"] == "tiny_cnn"
    assert network.description["artifact"]["data"] == "digits"
    assert network.description["packing"]["int8_layers"] == told["int8_layers"]


def test_people_are_told_what_changed(artifact, call, tmp_path):
    path = tmp_path / "a.packed"
    said = call("pack", artifact, "-o", path, "--allow-rounding")
    assert said.code == 0, said.err
    assert "as float32" in said.out
    assert "of 256 calibration images have the class of the float network" in said.out
    assert "test error" not in said.out
    assert said.out.splitlines()[-1].startswith("next: greenshift inspect")


def test_too_many_exponents_name_the_way_out(wide, call, tmp_path):
    said = call("pack", wide, "-o", tmp_path / "a.packed")
    assert said.code == 2
    assert "0.0 has weights of 15 exponents" in said.complaint
    assert "--allow-rounding" in said.complaint
    assert not (tmp_path / "a.packed").exists()
    said = call("pack", wide, "-o", tmp_path / "a.packed", "--allow-rounding")
    assert said.code == 0, said.err
    assert "rounded" in said.out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("missing.safetensors",), "missing.safetensors"),
        (("{artifact}", "-o", "no/such/folder/a"), "name a file in a folder that exists"),
        (("{artifact}", "--calibration", "0"), "calibration"),
    ],
)
def test_bad_input(arguments, message, wide, call):
    said = call("pack", *(str(wide) if a == "{artifact}" else a for a in arguments))
    assert said.code == 2
    assert message in said.complaint


def test_an_artifact_of_other_images(tmp_path, call):
    design = Design("tiny_cnn")
    digits = load_dataset("digits")
    path = tmp_path / "a.safetensors"
    save_artifact(path, build_network(design, image_shape(DataChoice("digits"))), design, digits, {"shape": [1, 9, 9]})
    said = call("pack", path)
    assert said.code == 2
    assert "made for images of [1, 9, 9]" in said.complaint
