"""A search that is replayed is the ordinary search, at the price that its trainings had when they were recorded."""

import json

import pytest
from table_samples import EPOCHS, FAILING, GRID, sample_design, sample_table

from greenshift.config import StudyConfig
from greenshift.errors import InputError
from greenshift.records import DataChoice, Task
from greenshift.replay import Replay, check_settings, load_table, save_table, with_table
from greenshift.store import Store
from greenshift.study import StudyInterrupted, run_study
from study_fakes import ignore

SOME = {"shift_type": "Q", "weight_bits": 4, "lr": 0.1}


@pytest.fixture
def path(tmp_path):
    save_table(tmp_path / "sample.json.gz", sample_table())
    return tmp_path / "sample.json.gz"


@pytest.fixture
def study(path):
    def make(**settings):
        asked = {"optimizer": "random", "target": "asic-45nm", "fidelity": "epochs", **settings}
        return with_table(StudyConfig(replay=str(path), **asked), load_table(path), asked)

    return make


def evaluations(folder):
    with Store.open(folder) as store:
        return store.evaluations()


def a_task(configuration=SOME, epochs=EPOCHS, **changes):
    fields = {
        "trial": 0,
        "configuration": configuration,
        "design": sample_design(configuration),
        "epochs": epochs,
        "data": DataChoice("fashion-mnist"),
        "objectives": ("error", "energy_j"),
        "target": "asic-45nm",
        "seed": 0,
    }
    return Task(**{**fields, **changes})


# ---- one evaluation


def test_an_evaluation_is_the_recorded_one():
    table = sample_table()
    evaluation = Replay(table).evaluate(a_task(), None)
    wanted = table.evaluate(SOME, EPOCHS, "asic-45nm")
    assert evaluation.outcome == "ok"
    assert evaluation.objectives == {"error": wanted["error"], "energy_j": pytest.approx(wanted["energy_j"], rel=1e-12)}
    assert evaluation.provenance == {"error": "measured", "energy_j": "modelled"}
    assert evaluation.curve == table.curve(SOME, EPOCHS)
    assert evaluation.reading == table.consumption(SOME, EPOCHS)


def test_a_failed_training_fails_with_its_reason_and_its_price():
    evaluation = Replay(sample_table()).evaluate(a_task(FAILING), None)
    assert evaluation.outcome == "failed"
    assert evaluation.objectives == {}
    assert evaluation.reason.startswith("diverged: loss is nan in epoch 3")
    assert len(evaluation.curve) == 2
    assert evaluation.reading.energy_j == pytest.approx(3 * 4.44)


def test_a_paused_trial_pays_for_its_new_epochs_only(tmp_path):
    paused = str(tmp_path / "checkpoint")
    first, second = Replay(sample_table()), Replay(sample_table())  # the second run knows the file only
    assert first.evaluate(a_task(epochs=1, checkpoint=paused), None).reading.energy_j == pytest.approx(4.12)
    assert first.evaluate(a_task(epochs=3, checkpoint=paused), None).reading.energy_j == pytest.approx(8.24)
    assert second.evaluate(a_task(epochs=4, checkpoint=paused), None).reading.energy_j == pytest.approx(4.12)


def test_the_meter_counts_what_was_recorded_between_its_start_and_stop():
    replay = Replay(sample_table())
    replay.start()
    replay.evaluate(a_task(epochs=2), None)
    replay.evaluate(a_task(FAILING), None)
    assert replay.stop().energy_j == pytest.approx(2 * 4.12 + 3 * 4.44)
    replay.start()
    assert replay.stop().energy_j == 0


# ---- a study


def test_a_study_is_charged_what_the_trainings_took(study, tmp_path):
    summary = run_study(study(budget="60trials"), tmp_path / "store", on_event=ignore)
    trained = sample_table().trainings
    assert summary.reason == "exhausted"
    assert summary.progress.finished == len(trained) == 12
    assert summary.progress.failed == 1
    assert summary.consumption.energy_j == pytest.approx(sum(sum(t.energy_j) for t in trained))
    assert summary.consumption.wall_s == pytest.approx(sum(sum(t.cpu_s) for t in trained))
    assert summary.consumption.provenance == "estimated"
    assert summary.consumption.source.startswith("replayed from sample.json.gz (")
    for evaluation in evaluations(tmp_path / "store"):
        assert evaluation.reading.source.startswith("replayed from sample.json.gz (")


@pytest.mark.parametrize("budget", ["20J", "10s", "5trials"])
def test_a_budget_ends_by_recorded_consumption(study, tmp_path, budget):
    """No training fits beyond the one that uses the budget up."""
    config = study(budget=budget, seed=3)
    summary = run_study(config, tmp_path / "store", on_event=ignore)
    assert summary.reason == "budget"
    readings = [evaluation.reading for evaluation in evaluations(tmp_path / "store")]
    limits = {"J": [r.energy_j for r in readings], "s": [r.wall_s for r in readings], "trials": [1] * len(readings)}
    unit = budget.lstrip("0123456789.")
    limit = float(budget.removesuffix(unit))
    assert len(readings) > 1
    assert sum(limits[unit]) >= limit > sum(limits[unit][:-1])


def test_a_seed_gives_the_same_search_again(study, tmp_path):
    def told(folder, seed):
        run_study(study(budget="8trials", seed=seed), tmp_path / folder, on_event=ignore)
        return [(e.configuration, e.objectives, e.reading) for e in evaluations(tmp_path / folder)]

    assert told("first", 1) == told("again", 1)
    assert told("first", 1) != told("other", 2)


def test_smac_searches_ordinal_and_integer_hyperparameters_and_continues_trials(study, tmp_path):
    pytest.importorskip("smac")
    config = study(optimizer="smac", budget="14trials", fidelity_min=1)
    run_study(config, tmp_path / "store", on_event=ignore)
    found = evaluations(tmp_path / "store")
    table = sample_table()
    by_trial = {}
    for evaluation in found:
        epochs = int(evaluation.fidelity["epochs"])
        assert evaluation.configuration.keys() == GRID.keys()
        paid = by_trial.get(evaluation.trial, 0)
        assert evaluation.reading.cpu_s == pytest.approx(table.cost_s(evaluation.configuration, epochs, since=paid))
        by_trial[evaluation.trial] = max(paid, epochs)
    assert len({e.fidelity["epochs"] for e in found}) > 1
    assert len(by_trial) < len(found), "no trial was continued"


def test_an_interrupted_replay_goes_on_as_if_it_had_not_been(study, tmp_path):
    config = study(budget="9trials", seed=5)

    def interrupt_after_four(event):
        if event.kind == "finished" and event.progress.finished == 4:
            raise KeyboardInterrupt

    with pytest.raises((KeyboardInterrupt, StudyInterrupted)):
        run_study(config, tmp_path / "cut", on_event=interrupt_after_four)
    cut = run_study(config, tmp_path / "cut", on_event=ignore)
    whole = run_study(config, tmp_path / "whole", on_event=ignore)
    assert [e.configuration for e in evaluations(tmp_path / "cut")] == [
        e.configuration for e in evaluations(tmp_path / "whole")
    ]
    assert cut.consumption.energy_j == pytest.approx(whole.consumption.energy_j)


def test_constraints_refuse_by_recorded_layers(study, tmp_path):
    summary = run_study(study(budget="60trials", max_size="5.1kB"), tmp_path / "store", on_event=ignore)
    assert summary.progress.refused > 0
    assert {e.cost["size_bytes"] <= 5100 for e in evaluations(tmp_path / "store") if e.outcome == "ok"} == {True}


# ---- settings


def test_what_the_table_fixes_is_filled_in(study):
    config = study()
    assert (config.data, config.train_limit, config.model) == ("fashion-mnist", 400, "tiny_cnn")
    assert config.baselines is False


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"data": "digits"}, "data digits contradicts the table, where it is fashion-mnist"),
        ({"model": "resnet20"}, "model resnet20 contradicts"),
        ({"train_limit": 100}, "train_limit 100 contradicts"),
        ({"validation_share": 0.3}, "validation_share 0.3 contradicts"),
        ({"threads": 2}, "threads 2 contradicts"),
        ({"schedule": "cosine"}, "schedule cosine contradicts"),
        ({"workers": 2}, "workers 2 contradicts .* no honest order"),
        ({"baselines": True}, "the table holds no baselines"),
        ({"cpu_watts": 7.0}, "cpu_watts 7.0 contradicts"),
        ({"teacher": "t.safetensors"}, "teacher t.safetensors contradicts"),
        ({"init": "f.safetensors"}, "init f.safetensors contradicts"),
        ({"data_dir": "/data"}, "nothing is read but the table"),
        ({"space": "other"}, "space other contradicts"),
    ],
)
def test_a_setting_that_contradicts_the_table_is_refused(study, setting, words):
    with pytest.raises(InputError, match=words):
        study(**setting)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ({"objectives": ("error", "emissions_g")}, "the table has no emissions_g"),
        ({"fidelity": "shift_depth"}, "the table has epochs"),
        ({"fidelity_max": 5}, "5 epochs are asked for; the table has 1 to 4"),
        ({"fidelity": None, "epochs": 9}, "9 epochs are asked for"),
        ({"target": "abacus"}, "abacus"),
    ],
)
def test_what_the_table_does_not_hold_is_refused(study, tmp_path, setting, words):
    with pytest.raises(InputError, match=words):
        run_study(study(**setting), tmp_path / "store", on_event=ignore)
    assert not (tmp_path / "store").exists()


def test_a_study_of_the_api_must_agree_with_its_table(path, tmp_path):
    with pytest.raises(InputError, match="data has to be fashion-mnist"):
        run_study(StudyConfig(replay=str(path)), tmp_path / "store", on_event=ignore)


def test_a_target_whose_prices_have_changed_is_refused():
    table = sample_table()
    network = table.networks[3]
    network.costs["asic-45nm"]["energy_j"] *= 1.001
    config = with_table(StudyConfig(target="asic-45nm", fidelity="epochs"), table)
    with pytest.raises(InputError, match=r"prices networks otherwise than version 1 .* --reprice"):
        check_settings(config, table)


# ---- the command line


def test_the_command_says_that_it_is_a_replay(call, path, tmp_path):
    store = tmp_path / "store"
    said = call("search", "--replay", path, "--target", "asic-45nm", "--fidelity", "epochs", "--store", store)
    assert said.code == 0, said.err
    assert "nothing was trained: every evaluation is replayed from sample.json.gz (" in said.out
    assert f"nothing was trained: all of it is from {path}" in call("status", store).out
    assert json.loads(call("status", store, "--json").out)["replay"] == str(path)
    assert call("report", store).code == 0
    assert "this is a replay, and it took what sample.json.gz took when it was recorded" in (
        store / "report.html"
    ).read_text(encoding="utf-8")


def test_the_same_command_resumes(call, path, tmp_path):
    command = ("search", "--replay", path, "--target", "asic-45nm", "--store", tmp_path / "store")
    assert call(*command, "--budget", "3trials").code == 0
    said = call(*command, "--budget", "6trials", "--json")
    assert json.loads(said.out)["progress"]["ok"] + json.loads(said.out)["progress"]["failed"] == 6


def test_a_study_file_of_a_replay_can_be_searched(call, path, tmp_path):
    file = tmp_path / "study.toml"
    assert call("init", "--replay", path, "--target", "asic-45nm", "--budget", "2trials", "-o", file).code == 0
    assert 'data = "fashion-mnist"' in file.read_text(encoding="utf-8")
    assert call("search", file, "--store", tmp_path / "store").code == 0
    assert "data cifar10 contradicts" in call("search", file, "--data", "cifar10").complaint


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--data", "digits"), "data digits contradicts the table"),
        (("--workers", "2"), "workers 2 contradicts the table"),
        (("--baselines",), "the table holds no baselines"),
        (("--max-fidelity", "9", "--fidelity", "epochs"), "the table has 1 to 4"),
    ],
)
def test_contradictions_end_with_two_and_one_line(call, path, tmp_path, options, words):
    said = call("search", "--replay", path, *options, "--store", tmp_path / "store")
    assert said.code == 2
    assert words in said.complaint
    assert not (tmp_path / "store").exists()


def test_a_table_that_is_not_there_ends_with_two(call, tmp_path):
    said = call("search", "--replay", tmp_path / "none.json.gz")
    assert (said.code, said.out) == (2, "")
    assert "none.json.gz: cannot be read" in said.complaint
