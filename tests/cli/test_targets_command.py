"""`greenshift targets` and `greenshift cost --tables all`."""

import json

import pytest

from greenshift.targets import load_target, target_names


def test_the_list_names_every_target_with_what_it_can_do(call):
    said = call("targets", "--json")
    assert (said.code, said.err) == (0, "")
    found = {target["name"]: target for target in json.loads(said.out)}
    assert tuple(found) == target_names()
    assert found["asic-45nm"]["variants"].keys() == {"asic-45nm:aladdin", "asic-45nm:qkeras"}
    assert found["cortex-m4"]["memory_bytes"] == {"flash": 2097152, "ram": 655360}
    assert not found["rv32ic"]["capabilities"]["multiplier"]
    assert found["cpu-amx"]["capabilities"]["energy_over_int8"]["shift4"] == pytest.approx(1)
    assert {target["model"] for target in found.values()} == {"operations", "cycles", "roofline"}


def test_the_list_in_words(call):
    said = call("targets")
    assert said.code == 0
    for name in target_names():
        assert f"\n{name} " in said.out
    assert said.out.splitlines()[-1].startswith("next: greenshift targets ")


@pytest.mark.parametrize("name", ["cortex-m4", "asic-45nm:aladdin"])
def test_one_target_with_every_figure(call, name):
    found = json.loads(call("targets", name, "--json").out)
    figures = dict(load_target(name).figures)
    assert found["figures"].keys() == figures.keys()
    for key, shown in found["figures"].items():
        assert shown["value"] == figures[key].value
        assert shown["factor"] >= 1
        assert len(shown["source"]) > 20
    text = call("targets", name).out
    for key in figures:
        assert key in text
    assert text.splitlines()[-1].startswith("next: greenshift cost --target ")


def test_units_are_shown(call):
    figures = json.loads(call("targets", "cortex-m4", "--json").out)["figures"]
    assert figures["cycles.clock_hz"]["unit"] == "Hz"
    assert figures["kernels.int8-smlad.cycles_per_mac"]["unit"] == "cycles/MAC"


def test_cost_under_every_table(call):
    arguments = ("cost", "--target", "asic-45nm", "--model", "resnet20", "--tables", "all")
    found = json.loads(call(*arguments, "--json").out)
    energies = {row["target"]: row["energy_j"] for row in found["tables"]}
    assert list(energies) == ["asic-45nm", "asic-45nm:aladdin", "asic-45nm:qkeras"]
    assert found["energy_ratio"] == pytest.approx(max(energies.values()) / min(energies.values()))
    assert found["energy_ratio"] > 1.05
    alone = json.loads(call("cost", "--target", "asic-45nm:aladdin", "--json").out)
    assert alone["energy_j"] == energies["asic-45nm:aladdin"]
    said = call(*arguments)
    assert "asic-45nm:qkeras" in said.out
    assert said.out.splitlines()[-1].startswith("next: ")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("targets", "cortex-m5"), "target 'cortex-m5' is unknown; did you mean"),
        (("targets", "asic-45nm:x"), "target 'asic-45nm' has no variant 'x'; known: aladdin, qkeras"),
        (("cost", "--tables", "some"), "--tables is 'all' or left out, not 'some'"),
        (("cost", "--target", "npu-syntiant", "--configuration", "paper-pos1"), "target npu-syntiant: layer 'conv1'"),
    ],
)
def test_bad_input_is_one_line(call, arguments, message):
    said = call(*arguments)
    assert said.code == 2
    assert message in said.complaint
    assert said.err.count("\n") == 1
