import dataclasses

import pytest
from account_samples import evaluation, reading, session

from greenshift.accounts import Declared, Embodied, given_grid, make_account, make_card
from greenshift.accounts.setting import record_setting
from greenshift.config import StudyConfig, to_mapping
from greenshift.store import add_up

RUNS = [session(3000.0, 0.0, 60.0), session(600.0, 100.0, 130.0)]
TRIALS = [
    evaluation(0, 2e-3),
    evaluation(1, 1e-3, 0.2),
    evaluation(2, 1e-3, outcome="failed", objectives={}, reading=reading(50.0)),
    evaluation(3, 1e-3, outcome="interrupted", objectives={}, reading=reading(25.0)),
    evaluation(-1, 3e-3, label="float32"),
]


def card(facts=None, selections=(), inferences=None, **declared):
    network = TRIALS[0] if inferences else None
    given = Declared(inferences=inferences, network=network, **declared)
    grid = given_grid(1000.0, "as given")
    account = make_account(add_up([run.reading for run in RUNS]), selections, grid, declared=given, sessions=RUNS)
    return make_card(to_mapping(StudyConfig()), TRIALS, RUNS, selections, facts or {}, account, inferences)


def test_the_score_per_trial_by_hand():
    score = card(embodied=Embodied(1.0, 9000.0)).score
    assert score.operational_g == pytest.approx(1.0)
    assert score.embodied_g == pytest.approx(1000 * 90 / 9000)
    assert (score.unit, score.count) == ("trial", 3)
    assert score.g_per_unit == pytest.approx((1.0 + 10.0) / 3)


def test_the_score_per_inference_has_the_inferences_in_it():
    score = card(inferences=1e6).score
    assert (score.unit, score.count) == ("inference", 1e6)
    assert score.g_per_unit == pytest.approx((1.0 + 2000 / 3600) / 1e6)
    assert "inference" in score.boundary


def test_what_is_missing_is_said_to_be():
    made = card()
    assert made.items["hardware"] == "not recorded"
    assert made.items["artifacts shared"] == "not recorded"
    assert made.to_json()["items"]["hardware"] is None
    assert made.to_json()["sci"]["embodied_g"] is None
    assert "| hardware | not recorded |" in made.to_markdown()
    assert "not declared" in made.score.boundary


def test_discarded_runs_are_counted():
    items = card().items
    assert "2 ok, 1 failed, 1 interrupted" in items["runs counted"]
    assert "1 baselines" in items["runs counted"]
    assert items["energy of failed and interrupted trials"].startswith("75.0 J")
    assert items["run time"].startswith("90.0 s")


def test_the_setting_of_a_study_is_on_its_card():
    facts = record_setting()
    items = card(facts).items
    assert facts["machine"]["cpu"] in items["hardware"]
    assert f"torch {facts['versions']['torch']}" in items["tool versions"]


def test_selections_are_on_the_card():
    selection = {"trial": 0, "seeds": [0, 1], "artifact": "a|b.safetensors", "reading": reading(400.0).to_json()}
    made = card(selections=[selection])
    assert made.items["artifacts shared"] == "a|b.safetensors"
    assert "a\\|b.safetensors" in made.to_markdown()
    assert "final trainings [0, 1]" in made.items["seeds"]
    assert made.score.operational_g == pytest.approx(4000 / 3600)


def test_energy_that_was_not_measured_gives_no_score():
    account = make_account(reading(None), [], given_grid(1.0, "x"))
    made = make_card(to_mapping(StudyConfig()), TRIALS, [], [], {}, account)
    assert made.score.g_per_unit is None
    assert made.items["energy"] == "not recorded"
    assert made.items["dates"] == "not recorded"
    assert "**not measured**" in made.to_markdown()


def test_a_study_without_trials_has_no_score_per_trial():
    account = make_account(reading(10.0), [], given_grid(1.0, "x"))
    made = make_card(to_mapping(StudyConfig()), [], RUNS, [], {}, account)
    assert dataclasses.asdict(made.score)["g_per_unit"] is None
