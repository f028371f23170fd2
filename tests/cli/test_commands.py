"""The commands that need no study: help, version, doctor, cost; and how output behaves."""

import json
import subprocess
import sys

import pytest

import greenshift as package

COMMANDS = (
    "doctor",
    "init",
    "search",
    "status",
    "front",
    "report",
    "select",
    "ledger",
    "plan",
    "card",
    "inspect",
    "export",
    "cost",
    "evaluate",
    "targets",
    "calibrate",
    "measure",
    "sensitivity",
)


def test_version(greenshift):
    said = greenshift("--version")
    assert (said.code, said.out, said.err) == (0, f"greenshift {package.__version__}\n", "")


@pytest.mark.parametrize("arguments", [(), ("--help",)])
def test_help_lists_every_command(arguments, call):
    said = call(*arguments)
    assert said.code == 0
    assert said.err == ""
    for command in COMMANDS:
        assert f"\n  {command} " in said.out


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(command, call):
    said = call(command, "--help")
    assert said.code == 0
    assert f"Usage: greenshift {command}" in said.out


def test_every_setting_of_a_study_is_an_option_of_search(call):
    import dataclasses

    from greenshift.config import StudyConfig

    text = call("search", "--help").out
    renamed = {
        "fidelity_min": "min-fidelity",
        "fidelity_max": "max-fidelity",
        "carbon_intensity_g_per_kwh": "carbon-intensity",
    }
    for field in dataclasses.fields(StudyConfig):
        assert f"--{renamed.get(field.name, field.name.replace('_', '-'))}" in text


def test_doctor(greenshift, call):
    said = greenshift("doctor", "--json")
    assert said.code == 0, said.err
    found = json.loads(said.out)
    assert found["cores"] >= found["usable_cores"] >= 1
    assert found["ram_bytes"] > 1e8
    assert found["packages"].keys() >= {"torch", "smac", "timm", "codecarbon"}
    for meter in ("rapl", "nvml"):
        assert found[meter]["available"] or found[meter]["reason"]
    text = call("doctor")
    assert text.code == 0
    assert "estimated" in text.out or "measured" in text.out


def test_doctor_says_how_to_install_what_is_missing(call, monkeypatch):
    from greenshift.cli import doctor

    monkeypatch.setattr(doctor, "_version", lambda package: None if package == "timm" else "1.0")
    assert "pip install 'greenshift[timm]'" in call("doctor").out


def cost(call, *arguments):
    said = call("cost", "--json", *arguments)
    assert said.code == 0, said.err
    assert said.err == ""
    return json.loads(said.out)


@pytest.mark.parametrize("name", ["paper-default", "paper-pos1", "paper-pos2"])
@pytest.mark.parametrize("target", ["cortex-m4", "asic-45nm"])
def test_cost_is_the_contract(name, target, call):
    found = cost(call, "--model", "resnet20", "--configuration", name, "--target", target)
    assert found.keys() >= {"energy_j", "latency_s", "size_bytes", "peak_memory_bytes", "provenance", "layers"}
    assert found["provenance"] == "modelled"
    assert 1e-9 < found["energy_j"] < 10
    assert found["energy_j"] == pytest.approx(sum(layer["energy_j"] for layer in found["layers"]))
    assert found["size_bytes"] == sum(layer["size_bytes"] for layer in found["layers"])
    weighted = [layer for layer in found["layers"] if layer["macs"]]
    shifted = [layer for layer in weighted if layer["arithmetic"] == "shift"]
    assert len(weighted) == 20
    # POS 1 shifts 5 convolutions from the output, POS 2 16; every linear layer comes along.
    assert len(shifted) == {"paper-default": 20, "paper-pos1": 6, "paper-pos2": 17}[name]
    assert sum(layer["macs"] for layer in weighted) == pytest.approx(40.55e6, rel=0.02)


def test_cost_of_a_file_is_that_of_the_same_values_by_name(call, tmp_path):
    from greenshift.space import named_configuration

    values = named_configuration("paper-pos1", 20)
    (tmp_path / "mine.json").write_text(json.dumps(values))
    named = cost(call, "--configuration", "paper-pos1", "--target", "asic-45nm")
    assert cost(call, "--configuration", str(tmp_path / "mine.json"), "--target", "asic-45nm") == named
    fewer = {**values, "weight_bits": 2}
    (tmp_path / "fewer.json").write_text(json.dumps(fewer))
    assert (
        cost(call, "--configuration", str(tmp_path / "fewer.json"), "--target", "asic-45nm")["size_bytes"]
        < named["size_bytes"]
    )


def test_cost_fills_what_a_studys_configuration_leaves_to_the_fidelity(call, tmp_path):
    from greenshift.space import named_configuration

    values = named_configuration("paper-pos1", 20)
    named = cost(call, "--configuration", "paper-pos1", "--target", "asic-45nm")
    (tmp_path / "trial.json").write_text(json.dumps({k: v for k, v in values.items() if k != "epochs"}))
    assert cost(call, "--configuration", str(tmp_path / "trial.json"), "--target", "asic-45nm") == named
    (tmp_path / "all.json").write_text(json.dumps({k: v for k, v in values.items() if k != "shift_depth"}))
    assert cost(call, "--configuration", str(tmp_path / "all.json"), "--target", "asic-45nm") != named


def test_cost_in_a_process_of_its_own(greenshift):
    said = greenshift("cost", "--model", "tiny_cnn", "--data", "digits", "--target", "cortex-m7", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["target"] == "cortex-m7"


def test_cost_in_words(call):
    said = call("cost", "--model", "resnet20", "--configuration", "paper-pos1")
    assert said.code == 0
    assert "modelled" in said.out
    assert "within a factor of" in said.out
    assert "0.000000" not in said.out


def test_cost_of_a_module_that_is_not_ours(call, tmp_path, monkeypatch):
    (tmp_path / "somebodys.py").write_text(
        "from torch import nn\n"
        "def net(num_classes, in_channels):\n"
        "    return nn.Sequential(nn.Conv2d(in_channels, 6, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(1),\n"
        "                         nn.Flatten(), nn.Linear(6, num_classes))\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    found = cost(call, "--model", "somebodys:net", "--data", "digits", "--configuration", "paper-default")
    assert [layer["name"] for layer in found["layers"] if layer["macs"]] == ["0", "4"]


def test_a_reader_that_leaves_early_is_no_error(finished_store):
    """`greenshift front --json | head -1`."""
    reader = subprocess.Popen(
        [sys.executable, "-m", "greenshift", "front", str(finished_store), "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert reader.stdout is not None
    reader.stdout.close()
    _, err = reader.communicate(timeout=60)
    assert "Traceback" not in err
    assert "BrokenPipe" not in err
