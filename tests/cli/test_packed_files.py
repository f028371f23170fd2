"""`greenshift inspect` and `greenshift export` on packed files."""

import importlib.util
import json
import shutil
import sys

import numpy as np
import pytest
from random_networks import Builder, everything
from safetensors.numpy import save_file

from greenshift.deploy.file import write_network
from greenshift.deploy.network import Network

needs_compiler = pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
needs_onnx = pytest.mark.skipif(
    not all(map(importlib.util.find_spec, ("onnx", "onnxruntime"))), reason="needs the extra onnx"
)


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "small.packed"
    write_network(path, Network(everything().steps, {"design": {"backbone": "resnet20"}, "note": "x" * 500}))
    return path


def test_inspect_says_what_the_file_holds(call, packed):
    said = call("inspect", packed, "--json")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    network = everything()
    assert found["size_bytes"] == packed.stat().st_size
    assert found["macs"] == network.macs
    assert found["weights"] == sum(found["storages"].values()) == sum(s.weight.size for s in network.convolutions)
    assert [step["name"] for step in found["steps"]] == [step.name for step in network.steps]
    assert found["steps"][0]["size_bytes"] == 3 * 256
    assert found["steps"][6] | {"sources": None} == {
        "name": "conv6",
        "kind": "conv",
        "sources": None,
        "shape": [4, 3, 27],
        "grid": {"exponent": -4, "zero": 128},
        "storage": "shift5",
        "weights": 3888,
        "size_bytes": 3888 * 5 // 8 + 27 * 6,
        "macs": 12 * 3888,
    }
    content = sum(step["size_bytes"] for step in found["steps"])
    assert content < found["size_bytes"] < content + 2000
    assert found["description"]["design"] == {"backbone": "resnet20"}


def test_inspect_in_words(call, packed):
    said = call("inspect", packed)
    assert said.code == 0
    for word in ("conv6", "shift5", "ternary", "2^-4, zero 128", "resnet20", "(SHA-256, right)", "--json shows all"):
        assert word in said.out
    assert said.out.splitlines()[-1].startswith("next: greenshift export ")


@pytest.mark.parametrize("command", [("inspect",), ("export", "--to", "c", "--target", "cortex-m4")])
def test_files_that_are_no_packed_network_are_refused(command, call, packed, tmp_path):
    packed.write_bytes(packed.read_bytes()[:-1])
    trained = tmp_path / "trained.safetensors"
    save_file({"x": np.zeros(3)}, trained, {"greenshift": "{}", "design": "{}"})
    for path, problem in (
        (packed, "damaged"),
        (trained, "greenshift pack"),
        (tmp_path / "none", "cannot be read"),
    ):
        said = call(command[0], path, *command[1:])
        assert said.code == 2
        assert said.out == ""
        assert problem in said.err
        assert path.name in said.err
        assert len(said.err.splitlines()) == 1


@needs_compiler
def test_export_to_c(call, tmp_path):
    b = Builder(np.random.default_rng(0))
    b.linear(b.conv(b.input(6, 5, 1), 4), 3)
    packed = tmp_path / "small.packed"
    write_network(packed, b.network())
    said = call("export", packed, "--to", "c", "--target", "cortex-m4", "-o", tmp_path / "out", "--json")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)["c"]
    assert all(run["identical"] for run in found["verification"]["runs"])
    assert str(tmp_path / "out" / "c" / "network.c") in found["files"]
    text = call("export", packed, "--to", "c", "--target", "cortex-m4", "-o", tmp_path / "out").out
    assert "outputs equal to the bit" in text
    assert text.splitlines()[-1].startswith("next: ")


@needs_onnx
def test_export_to_onnx(call, packed, tmp_path):
    said = call("export", packed, "-o", tmp_path / "out", "--json")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)["onnx"]
    assert found["path"] == found["files"][0] == str(tmp_path / "out" / "small.onnx")
    assert found["widened_layers"] == ["conv6"]
    assert found["verification"]["images"] == 8
    text = call("export", packed, "--to", "onnx", "-o", tmp_path / "out").out
    assert "conv6 to two int8 weights each" in text
    assert "random images" in text


def test_export_says_what_onnx_needs(call, packed, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    said = call("export", packed, "-o", tmp_path / "out")
    assert said.code == 2
    assert "pip install 'greenshift[onnx]'" in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (("--to", "c"), "--target cortex-m0"),
        (("--to", "tflite"), "'tflite' is none of onnx, c"),
        (("--to", "c", "--target", "cortex-m9"), "cortex-m9"),
        (("--to", "c", "--target", "asic-45nm"), "asic-45nm"),
    ],
)
def test_export_refuses(options, problem, call, packed, tmp_path):
    said = call("export", packed, *options, "-o", tmp_path / "out")
    assert said.code == 2
    assert problem in said.err
