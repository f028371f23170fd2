"""The full space through the command line: search, front, select, cost, plan, techniques."""

import json
import tomllib

import pytest
import torch
from safetensors.torch import save_file

from greenshift.models import build_model
from greenshift.targets import target_names

SEARCH = (
    *("search", "--data", "digits", "--model", "tiny_cnn", "--space", "full", "--techniques", "uniform,prune"),
    *("--optimizer", "random", "--fidelity", "epochs", "--max-fidelity", "2", "--train-limit", "200"),
    *("--seed", "1", "--no-baselines", "--budget", "3trials", "--json"),
)


@pytest.fixture(scope="module")
def full_store(tmp_path_factory, greenshift):
    folder = tmp_path_factory.mktemp("full") / "store"
    said = greenshift(*SEARCH, "--store", folder)
    assert said.code == 0, said.err
    return folder, json.loads(said.out)


def test_search_front_and_select(full_store, greenshift, call):
    folder, summary = full_store
    assert summary["techniques"]["searched"] == ["uniform", "prune"]
    assert summary["techniques"]["schemes"] == ["int8", "lowbit", "float"]
    assert summary["techniques"]["groups"]["stage1"] == ["1.0"], "8x8 images have no first pooling"
    assert summary["progress"]["ok"] == 3
    points = json.loads(call("front", folder, "--json").out)
    assert points
    for point in points:
        configuration, design = point["configuration"], point["design"]
        assert configuration["scheme_stem"] in ("int8", "lowbit", "float")
        assert ("lowbit_bits_stem" in configuration) == (configuration["scheme_stem"] == "lowbit")
        assert (design.get("pruning") is None) == (configuration.get("prune", "on") == "off")
    table = call("front", folder)
    assert table.code == 0
    again = greenshift(*SEARCH, "--store", folder)
    assert json.loads(again.out)["progress"]["ok"] == 3, "the same study, told again"
    selected = json.loads(call("select", folder, "--seeds", "1", "--json").out)
    assert 0 <= selected["test_error"]["mean"] <= 1


def test_status_and_report_look_at_it(full_store, call):
    folder, _ = full_store
    assert "space full" in call("status", folder).out
    assert call("report", folder, "--json").code == 0


def test_search_says_in_one_line_what_it_leaves_out(tmp_path, call):
    arguments = [word for word in SEARCH if word not in ("--techniques", "uniform,prune", "--json")]
    said = call(*arguments, "--target", "cpu-vnni", "--budget", "1trials", "--store", tmp_path / "store")
    assert said.code == 0, said.err
    line = next(line for line in said.err.splitlines() if line.startswith("techniques: "))
    searched = "techniques: uniform, binary, prune, activation, compact; layers are int8, sign, float; "
    assert f"{searched}left out for cpu-vnni: " in line
    for words in (
        "distill (no teacher is given)",
        "unstructured and 2:4 (zeros cost as much",
        "shift (",
        "takes 1.00 of int8's energy",
    ):
        assert words in line


def test_what_a_distilling_search_found_has_a_cost(tmp_path, call):
    file = tmp_path / "c.json"
    file.write_text('{"distill": "on", "temperature": 4.0, "distill_weight": 0.5, "sparsity": 0.5, "prune": "on"}')
    asked = ("cost", "--space", "full", "--model", "tiny_cnn", "--data", "digits", "--target", "cortex-m0")
    asked += ("--configuration", file, "--techniques", "prune,distill")
    said = call(*asked)
    assert (said.code, said.complaint.count("needs a teacher; name its file with teacher")) == (2, 1)
    said = call(*asked, "--teacher", "of-the-search.safetensors", "--json")
    assert said.code == 0, said.err
    assert json.loads(said.out)["design"]["pruning"]["sparsity"] == 0.5


def test_a_full_study_begins_with_anothers_front(full_store, tmp_path, call):
    """Groups have the same names on every network."""
    folder, _ = full_store
    words = ["resnet20" if word == "tiny_cnn" else word for word in SEARCH]
    said = call(*words, "--budget", "1trials", "--train-limit", "64", "--warm-start", folder, "--store", tmp_path / "s")
    assert said.code == 0, said.err
    assert json.loads(said.out)["warm_start"]["taken"] >= 1


def test_a_search_begins_with_the_best_of_a_sensitivity_table(tmp_path, call, greenshift):
    torch.manual_seed(0)
    weights = tmp_path / "float.safetensors"
    save_file(build_model("tiny_cnn", num_classes=10, in_channels=1, image_size=8).state_dict(), weights)
    measured = ("sensitivity", weights, "--model", "tiny_cnn", "--data", "digits", "--images", "200", "--batches", "1")
    table = tmp_path / "table.json"
    table.write_text(call(*measured, "--schemes", "int8,int2", "--json").out)
    begun = ("--warm-start", table, "--init", weights, "--store", tmp_path / "store")
    said = greenshift(*SEARCH, *begun, "--budget", "2trials")
    assert said.code == 0, said.err
    taken = json.loads(said.out)["warm_start"]
    assert taken["untried"] == taken["taken"] > 1
    points = json.loads(call("front", tmp_path / "store", "--json").out)
    assert all(v == 2 for point in points for k, v in point["configuration"].items() if k.startswith("lowbit"))
    table.unlink()
    assert json.loads(greenshift(*SEARCH, *begun, "--budget", "3trials").out)["warm_start"] == taken
    for own, words in (
        (("--space", "paper"), "a sensitivity table needs space full"),
        (("--techniques", "prune"), "tells nothing of group stem"),
    ):
        table.write_text(call(*measured, "--schemes", "int8", "--json").out)
        arguments = [word for word in SEARCH if word not in ("--space", "full", "--techniques", "uniform,prune")]
        arguments += ["--space", "full", *own] if "--space" not in own else own
        refused = call(*arguments, "--warm-start", table, "--store", tmp_path / "other")
        assert (refused.code, words in refused.complaint) == (2, True), refused.err
        assert refused.complaint.count("warm_start: ") == 1
        assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--techniques", "shifts"), "unknown technique 'shifts'; known: shift, uniform, binary, ternary, prune"),
        (("--techniques", "distill"), "distill needs a teacher; name its file with teacher"),
        (("--techniques", "shift", "--space", "paper"), "space paper has none to choose from; set space to 'full'"),
        (
            ("--fidelity", "shift_depth"),
            "'shift_depth' is unknown in space full, where layers have schemes",
        ),
        (("--space", "fuller"), "unknown space 'fuller'; known: paper, full"),
    ],
)
def test_search_refuses_in_one_line(arguments, message, tmp_path, call):
    given = ["search", "--data", "digits", "--model", "tiny_cnn", "--space", "full", *arguments]
    said = call(*given, "--store", tmp_path / "store")
    assert said.code == 2
    assert message in said.complaint
    assert not (tmp_path / "store").exists()


def test_init_writes_space_and_techniques(tmp_path, call):
    file = tmp_path / "study.toml"
    assert call("init", "--space", "full", "--techniques", "shift, prune", "--output", file).code == 0
    written = tomllib.loads(file.read_text())
    assert (written["space"], written["techniques"]) == ("full", ["shift", "prune"])
    assert "# what space full searches, such as shift,prune; all that pay on the target if left out" in file.read_text()


def test_cost_of_a_mixture(tmp_path, call):
    file = tmp_path / "mixture.json"
    file.write_text(json.dumps({"scheme_stage1": "shift", "scheme_head": "float", "prune": "on", "temperature": 2.0}))
    arguments = ("cost", "--space", "full", "--model", "resnet20", "--configuration", file)
    found = json.loads(call(*arguments, "--json").out)
    schemes = {entry["layers"]: entry["scheme"] for entry in found["design"]["schemes"]}
    assert schemes == {"conv1": "uniform", "layer1.*": "poweroftwo", "layer2.*": "uniform", "layer3.*": "uniform"}
    table = call(*arguments).out
    rows = {line.split()[0]: line.split()[1:3] for line in table.splitlines() if line.startswith(("layer", "linear"))}
    assert rows["layer1.0.conv1"] == ["shift", "4/8"]
    assert rows["layer2.0.conv1"] == ["int", "8/8"]
    assert rows["linear"] == ["float", "32/32"]
    file.write_text(json.dumps({"scheme_stage1": "binary", "prune": "on"}))
    refused = call(*arguments, "--techniques", "binary,prune")
    assert refused.code == 2
    assert "'prune' is not used with the other values: binary weights have no zero" in refused.complaint


def test_plan_knows_the_cheapest_mixture(call):
    def bound(space):
        use = ("--rate", "1/s", "--lifetime", "1d", "--training", "5kJ")
        said = call("plan", "--model", "tiny_cnn", "--data", "digits", "--space", space, *use, "--json")
        assert said.code == 0, said.err
        return json.loads(said.out)

    full, paper = bound("full"), bound("paper")
    assert full["cheapest"]["width"] == 0.25
    assert full["bound_j"] > paper["bound_j"]


def test_techniques_are_listed(call):
    found = json.loads(call("techniques", "--json").out)
    names = [entry["name"] for entry in found]
    quantised, whole = ["shift", "uniform", "binary", "ternary"], ["prune", "activation", "distill", "compact", "fuse"]
    assert names == quantised + whole
    for entry in found:
        assert entry["summary"]
        assert entry["sources"]
        assert set(entry["targets"]) == set(target_names())
        assert entry["profits_on"] == [name for name, verdict in entry["targets"].items() if verdict["profits"]]
        assert bool(entry["parameters"]) == (entry["name"] != "fuse")
    by_name = {entry["name"]: entry for entry in found}
    assert by_name["shift"]["parameters"]["shift_bits_GROUP"] == "2 to 7"
    assert "cpu-vnni" not in by_name["shift"]["profits_on"]
    text = call("techniques", "--target", "cortex-m0")
    assert "on cortex-m0" in text.out
    assert text.out.splitlines()[-1].startswith("next: greenshift search --space full")
    assert call("techniques", "--target", "nowhere").code == 2
