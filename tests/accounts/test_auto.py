"""`--budget auto`: what finding it took is the study's, and is found once."""

import dataclasses

import pytest

import study_fakes
from greenshift.accounts import AutoBudget, Training, resolve_budget
from greenshift.amounts import Amount
from greenshift.budget import parse_budget
from greenshift.config import StudyConfig, identity
from greenshift.energy import Reading
from greenshift.errors import InputError, StudyError
from greenshift.store import Store
from greenshift.study import run_study
from study_fakes import fake_evaluator

STUDY = StudyConfig(data="digits", model="tiny_cnn", budget="auto", train_limit=60, epochs=2)
USE = {"fleet": 1000, "rate": "1/s", "lifetime": "3y"}


def test_auto_becomes_joules_within_the_bound():
    config, found = resolve_budget(dataclasses.replace(STUDY, **USE))
    assert 0 < parse_budget(config.budget).energy_j <= found.bound_j
    assert identity(config) == identity(STUDY)


def test_another_budget_stays_as_it_is():
    config = StudyConfig(budget="3trials")
    assert resolve_budget(config) == (config, None)


def test_auto_needs_to_know_the_use():
    for use in ({}, {"rate": "1/s"}, {"lifetime": "3y"}):
        with pytest.raises(InputError, match="budget auto: say how much"):
            resolve_budget(dataclasses.replace(STUDY, **use))


def test_a_search_that_is_not_worth_it_is_refused():
    with pytest.raises(StudyError, match="not worth searching"):
        resolve_budget(dataclasses.replace(STUDY, fleet=1, rate="1/y", lifetime="1y"))


# ---- in a study

FAKE = StudyConfig(fidelity="epochs", target="asic-45nm", baselines=False, budget="60J", **USE)
PROBE = Reading(2.0, 1.0, 25.0, "estimated", "probe", ("cpu",))


def auto(probe=PROBE):
    return AutoBudget(USE, "asic-45nm", 60.0, 1e6, Training(Amount(3.0, 2.0), "metered"), probe)


def search(folder, found):
    evaluator = fake_evaluator(study_fakes.tick_meter)
    return run_study(FAKE, folder, on_event=study_fakes.ignore, evaluator=evaluator, auto=found)


def test_what_finding_the_budget_took_counts_against_it(tmp_path):
    alone, after = search(tmp_path / "alone", None), search(tmp_path / "after", auto())
    assert after.reason == alone.reason == "budget"
    assert after.progress.finished < alone.progress.finished
    with Store.open(tmp_path / "after") as store:
        probe, run = store.sessions()
    assert (probe.state, probe.reading) == ("probe", PROBE)
    assert after.consumption.energy_j == 25.0 + run.reading.energy_j
    assert probe.started_at <= run.started_at


def test_a_study_that_goes_on_finds_its_budget_in_the_store_and_counts_nothing_twice(tmp_path, monkeypatch):
    monkeypatch.setattr("greenshift.accounts.auto.worth_of", lambda *_: pytest.fail("it was worked out again"))
    search(tmp_path, auto())
    asked = dataclasses.replace(FAKE, budget="auto")
    config, found = resolve_budget(asked, tmp_path)
    assert config == dataclasses.replace(FAKE, budget="60.000000J")
    assert found == auto(probe=None)
    before = Store.open(tmp_path).consumed().energy_j
    search(tmp_path, found)
    with Store.open(tmp_path) as store:
        assert [session.state for session in store.sessions()] == ["probe", "finished", "finished"]
        assert store.consumed().energy_j == before + store.sessions()[-1].reading.energy_j
        assert store.facts().keys() >= {"float32", "planned_trials", "auto_budget"}


def test_another_use_needs_another_bound_but_no_other_training(tmp_path, monkeypatch):
    search(tmp_path, auto())
    monkeypatch.setattr("greenshift.accounts.worth.metered_training", lambda _: pytest.fail("it was trained again"))
    asked = dataclasses.replace(FAKE, budget="auto", fleet=2000)
    _, found = resolve_budget(asked, tmp_path)
    assert found.training == auto().training
    assert found.bound_j != auto().bound_j
    assert found.probe.energy_j > 0
