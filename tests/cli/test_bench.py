"""`greenshift bench` on the command line."""

import dataclasses
import json

import numpy as np
import pytest
from random_networks import Builder

from greenshift.deploy.bench import comparison, contest
from greenshift.deploy.file import write_network
from greenshift.deploy.runtime import available_isas


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(contest, "_WINDOW_S", 1e-4)


@pytest.fixture
def packed(tmp_path):
    b = Builder(np.random.default_rng(0))
    b.linear(b.conv(b.input(8, 8, 1), 4), 10)
    write_network(tmp_path / "net.packed", b.network())
    return tmp_path / "net.packed"


def test_json_is_the_contract(packed, call):
    said = call("bench", packed, "--batch", "1,3", "--threads", "1", "--rounds", "6", "--json")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert found.keys() >= {"ours_us", "peers", "ratios", "bytes", "kernel", "batches", "absent"}
    assert found["peers"].keys() == found["ratios"].keys()
    assert set(found["peers"]) | set(found["absent"]) >= {"torch-float32", "openvino-int8", "onnxruntime-int8"}
    assert found["kernel"]


def test_in_words(packed, call):
    said = call("bench", packed, "--batch", "1", "--peers", "torch-float32", "--rounds", "6")
    assert said.code == 0
    assert "batch of 1 image, CPU time of the process, measured in 6 rounds" in said.out
    assert "torch-float32" in said.out
    assert said.out.splitlines()[-1].startswith("next: greenshift export ")


def test_without_the_library_it_says_so(packed, call, monkeypatch):
    timed = comparison.compare
    kernel = "numpy reference: there is no compiled library"
    monkeypatch.setattr(comparison, "compare", lambda *a, **k: dataclasses.replace(timed(*a, **k), kernel=kernel))
    said = call("bench", packed, "--batch", "1", "--peers", "none", "--rounds", "6")
    assert "runs in NumPy, thousands of times slower" in said.out


@pytest.mark.skipif(not available_isas(), reason="there is no compiled library")
def test_its_times_become_those_of_a_target(packed, call, tmp_path):
    host = tmp_path / "host.toml"
    assert call("calibrate", "--model", "tiny_cnn", "--data", "digits", "--watts", "9", "--out", host).code == 0
    said = call("bench", packed, "--batch", "1", "--peers", "none", "--rounds", "6", "--target", host, "--json")
    found = json.loads(said.out)["target"]
    assert found == {"path": str(host), "kernel": f"greenshift-{available_isas()[0]}", "shapes": 2}
    costed = call(
        "cost", "--model", "tiny_cnn", "--data", "digits", "--configuration", "expert-default", "--target", host
    )
    assert costed.code in (0, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--batch", "0"), "1 to 4096 images, not 0"),
        (("--batch", "one"), "--batch 'one' is no whole number; write for example 1,64"),
        (("--peers", "abacus"), "unknown peer 'abacus'; known: torch-float32"),
        (("--threads", "0"), "at least one thread is needed, not 0"),
        (("--rounds", "2"), "at least 6 are needed"),
        (("--isa", "warp9", "--peers", "none"), "warp9"),
        (
            ("--target", "nowhere.toml", "--peers", "none", "--rounds", "6", "--batch", "1"),
            "nowhere.toml: No such file",
        ),
    ],
)
def test_bad_input_is_one_line(packed, call, arguments, message):
    said = call("bench", packed, *arguments)
    assert said.code == 2
    assert message in said.complaint
    assert len(said.err.splitlines()) == 1


def test_other_files_are_refused(call, tmp_path):
    (tmp_path / "text.packed").write_text("hello")
    assert call("bench", tmp_path / "text.packed").code == 2
    said = call("bench", tmp_path / "nothing.packed")
    assert said.code == 2
    assert "cannot be read" in said.complaint
