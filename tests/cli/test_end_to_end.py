"""The contract's commands from search to artifact, in real processes."""

import json
import re
import tomllib

import pytest

from greenshift.pareto import non_dominated


def parsed(said):
    """The JSON a command printed; it must be all that stdout holds."""
    assert said.code == 0, said.err
    return json.loads(said.out)


def test_search_ends_well_and_says_what_is_next(finished_run):
    folder, said = finished_run
    assert "Traceback" not in said.err
    assert "the budget of 4 trials is used up" in said.out
    assert said.out.splitlines()[-1].startswith("next: greenshift report")
    assert (folder / "study.db").is_file()
    assert all(label in said.out for label in ("float32", "int8", "paper default", "expert default", "half width"))
    assert "0.000000" not in said.out


def test_front_is_the_contract(finished_store, greenshift):
    points = parsed(greenshift("front", finished_store, "--json"))
    assert points
    for point in points:
        assert point.keys() >= {"trial", "configuration", "fidelity", "objectives", "provenance"}
        assert point["trial"] >= 0
        assert point["fidelity"] == {"epochs": 2.0}, "fidelities are never mixed"
        assert point["objectives"].keys() == {"error", "energy_j"}
        assert point["provenance"] == {"error": "measured", "energy_j": "modelled"}
        assert "epochs" not in point["configuration"], "the fidelity leaves the space"
        assert 0 <= point["objectives"]["error"] <= 1
        assert 0 < point["objectives"]["energy_j"] < 1
    values = [[point["objectives"][name] for name in ("error", "energy_j")] for point in points]
    assert non_dominated(values).all()
    assert values == sorted(values)
    assert len({point["trial"] for point in points}) == len(points)


def test_front_lists_baselines_when_asked(finished_store, call):
    plain, all_of_it = (parsed(call("front", finished_store, "--json", *more)) for more in ((), ("--baselines",)))
    assert all_of_it[: len(plain)] == plain
    labels = [point["baseline"] for point in all_of_it[len(plain) :]]
    assert labels == ["float32", "int8", "paper default", "expert default", "float32 half width"]
    energy = {p["baseline"]: p["objectives"]["energy_j"] for p in all_of_it[len(plain) :]}
    assert energy["int8"] < energy["float32"]
    assert energy["float32 half width"] < energy["float32"]


def test_status_adds_up(finished_store, greenshift, call):
    status = parsed(greenshift("status", finished_store, "--json"))
    assert status["running"] is False
    assert status["trials"]["ok"] + status["trials"]["failed"] == 4
    assert status["baselines"] == 5
    assert status["front_size"] == len(parsed(call("front", finished_store, "--json")))
    assert status["hypervolume"] > 0
    assert status["budget"] == "4trials"
    consumed = status["consumption"]
    assert consumed["wall_s"] > 0
    assert consumed["provenance"] in ("measured", "estimated")
    assert consumed["energy_j"] is None or consumed["energy_j"] > 0
    text = call("status", finished_store)
    assert "4 ok, 0 failed, 0 refused" in text.out
    assert text.out.splitlines()[-1].startswith("next: greenshift front")


def test_report_is_one_offline_page(own_store, call):
    said = call("report", own_store, "--json")
    described = parsed(said)
    page = (own_store / "report.html").read_text(encoding="utf-8")
    assert described == {"report": str(own_store / "report.html"), "size_bytes": len(page.encode())}
    assert page.lstrip().lower().startswith("<!doctype html>")
    assert not re.search(r"<(script|link|img)[^>]+(src|href)=[\"']?https?:", page)


def test_select_reports_once_and_its_artifact_keeps_the_promise(selected, greenshift):
    folder, said = selected
    selection = parsed(said)
    assert selection["seeds"] == [0, 1]
    first, second = selection["test_errors"]
    assert selection["test_error"]["mean"] == pytest.approx((first + second) / 2)
    assert selection["test_error"]["std"] == pytest.approx(abs(first - second) / 2**0.5)
    artifact = folder / f"trial-{selection['trial']}.safetensors"
    assert selection["artifact"] == str(artifact)
    assert selection["target"]["provenance"] == "modelled"
    assert selection["target"]["latency_s"] > 0
    packed = selection["packed"]
    if "reason" not in packed:
        assert packed["size_bytes"] == (folder / f"trial-{selection['trial']}.packed").stat().st_size
        assert packed["size_bytes"] < artifact.stat().st_size
        assert packed["provenance"] == "measured"
        assert packed["latency_s"] > 0
        assert packed["kernel"]
    again = parsed(greenshift("evaluate", "--checkpoint", artifact, "--data", "digits", "--json"))
    assert again["n"] > 300
    assert again["test_error"] == pytest.approx(first, abs=0.5 / again["n"]), "both are measured in float32"


def test_select_again_gives_the_same_without_training(selected, call):
    folder, said = selected
    before = (folder / "study.db").read_bytes()
    again = call("select", folder, "--seeds", "5", "--json")
    assert parsed(again) == json.loads(said.out)
    assert again.err == "", "nothing was trained"
    assert (folder / "study.db").read_bytes() == before
    text = call("select", folder)
    assert "a point is tested once" in text.out


def test_the_selected_point_is_on_the_front(selected, call):
    folder, said = selected
    trials = [point["trial"] for point in parsed(call("front", folder, "--json"))]
    assert json.loads(said.out)["trial"] in trials


def test_the_same_command_goes_on_to_the_new_total(own_store, contract, call):
    before = parsed(call("front", own_store, "--json", "--baselines"))
    more = parsed(call(*contract, "--store", own_store, "--budget", "6trials", "--json"))
    assert more["reason"] == "budget"
    assert more["progress"]["ok"] + more["progress"]["failed"] == 6
    assert more["progress"]["baselines"] == 5
    assert len(parsed(call("front", own_store, "--json", "--baselines"))) >= len(before) - 4
    same = parsed(call(*contract, "--store", own_store, "--budget", "6trials", "--json"))
    assert same["progress"]["ok"] == more["progress"]["ok"], "a budget that is used up gives no further trial"
    assert same["front"] == more["front"]


def test_the_same_seed_proposes_and_measures_the_same(finished_store, contract, call, tmp_path):
    parsed(call(*contract, "--store", tmp_path / "twin", "--budget", "4trials", "--no-baselines", "--json"))
    twin, original = (parsed(call("front", store, "--json")) for store in (tmp_path / "twin", finished_store))
    assert [p["configuration"] for p in twin] == [p["configuration"] for p in original]
    assert [p["objectives"] for p in twin] == [p["objectives"] for p in original]


def test_init_writes_what_search_reads(tmp_path, call, contract):
    given = [*contract[1:], "--budget", "1trials", "--no-baselines", "--max-energy", "150%"]
    file = tmp_path / "study.toml"
    said = call("init", "--output", file, *given)
    assert said.code == 0, said.err
    assert said.out.splitlines()[-1] == f"next: greenshift search {file}"
    values = tomllib.loads(file.read_text(encoding="utf-8"))
    assert values["fidelity_max"] == 2
    assert values["baselines"] is False
    outcome = parsed(call("search", file, "--store", tmp_path / "store", "--json"))
    assert outcome["progress"]["ok"] == 1
    assert outcome["limits"].keys() == {"energy_j"}
    more = parsed(call("search", file, "--store", tmp_path / "store", "--budget", "2trials", "--json"))
    assert more["progress"]["ok"] == 2, "an option wins over the file"


def test_without_a_store_the_run_folder_is_named_after_the_study(tmp_path, call, contract, monkeypatch):
    monkeypatch.chdir(tmp_path)
    outcome = parsed(call(*contract, "--budget", "1trials", "--no-baselines", "--json"))
    assert outcome["store"] == "runs/digits-tiny_cnn"
    assert (tmp_path / "runs" / "digits-tiny_cnn" / "study.db").is_file()


@pytest.mark.parametrize("size", ["12kB", "10%"])
def test_what_is_too_large_is_refused_before_training(size, tmp_path, call, contract):
    said = call(
        *(*contract, "--budget", "2trials", "--no-baselines", "--max-size", size),
        *("--store", tmp_path / "store", "--json", "--max-fidelity", "1"),
    )
    outcome = parsed(said)
    limit = outcome["limits"]["size_bytes"]
    assert outcome["progress"]["refused"] > 0
    assert outcome["progress"]["ok"] == 2
    from greenshift.store import Store

    with Store.open(tmp_path / "store") as store:
        for evaluation in store.evaluations():
            assert (evaluation.cost["size_bytes"] > limit) == (evaluation.outcome == "infeasible")
            assert bool(evaluation.curve) == (evaluation.outcome == "ok")


def test_constraints_that_nothing_meets_name_the_nearest_and_what_binds(tmp_path, call, contract, monkeypatch):
    from greenshift.study import loop

    monkeypatch.setattr(loop, "MAX_REFUSALS", 20)
    said = call(*contract, "--budget", "2trials", "--no-baselines", "--max-energy", "1nJ", "--store", tmp_path / "s")
    assert said.code == 1
    assert re.search(r"nearest is trial \d+ with energy_j [\d.]+ [mµ]J against the bound 1.00 nJ", said.complaint)


def test_networks_above_the_bound_on_the_error_do_not_count(tmp_path, call, contract):
    store = tmp_path / "s"
    options = ("--budget", "2trials", "--no-baselines", "--store", store)
    assert call(*contract, *options, "--max-error", "0.1%").code == 0
    assert json.loads(call("front", store, "--json").out) == []
    said = call("select", store)
    assert said.code == 2
    assert re.search(r"no trial has an error of at most 0\.1.* %, the least is [\d.]+ %; search on", said.complaint)
    assert call("report", store).code == 0
    assert "an error of at most 0.1 %" in (store / "report.html").read_text(encoding="utf-8")


def test_more_than_half_failed_is_a_failed_study(tmp_path, call, contract, monkeypatch):
    (tmp_path / "flaky.py").write_text(
        "import torch\n"
        "class Net(torch.nn.Module):\n"
        "    def __init__(self, num_classes, in_channels, image_size):\n"
        "        super().__init__()\n"
        "        self.conv = torch.nn.Conv2d(in_channels, 4, 3)\n"
        "        self.fc = torch.nn.Linear(4, num_classes)\n"
        "    def forward(self, x):\n"
        "        if x.shape[0] > 2:\n"
        "            raise RuntimeError('the camera is unplugged')\n"
        "        return self.fc(self.conv(x).mean((2, 3)))\n",
        encoding="utf-8",
    )
    monkeypatch.chdir(tmp_path)
    said = call(*contract, "--model", "flaky:Net", "--budget", "4trials", "--no-baselines", "--store", "store")
    assert said.code == 1
    assert "4 of 4 trials failed" in said.complaint
    assert "the camera is unplugged" in said.complaint
    front = call("front", "store", "--json")
    assert parsed(front) == [], "no trial gave a point, and all are kept"
    assert parsed(call("status", "store", "--json"))["trials"]["failed"] == 4


def test_the_papers_own_objective_is_called_simulated(tmp_path, call, contract):
    store = tmp_path / "store"
    asked = (*contract, "--objectives", "error,emissions_g", "--budget", "1trials", "--no-baselines")
    assert call(*asked, "--store", store).code == 0
    (point,) = parsed(call("front", store, "--json"))
    assert point["provenance"] == {"error": "measured", "emissions_g": "simulated"}
    assert point["objectives"]["emissions_g"] > 0


def test_a_study_without_the_error_can_be_selected_from(tmp_path, call, contract):
    store = tmp_path / "store"
    asked = (*contract, "--objectives", "energy_j,size_bytes", "--budget", "2trials", "--no-baselines")
    assert call(*asked, "--store", store).code == 0
    said = call("select", store, "--seeds", "1")
    assert said.code == 0, said.err
    assert "measured" in said.out


def test_shift_depth_is_a_fidelity_too(tmp_path, call, contract):
    base = [value for value in contract if value not in ("--max-fidelity", "2")]
    base[base.index("epochs")] = "shift_depth"
    store = tmp_path / "store"
    said = call(*base, "--epochs", "1", "--budget", "2trials", "--no-baselines", "--store", store)
    assert said.code == 0, said.err
    points = parsed(call("front", store, "--json"))
    assert points
    assert all(point["fidelity"].keys() == {"shift_depth"} for point in points)
    assert all("shift_depth" not in point["configuration"] for point in points)


def test_smac_runs_end_to_end(tmp_path, call, contract):
    pytest.importorskip("smac")
    asked = [value if value != "random" else "smac" for value in contract]
    said = call(*asked, "--budget", "3trials", "--no-baselines", "--store", tmp_path / "store", "--json")
    assert parsed(said)["progress"]["ok"] == 3
