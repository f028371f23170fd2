"""`ledger`, `plan`, `card`, and the front and the report on other electricity and other targets."""

import json
import shutil
from pathlib import Path

import pytest

from greenshift.store import Store

RESULTS = Path(__file__).parents[2] / "docs/results/fashion-mnist-resnet20"


@pytest.fixture
def study(tmp_path):
    """A real study without baselines, to look at."""
    shutil.copy(RESULTS / "random-0/study.db", tmp_path / "study.db")
    return tmp_path


def read(said):
    assert said.code == 0, said.err
    return json.loads(said.out, parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_the_contract_of_the_ledger(call, finished_store):
    found = read(call("ledger", finished_store, "--grid", "FR", "--year", "2023", "--json"))
    search = found["stages"]["search"]
    assert search.keys() >= {"energy_j", "carbon_g", "provenance", "interval"}
    assert search["carbon_g"] == pytest.approx(search["energy_j"] / 3.6e6 * 56.039)
    assert search["interval"][0] < search["energy_j"] < search["interval"][1]
    status = read(call("status", finished_store, "--json"))
    assert search["energy_j"] == pytest.approx(status["consumption"]["energy_j"])
    front = {point["trial"] for point in read(call("front", finished_store, "--json"))}
    rows = {(row["trial"], row["baseline"]) for row in found["break_even"]}
    assert {trial for trial, _ in rows} == front
    assert {"float32", "int8", "paper default"} <= {baseline for _, baseline in rows}
    assert all(row.keys() >= {"inferences", "interval", "verdict"} for row in found["break_even"])


def test_a_selection_is_a_stage_and_counts_before_the_break_even(call, finished_store, selected):
    folder, said = selected
    final = read(call("ledger", folder, "--json"))["stages"]["final_training"]
    assert final["energy_j"] == json.loads(said.out)["reading"]["energy_j"] > 0
    assert "final_training" not in read(call("ledger", finished_store, "--json"))["stages"]


def test_grams_and_pue_scale_the_carbon_and_leave_the_energy(call, study):
    one, two = (read(call("ledger", study, "--grid", "100", "--pue", pue, "--json")) for pue in ("1", "2"))
    assert two["stages"]["search"]["carbon_g"] == pytest.approx(2 * one["stages"]["search"]["carbon_g"])
    assert two["stages"]["search"]["energy_j"] == one["stages"]["search"]["energy_j"]
    pays = [(a, b) for a, b in zip(one["break_even"], two["break_even"], strict=True) if a["inferences"]]
    assert pays
    assert all(b["inferences"] == pytest.approx(2 * a["inferences"]) for a, b in pays)


def test_one_store_under_two_grids_and_two_targets_without_training(call, study, monkeypatch):
    """Everything that could train is taken away first."""
    from greenshift import networks, train

    def refuse(*_arguments, **_keywords):
        raise AssertionError("something was trained")

    monkeypatch.setattr(networks, "train_design", refuse)
    monkeypatch.setattr(networks, "train", refuse)
    monkeypatch.setattr(train, "train", refuse)
    before = (study / "study.db").read_bytes()
    fronts = {
        (grid, target): read(call("front", study, "--grid", grid, "--target", target, "--json"))
        for grid in ("FR", "PL")
        for target in ("cortex-m4", "asic-45nm")
    }
    for target in ("cortex-m4", "asic-45nm"):
        france, poland = fronts["FR", target], fronts["PL", target]
        assert [p["trial"] for p in france] == [p["trial"] for p in poland]
        for one, other in zip(france, poland, strict=True):
            assert one["objectives"] == other["objectives"]
            ratios = {other["carbon"][key] / one["carbon"][key] for key in ("inference_g", "training_g")}
            assert min(ratios) == pytest.approx(max(ratios))
            assert min(ratios) > 5
    own = read(call("front", study, "--json"))
    same = fronts["FR", "cortex-m4"]
    assert [p["objectives"] for p in same] == [pytest.approx(p["objectives"]) for p in own]
    assert len(fronts["FR", "asic-45nm"]) > len(same)  # shifts pay more there
    assert all(p["objectives"]["energy_j"] < 1e-3 for p in fronts["FR", "asic-45nm"])
    assert (study / "study.db").read_bytes() == before


def test_the_papers_objective_on_the_front_follows_the_grid(call, tmp_path):
    folder = tmp_path / "carbon"
    arguments = ("--objectives", "error,emissions_g", "--epochs", "1", "--train-limit", "60", "--no-baselines")
    said = call("search", "--budget", "2trials", "--carbon-intensity", "200", *arguments, "--store", folder, "--json")
    assert said.code == 0, said.err
    own, half = (read(call("front", folder, *grid, "--json")) for grid in ((), ("--grid", "100")))
    assert [p["objectives"]["error"] for p in own] == [p["objectives"]["error"] for p in half]
    for one, other in zip(own, half, strict=True):
        assert other["objectives"]["emissions_g"] == pytest.approx(one["objectives"]["emissions_g"] / 2)


def test_all_stages_in_words(call, study):
    said = call(
        *("ledger", study, "--grid", "DE", "--fleet", "1000", "--rate", "1/s", "--development", "2kWh"),
        *("--inferences", "1e9", "--embodied-kg", "1000", "--lifetime", "4y"),
    )
    assert said.code == 0, said.err
    for words in ("development", "search", "inference", "embodied", "Germany 2023", "pays back", "time of the fleet"):
        assert words in said.out
    assert said.out.splitlines()[-1].startswith("next: greenshift card")


def test_a_scenario_and_a_profile(call, study, tmp_path):
    scenario = read(call("ledger", study, "--grid", "DE", "--scenario", "2035, 80 % wind", "--json"))
    assert scenario["grid"]["year"] == 2035
    assert scenario["grid"]["g_per_kwh"] < 150
    path = tmp_path / "day.csv"
    path.write_text("hour,g_per_kwh\n" + "".join(f"{hour},{hour * 10}\n" for hour in range(24)))
    found = read(call("ledger", study, "--profile", path, "--json"))
    assert 0 <= found["stages"]["search"]["g_per_kwh"] <= 230
    assert found["grid"]["g_per_kwh"] == pytest.approx(115)


def test_one_store_under_two_tables(call, study):
    options = ("--target", "asic-45nm", "--json")
    own, other = (read(call("front", study, *options, *more)) for more in ((), ("--tables", "aladdin")))
    energies = [{p["trial"]: p["objectives"]["energy_j"] for p in points} for points in (own, other)]
    # Aladdin's shifts are dearer; ternary weights all shift alike, which is wiring by both tables.
    ratios = {trial: energies[1][trial] / energies[0][trial] for trial in energies[0].keys() & energies[1].keys()}
    assert min(ratios.values()) == 1
    assert max(ratios.values()) > 1.1
    assert energies[0].keys() > energies[1].keys(), "one point is no longer worth its energy"


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (("--grid", "Frnace"), "did you mean FRA (France)?"),
        (("--grid", "FR", "--year", "2003"), "only for 2023"),
        (("--year", "2023"), "name the country"),
        (("--grid", "FR", "--pue", "-1"), "pue must be at least 1"),
        (("--pue", "0.5"), "pue must be at least 1"),
        (("--grid", "FR", "--scenario", "2035, 80 % wind, 40 % sun"), "is not a percentage"),
        (("--grid", "FR", "--scenario", "2035, 80 % wind, 40 % solar"), "120 %, more than 100 %"),
        (("--scenario", "2035, 80 % wind"), "name the country"),
        (("--grid", "FR", "--year", "2023", "--scenario", "2035, 80 % wind"), "not for 2023"),
        (("--profile", "missing.csv", "--grid", "FR"), "leave out grid"),
        (("--profile", "missing.csv"), "cannot be read"),
        (("--target", "cortex-m99"), "unknown"),
        (("--target", "asic-45nm", "--tables", "nobodys"), "nobodys"),
        (("--fleet", "10"), "--rate 1/s"),
        (("--rate", "often"), "rate 'often'"),
        (("--development", "much"), "development 'much'"),
        (("--embodied-kg", "1000"), "give both"),
        (("--inferences", "-1"), "above 0"),
        (("--inferences", "1e9", "--trial", "77"), "no trial 77"),
    ],
)
def test_bad_input_is_one_line(call, study, options, complaint):
    said = call("ledger", study, *options)
    assert (said.code, said.out) == (2, "")
    assert complaint in said.complaint
    assert len(said.err.splitlines()) == 1


def test_the_report_on_other_electricity_and_another_target(call, study):
    assert call("report", study, "--grid", "FR", "--pue", "1.2", "--target", "asic-45nm").code == 0
    page = (study / "report.html").read_text(encoding="utf-8")
    assert "56.04 gCO2e/kWh, France 2023" in page
    assert "PUE 1.2" in page
    assert "modelled on asic-45nm" in page
    assert "--target asic-45nm" not in page  # the command of the study is what was run


def test_the_card(call, study, selected):
    said = call("card", study, "--grid", "FR", "--out", study / "mine.md")
    assert said.code == 0, said.err
    text = (study / "mine.md").read_text(encoding="utf-8")
    assert "not recorded" in text
    assert "per trial" in text
    assert "France 2023" in text
    items = read(call("card", selected[0], "--inferences", "1e6", "--json"))
    assert items["items"]["hardware"]
    assert "torch" in items["items"]["tool versions"]
    assert items["sci"]["unit"] == "inference"
    assert items["stages"].keys() == {"search", "final_training", "inference"}
    assert call("card", study, "--out", study / "no" / "such.md").code == 2


PLAN = ("plan", "--data", "digits", "--model", "tiny_cnn", "--target", "cortex-m4", "--training", "5J")


def test_plan_scales_with_the_use(call):
    one, ten = (read(call(*PLAN, "--fleet", n, "--rate", "1/s", "--lifetime", "3y", "--json")) for n in ("1", "10"))
    assert ten["bound_j"] == pytest.approx(10 * one["bound_j"])
    assert ten["interval"] == pytest.approx([10 * bound for bound in one["interval"]])
    assert ten["verdict"] == "worth searching"
    assert ten["budget_j"] <= ten["bound_j"]
    assert ten["probe_j"] > 0
    assert "CPU time" in ten["probe_source"]


def test_plan_can_say_that_it_is_not_worth_it(call):
    said = call(*PLAN, "--fleet", "1", "--rate", "1/d", "--lifetime", "1y")
    assert said.code == 0
    assert "not worth searching" in said.out
    assert said.out.splitlines()[-1].startswith("next: ")


def test_search_with_an_automatic_budget(call, tmp_path):
    quick = ("--data", "digits", "--model", "tiny_cnn", "--epochs", "1", "--train-limit", "60", "--no-baselines")
    use = ("--rate", "1/s", "--lifetime", "1y")
    found = read(call("search", *quick, "--budget", "auto", *use, "--store", tmp_path / "a", "--json"))
    assert found["reason"] == "budget"
    assert read(call("status", tmp_path / "a", "--json"))["budget"].endswith("J")
    with Store.open(tmp_path / "a") as store:
        probe, run = store.sessions()
    assert (probe.state, run.state) == ("probe", "finished")
    assert probe.reading.energy_j > 0
    spent_j = pytest.approx(probe.reading.energy_j + run.reading.energy_j)
    assert found["consumption"]["energy_j"] == spent_j
    assert found["progress"]["energy_j"] == spent_j
    assert read(call("ledger", tmp_path / "a", "--json"))["stages"]["search"]["energy_j"] == spent_j
    card = read(call("card", tmp_path / "a", "--json"))
    assert "1 runs of the search and 1 that found its budget" in card["items"]["runs counted"]
    said = call("search", *quick, "--budget", "auto", "--rate", "1/y", "--lifetime", "1y", "--store", tmp_path / "b")
    assert said.code == 1
    assert "not worth searching" in said.complaint
    assert "finding that out took" in said.complaint
    assert not (tmp_path / "b").exists()
    assert call("search", *quick, "--budget", "auto", "--store", tmp_path / "b").code == 2


def test_a_search_that_stops_when_it_does_not_pay(call, tmp_path):
    quick = ("--epochs", "1", "--train-limit", "60", "--no-baselines", "--stop-when-unprofitable")
    use = ("--rate", "1/y", "--lifetime", "1y", "--budget", "30trials", "--store", tmp_path)
    found = read(call("search", *quick, *use, "--json"))
    assert found["reason"] == "unprofitable"
    assert found["progress"]["ok"] + found["progress"]["failed"] < 30
    assert read(call("status", tmp_path, "--json"))["stopped"]["detail"] == found["detail"]
    assert call("report", tmp_path).code == 0
    assert "The search stopped: one more joule" in (tmp_path / "report.html").read_text()
    assert "--stop-when-unprofitable" in (tmp_path / "report.html").read_text()


def test_the_report_says_whether_the_order_survives_other_tables(call, finished_store, tmp_path):
    page = tmp_path / "page.html"
    for options, expected in (([], False), (["--tables", "all", "--target", "asic-45nm"], True)):
        said = call("report", finished_store, "-o", page, *options)
        assert said.code == 0, said.err
        assert ("asic-45nm:aladdin</td>" in page.read_text()) is expected
