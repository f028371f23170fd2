"""Comparisons with peers: what they hold, who is missing and why. No test looks at how fast anything is."""

import importlib.util
import io
import json

import numpy as np
import pytest
from random_networks import Builder, everything

from greenshift.deploy.bench import comparison, contest
from greenshift.deploy.bench.comparison import compare
from greenshift.deploy.bench.contest import Contestant, take_turns
from greenshift.deploy.bench.peers import DEFAULT_PEERS, PEERS, get_peers
from greenshift.deploy.bench.runners import Job
from greenshift.deploy.bench.worker import serve
from greenshift.deploy.file import write_network
from greenshift.deploy.reference import run_reference
from greenshift.deploy.runtime import available_isas
from greenshift.errors import InputError


def small():
    b = Builder(np.random.default_rng(0))
    x = b.conv(b.input(8, 8, 3), 8)
    x = b.average_pool(b.add(b.conv(x, 8), x), 8)
    b.linear(x, 10)
    return b.network()


@pytest.fixture
def packed(tmp_path):
    path = tmp_path / "small.packed"
    write_network(path, small())
    return path


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(contest, "_WINDOW_S", 1e-4)


def job(path, folder, runner="greenshift"):
    images = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), dtype=np.uint8)
    np.save(folder / "images.npy", images)
    return Job(runner, str(path), str(folder / "images.npy"), 1, {}), images


def test_every_installed_peer_runs_and_the_others_are_named(packed):
    found = compare(packed, get_peers(list(PEERS)), batches=(2, 5), rounds=6).to_json()
    installed = {name for name, peer in PEERS.items() if peer.missing() is None}
    assert set(found["peers"]) | set(found["absent"]) == set(PEERS)
    assert set(found["peers"]) <= installed
    for name in set(PEERS) - installed:
        assert found["absent"][name].startswith("not installed")
    assert list(found["batches"]) == ["2", "5"]
    for name in ("ours_us", "peers", "ratios"):
        assert found[name] == found["batches"]["2"][name], "the first batch is at the top"
    for batch in found["batches"].values():
        assert batch["ours_us"] > 0
        assert batch["ratios"].keys() == batch["peers"].keys() == batch["ratio_intervals"].keys()
        for name, (low, high) in batch["ratio_intervals"].items():
            assert low <= batch["ratios"][name] <= high
    assert found["bytes"]["packed"] == packed.stat().st_size
    assert found["provenance"] == "measured"
    assert "torch-float32" in found["peers"], "torch is always there"


@pytest.mark.skipif(
    "onnxruntime-int8" not in PEERS or PEERS["onnxruntime-int8"].missing() is not None,
    reason="onnx or onnxruntime is not installed",
)
def test_onnx_runtime_computes_the_same_integers(packed):
    found = compare(packed, get_peers(["onnxruntime-int8", "onnxruntime-float32"]), batches=(1,), rounds=6).to_json()
    assert found["differences"]["onnxruntime-int8"] == 0
    assert min(found["bytes"].values()) == found["bytes"]["packed"]


def test_a_network_without_float_form_says_which_step(tmp_path):
    write_network(tmp_path / "all.packed", everything())
    found = compare(tmp_path / "all.packed", get_peers(["torch-float32"]), batches=(1,), rounds=6).to_json()
    assert "no float32 form" in found["absent"]["torch-float32"]
    assert found["peers"] == {}


@pytest.mark.skipif(not available_isas(), reason="there is no compiled library")
def test_an_instruction_set_is_kept_to(packed):
    found = compare(packed, get_peers(["torch-float32"]), batches=(1,), rounds=6, isa="reference").to_json()
    assert (found["kernel"], found["isa"]) == ("reference", "reference")
    if "avx2" in available_isas():
        found = compare(packed, get_peers(["torch-float32"]), batches=(1,), rounds=6, isa="avx2").to_json()
        assert found["peer_kernels"]["torch-float32"].startswith("eager float32, channels_last, AVX2,")


def test_an_instruction_set_that_is_not_there(packed):
    with pytest.raises(InputError, match="warp9"):
        compare(packed, (), batches=(1,), rounds=6, isa="warp9")


@pytest.mark.parametrize(
    ("numbers", "message"),
    [
        ({"batches": (1, 0)}, "1 to 4096 images, not 0"),
        ({"batches": (5000,)}, "not 5000"),
        ({"batches": ()}, "not none"),
        ({"threads": 0}, "at least one thread is needed, not 0"),
        ({"rounds": 5}, "5 rounds give no interval; at least 6 are needed"),
    ],
)
def test_numbers_out_of_range(numbers, message, packed):
    with pytest.raises(InputError, match=message):
        compare(packed, (), **numbers)


def test_peers_by_name():
    assert [peer.name for peer in get_peers(DEFAULT_PEERS)] == list(DEFAULT_PEERS)
    with pytest.raises(InputError, match="unknown peer 'tensorflow'; known: torch-float32"):
        get_peers(["tensorflow"])
    with pytest.raises(InputError, match="names one peer twice"):
        get_peers(["torch-float32", "torch-float32"])


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    assert PEERS["openvino-int8"].missing() == "not installed (onnx, openvino): pip install onnx openvino"


def test_a_worker_answers_line_by_line(packed, tmp_path):
    first, images = job(packed, tmp_path)
    requests = [vars(first), {"batch": 3, "count": 2}, {"batch": 3, "logits": str(tmp_path / "logits.npy")}, {}]
    answers = io.StringIO()
    serve(io.StringIO("".join(json.dumps(request) + "\n" for request in requests)), answers)
    loaded, times, logits, refused = map(json.loads, answers.getvalue().splitlines())
    assert loaded["kernel"]
    assert times["wall_s"] > 0
    assert logits == {}
    assert np.array_equal(np.load(tmp_path / "logits.npy"), run_reference(small(), images[:3]))
    assert refused == {"error": "KeyError: 'batch'"}


def test_a_process_that_dies_is_an_error(packed, tmp_path):
    with Contestant("ours", job(packed, tmp_path)[0], {}) as contestant:
        contestant._process.kill()
        contestant._process.wait()
        with pytest.raises(InputError, match="its process ended"):
            contestant.window_s(1, 1)


def test_a_runner_that_fails_is_an_error(tmp_path):
    with pytest.raises(InputError, match="cannot be read"):
        Contestant("ours", job(tmp_path / "nothing", tmp_path)[0], {})


def test_turns_rotate():
    order = []

    class Fake:
        def __init__(self, name):
            self.name = name

        def warm_up(self, _batch):
            return 4

        def window_s(self, _batch, _count):
            order.append(self.name)
            return 1.0

    times = take_turns([Fake("a"), Fake("b"), Fake("c")], 2, 3)
    assert order == ["a", "b", "c", "b", "c", "a", "c", "a", "b"]
    assert times == {name: [1 / 8] * 3 for name in "abc"}


def test_ratios_are_taken_round_by_round():
    ours, theirs = [1.0, 2.0, 4.0, 1.0, 1.0, 1.0], [3.0, 6.0, 12.0, 3.0, 3.0, 3.0]
    batch = comparison._batch({"greenshift": ours, "peer": theirs})
    assert batch.ratios["peer"].low == batch.ratios["peer"].high == 3.0, "a slow machine falls on both alike"
