"""`greenshift measure` and what `doctor` says of meters."""

import importlib
import itertools
import json

import pytest
import torch

from greenshift.artifacts import save_artifact
from greenshift.data import load_dataset
from greenshift.design import Design
from greenshift.energy import Probe, Reading
from greenshift.networks import build_network, image_shape
from greenshift.records import DataChoice
from greenshift.schemes import Depth, Shift

SHIFTED = Design("tiny_cnn", schemes=((Depth(99), Shift("Q", 4, 8, 8)),))


def artifact(folder, design=SHIFTED):
    torch.manual_seed(0)
    path = folder / "network.safetensors"
    save_artifact(path, build_network(design, image_shape(DataChoice("digits"))), design, load_dataset("digits"), {})
    return path


@pytest.fixture
def quick(monkeypatch):
    """Windows of a few inferences: what is told is tested here, not how fast this machine is."""
    monkeypatch.setattr("greenshift.measure._WINDOW_S", 0.005)
    monkeypatch.setattr("greenshift.measure._WARM_UP_S", 0.01)


def measured(call, *arguments):
    said = call("measure", *arguments, "--json")
    assert said.code == 0, said.err
    return json.loads(said.out)


@pytest.mark.usefixtures("quick")
def test_a_simulation_is_measured_and_called_one(call, tmp_path):
    found = measured(call, artifact(tmp_path), "--data", "digits", "--width", "90%", "--watts", "5")
    assert found["resolved"] is True
    assert found["reached"] <= found["width"] == 0.9
    assert found["repeats"] >= 6
    network, reference = found["network"], found["reference"]
    assert (network["arithmetic"], reference["arithmetic"]) == ("simulated", "float32")
    assert "simulating shift layers" in network["kernel"]
    assert "simulating" not in reference["kernel"]
    for inference in (network, reference):
        assert inference["latency_provenance"] == "measured"
        low, high = inference["latency_interval_s"]
        assert 0 < low <= inference["latency_s"] <= high
        assert inference["latency_half_width"] <= 0.9
        low_j, high_j = inference["energy_interval_j"]
        assert low_j < inference["energy_j"] < high_j
        assert inference["energy_source"]
    assert found["latency_ratio"] > 0
    assert found["inferences"][0] >= found["repeats"]


@pytest.mark.usefixtures("quick")
def test_a_width_that_is_out_of_reach_is_unresolved_with_what_was_reached(call, tmp_path):
    path = artifact(tmp_path, Design("tiny_cnn"))
    found = measured(call, path, "--width", "0.0001%", "--max-seconds", "0.1")
    assert found["resolved"] is False
    assert found["reached"] > 1e-6
    assert found["repeats"] >= 6
    assert found["network"]["arithmetic"] == "float32"
    text = call("measure", path, "--width", "0.0001%", "--max-seconds", "0").out
    assert "unresolved: half widths up to" in text
    assert text.splitlines()[-1].startswith("next: greenshift measure")


class Counter:
    """A counter that gives energies in turn, by one method after the other."""

    def __init__(self, energies_j, methods=("rapl-share",)):
        self.energies_j, self.methods = itertools.cycle(energies_j), itertools.cycle(methods)

    def start(self):
        pass

    def stop(self):
        energy_j, method = next(self.energies_j), next(self.methods)
        interval_j, net_j = (energy_j / 2, energy_j * 2), energy_j / 4
        return Reading(0.01, 0.01, energy_j, "estimated", "a counter", ("cpu",), method, interval_j, net_j)


@pytest.mark.usefixtures("quick")
@pytest.mark.parametrize(("energies_j", "resolved"), [((4.0,), True), ((1.0, 1.0, 9.0, 9.0), False)])
def test_where_a_counter_gives_the_energy_it_decides_too(call, tmp_path, monkeypatch, energies_j, resolved):
    """Time is always the same here: only the energy can leave it open."""
    monkeypatch.setattr("greenshift.measure.best_meter", lambda *_, **__: Counter(energies_j))
    found = measured(call, artifact(tmp_path), "--width", "1%", "--max-seconds", "0.2")
    assert found["resolved"] is resolved
    network = found["network"]
    assert network["latency_half_width"] == 0
    assert network["net_energy_j"] == pytest.approx(network["energy_j"] / 4)
    low_j, high_j = network["energy_interval_j"]
    assert high_j / low_j >= 4 * (1 - 1e-9), "what the method leaves open stays open"
    assert "above idle" in call("measure", tmp_path / "network.safetensors", "--max-seconds", "0").out


@pytest.mark.usefixtures("quick")
def test_a_counter_that_is_lost_meanwhile_leaves_no_energy(call, tmp_path, monkeypatch):
    meter = Counter((4.0,), ("rapl-share", "rapl-share", "cpu-time"))
    monkeypatch.setattr("greenshift.measure.best_meter", lambda *_, **__: meter)
    network = measured(call, artifact(tmp_path), "--width", "1%")["network"]
    assert (network["energy_j"], network["energy_interval_j"]) == (None, None)
    assert "not one method throughout" in network["energy_source"]


@pytest.mark.usefixtures("quick")
def test_in_words_a_simulation_comes_with_a_warning(call, tmp_path):
    said = call("measure", artifact(tmp_path), "--width", "90%")
    assert said.code == 0, said.err
    assert "simulated arithmetic" in said.out
    assert "the deployed network's time and energy are not these" in said.out
    assert "resolved: " in said.out
    assert said.out.splitlines()[-1].startswith("next: ")


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--target", "cortex-m4"), "greenshift cost models other devices"),
        (("--width", "0%"), "not a percentage"),
        (("--width", "5"), "such as 5%"),
        (("--width", "narrow%"), "'narrow%'"),
        (("--watts", "-1"), "at least 0 W"),
        (("--data", "cifar"), "'cifar'"),
    ],
)
def test_bad_input_is_one_line(call, tmp_path, arguments, fragment):
    said = call("measure", artifact(tmp_path), *arguments)
    assert (said.code, said.out) == (2, "")
    assert said.err.count("\n") == 1
    assert fragment in said.err


def test_only_artifacts_can_be_measured(call, tmp_path):
    from safetensors.torch import save_file

    assert "no such file" in call("measure", tmp_path / "none.safetensors").err
    save_file({"weight": torch.zeros(1)}, tmp_path / "plain.safetensors")
    said = call("measure", tmp_path / "plain.safetensors")
    assert said.code == 2
    assert "an artifact of greenshift select is needed" in said.err


def test_images_of_another_size_are_refused(call, tmp_path, monkeypatch):
    other = load_dataset("digits")
    monkeypatch.setattr(
        "greenshift.measure.load_dataset",
        lambda *_: type("Other", (), {"test_images": other.test_images.repeat(1, 3, 1, 1)}),
    )
    said = call("measure", artifact(tmp_path), "--data", "digits")
    assert said.code == 2
    assert "made for digits images" in said.err


def test_doctor_says_of_every_meter_what_it_gives_or_needs(call):
    found = json.loads(call("doctor", "--json").out)["meters"]
    assert found.keys() == {"rapl", "nvml", "cpu_time", "cgroup", "codecarbon"}
    assert found["cpu_time"]["available"]
    for meter in found.values():
        assert meter["gives"]
        assert meter["reason"]
        assert not (meter["available"] and meter["needs"])
    text = call("doctor").out
    for name in found:
        assert f"meter {name.replace('_', ' ')}" in text


def test_doctor_says_who_holds_the_counters(call, monkeypatch):
    machine = importlib.import_module("greenshift.energy.machine")  # the package has a function of that name
    monkeypatch.setattr(machine, "rapl_probe", lambda: Probe(True, "counters package-0"))
    monkeypatch.setattr(machine, "claim_probe", lambda: Probe(True, "free"))
    assert json.loads(call("doctor", "--json").out)["meters"]["rapl"]["available"]
    assert "RAPL counters, by this process's share" in call("doctor").out
    monkeypatch.setattr(machine, "claim_probe", lambda: Probe(False, "process 7 holds them"))
    rapl = json.loads(call("doctor", "--json").out)["meters"]["rapl"]
    assert (rapl["available"], rapl["reason"]) == (False, "process 7 holds them")
