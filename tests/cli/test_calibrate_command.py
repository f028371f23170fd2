"""`greenshift calibrate` and the target that it writes."""

import json

import pytest

TINY = ("--model", "tiny_cnn", "--data", "digits")


def test_a_calibrated_host_is_a_target(call, tmp_path):
    path = tmp_path / "here.toml"
    said = call("calibrate", *TINY, "--watts", "12", "--out", str(path), "--json")
    assert (said.code, said.err) == (0, "")
    found = json.loads(said.out)
    assert (found["active_power_w"], found["idle_power_w"]) == (12.0, None)
    cost = json.loads(call("cost", *TINY, "--target", str(path), "--json").out)
    assert cost["target"] == "here"
    assert cost["energy_j"] == pytest.approx(12 * cost["latency_s"])
    measured = [layer for layer in cost["layers"] if layer["macs"]]
    assert {layer["latency_provenance"] for layer in measured} == {"measured"}


def test_in_words(call, tmp_path):
    said = call("calibrate", *TINY, "--watts", "12", "--out", str(tmp_path / "here.toml"))
    assert "measured in float32 and bfloat16" in said.out
    assert "12.0 W: given by hand" in said.out
    assert said.out.splitlines()[-1].startswith("next: greenshift cost --model tiny_cnn --target ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--watts", "-1"), "--watts must be above 0, not -1"),
        (("--watts", "1", "--out", "host.json"), "a target file ends in .toml"),
        (("--watts", "1", "--out", "nowhere/host.toml"), "--out nowhere/host.toml: No such file"),
    ],
)
def test_bad_input_is_one_line(call, arguments, message):
    said = call("calibrate", *TINY, *arguments)
    assert said.code == 2
    assert message in said.complaint


def test_without_counter_and_watts(call, monkeypatch):
    from greenshift.cli import calibrate
    from greenshift.energy import Probe

    monkeypatch.setattr(calibrate, "rapl_probe", lambda: Probe(False, "nothing to read"))
    said = call("calibrate", *TINY)
    assert said.code == 2
    assert said.complaint.endswith("no energy counter here (nothing to read); give the power by --watts")
