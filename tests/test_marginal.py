"""When one more joule of search saves less than a joule: the value of a gain, the gain, and studies that stop by it."""

import dataclasses
import json
import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import study_fakes
from greenshift.cli.status import status
from greenshift.config import StudyConfig
from greenshift.design import Design
from greenshift.energy import Reading
from greenshift.errors import InputError
from greenshift.front import front_hypervolume
from greenshift.objectives import get_objectives
from greenshift.records import Evaluation
from greenshift.store import Store
from greenshift.study import run_study
from greenshift.study.marginal import (
    MIN_FINISHED,
    OBJECTIVES,
    WINDOW_SHARE,
    MarginalReturn,
    forecast,
    joules_per_hypervolume,
    recent_gain,
)
from study_fakes import fake_evaluator

REFERENCE = (1.0, 1e-5)
SCARCE = {"rate": "1/y", "lifetime": "1y"}
PLENTY = {"fleet": 10**9, "rate": "1000/s", "lifetime": "10y"}


def made(trial, error=0.5, energy_j=1e-6, spent_j: float | None = 2.0, **changes):
    fields = {
        "trial": trial,
        "configuration": {},
        "design": Design("tiny_cnn"),
        "fidelity": {"epochs": 9.0},
        "outcome": "ok",
        "objectives": {"error": error, "energy_j": energy_j},
        "provenance": {"error": "measured", "energy_j": "modelled"},
        "reading": Reading(4.0, 4.0, spent_j, "estimated", "fake", ("cpu",)),
        "finished_at": float(trial),
    }
    return Evaluation(**{**fields, **changes})


# ---- what a gain is worth


def test_the_value_by_hand():
    """A front at 2 µJ, errors from 0.2 to 1, a million inferences: a tenth of a decade is 0.08 of hypervolume."""
    worth_j = joules_per_hypervolume(1e6, [1e-6, 2e-6, 9e-6], 0.8)
    assert worth_j * 0.08 == pytest.approx(1e6 * 2e-6 * 0.1 * math.log(10))


@settings(deadline=None)
@given(st.floats(1, 1e15), st.floats(1e-3, 1e6), st.floats(1e-12, 1), st.floats(1e-3, 1))
def test_the_value_grows_linearly_with_the_inferences(inferences, factor, energy_j, span):
    one = joules_per_hypervolume(inferences, [energy_j], span)
    assert joules_per_hypervolume(factor * inferences, [energy_j], span) == pytest.approx(factor * one)


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.floats(0.01, 0.9), st.floats(1e-8, 5e-6)), min_size=1, max_size=6),
    st.floats(1e-4, 0.5),
    st.floats(1, 1e9),
)
def test_saving_a_share_everywhere_is_worth_at_least_that_share(points, share, inferences):
    """If every network of a front costs `share` less, so does the one that is shipped, whichever it is."""
    cheaper = [(error, energy_j * (1 - share)) for error, energy_j in points]
    gain = front_hypervolume(cheaper, OBJECTIVES, REFERENCE) - front_hypervolume(points, OBJECTIVES, REFERENCE)
    span = 1.0 - min(error for error, _ in points)
    worth_j = gain * joules_per_hypervolume(inferences, [1e-6], span)
    assert worth_j == pytest.approx(-inferences * 1e-6 * math.log(1 - share), rel=1e-6)
    assert worth_j >= inferences * 1e-6 * share * (1 - 1e-6)


# ---- what a search gains


def history(steps, **changes):
    """Trials that each lower the energy by so many decades; the error spans half of the axis."""
    decades = 0.0
    evaluations = []
    for trial, step in enumerate(steps):
        decades += step
        evaluations.append(made(trial, 0.5, 1e-6 * 10**-decades, **changes))
    return evaluations


def test_the_gain_by_hand():
    """Eleven trials after the first, of 2 J each: the last eight are the window, in which two steps came."""
    steps = [0, 1, 0, 0, 0.2, 0, 0, 0, 0.1, 0, 0, 0]
    gain = recent_gain(history(steps), REFERENCE)
    assert (gain.energy_j, gain.seconds) == (16.0, 32.0)
    assert gain.hypervolume == pytest.approx(0.5 * (0.2 + 0.1 + 0.2))
    assert gain.per_joule() == pytest.approx(0.25 / 16)
    assert gain.per_joule(forecast_per_s=0.1) == pytest.approx(0.1 * 2)
    assert gain.per_joule(forecast_per_s=1e-9) == gain.per_joule()


def test_without_a_step_in_the_window_the_last_one_before_counts():
    gain = recent_gain(history([0, 1, 0.3, *[0] * 12]), REFERENCE)
    assert gain.hypervolume == pytest.approx(0.5 * 0.3)
    assert recent_gain(history([0] * 12), REFERENCE).hypervolume == pytest.approx(0.5 * 1.0), "the first point itself"


def test_the_window_grows_with_the_search():
    assert recent_gain(history([0] * 90), REFERENCE).energy_j == 60.0
    assert recent_gain(history([0] * 9), REFERENCE).energy_j == 2.0 * MIN_FINISHED


def test_only_the_highest_fidelity_gains_and_all_of_them_take_energy():
    mixed = []
    for trial, evaluation in enumerate(history([0] * 12)):
        cheap = made(100 + trial, 0.1, 1e-9, fidelity={"epochs": 1.0}, finished_at=trial + 0.5)
        mixed += [evaluation, cheap]
    gain = recent_gain(mixed, REFERENCE)
    assert gain.energy_j == 2.0 * 2 * MIN_FINISHED
    assert gain.hypervolume == pytest.approx(0.5)


@pytest.mark.parametrize(
    "evaluations",
    [
        [],
        history([0] * MIN_FINISHED),
        [made(i, outcome="failed") for i in range(20)],
        [made(i, energy_j=1e-4) for i in range(20)],
        history([0] * 20, spent_j=None),
        [made(i, fidelity={"epochs": 1.0}) for i in range(30)] + [made(30)],
    ],
    ids=["none", "too few", "failures", "beyond the reference", "not metered", "one at full fidelity"],
)
def test_too_little_to_judge_by(evaluations):
    assert recent_gain(evaluations, REFERENCE) is None


def test_a_trial_whose_energy_is_not_known_adds_none():
    evaluations = history([0] * 12)
    evaluations[-1] = made(11, outcome="failed", spent_j=None)
    assert recent_gain(evaluations, REFERENCE).energy_j == 2.0 * MIN_FINISHED


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.0, 0.0, 0.01, 0.1, 0.5]), min_size=MIN_FINISHED + 1, max_size=60))
def test_the_gain_is_never_below_what_the_window_gave(steps):
    gain = recent_gain(history(steps), REFERENCE)
    count = round(gain.energy_j / 2.0)
    assert count >= MIN_FINISHED
    assert gain.energy_j >= WINDOW_SHARE * 2.0 * len(steps) * (1 - 1e-9)
    assert gain.hypervolume >= 0.5 * sum(steps[-count:]) * (1 - 1e-9)
    assert gain.hypervolume > 0


# ---- a study


def config(**changes):
    fields = {"fidelity": "epochs", "target": "asic-45nm", "budget": "40trials", "stop_when_unprofitable": True}
    return StudyConfig(**{**fields, **changes})


def study(folder, **changes):
    return run_study(config(**changes), folder, on_event=study_fakes.ignore, evaluator=fake_evaluator())


def test_a_search_for_one_inference_stops_early_and_one_for_many_goes_on(tmp_path, capsys):
    early, late = study(tmp_path / "early", **SCARCE), study(tmp_path / "late", **PLENTY)
    assert (late.reason, late.progress.finished) == ("budget", 40)
    assert early.reason == "unprofitable"
    assert early.progress.finished == MIN_FINISHED + 1
    assert "one more joule of search would save at most" in early.detail
    assert "in 1 inferences" in early.detail
    status(tmp_path / "early", as_json=True)
    stopped = json.loads(capsys.readouterr().out)["stopped"]
    assert stopped == {"reason": "unprofitable", "detail": early.detail}
    status(tmp_path / "early", as_json=False)
    assert "stopped: one more joule" in " ".join(capsys.readouterr().out.split())


def test_a_study_that_goes_on_judges_as_before_and_a_larger_fleet_lets_it_go_on(tmp_path):
    first = study(tmp_path, **SCARCE)
    again = study(tmp_path, **SCARCE)
    assert (again.reason, again.detail) == (first.reason, first.detail)
    assert again.progress.finished == first.progress.finished
    assert study(tmp_path, **PLENTY).progress.finished == 40
    with Store.open(tmp_path) as store:
        assert store.facts()["stopped"]["reason"] == "budget"


def test_a_search_with_workers_stops_too(tmp_path):
    assert study(tmp_path, workers=2, **SCARCE).reason == "unprofitable"


def test_nothing_stops_that_was_not_asked_to(tmp_path):
    assert study(tmp_path, stop_when_unprofitable=False, **SCARCE).reason == "budget"


def test_the_rule_needs_a_meter(tmp_path):
    with pytest.raises(InputError, match="stop_when_unprofitable: energy cannot be metered"):
        run_study(
            config(**SCARCE),
            tmp_path,
            on_event=study_fakes.ignore,
            evaluator=fake_evaluator(study_fakes.null_meter),
        )


class Hopeful:
    """An optimizer that expects something."""

    def __init__(self, gain_per_s):
        self.gain_per_s = gain_per_s

    def expected_gain_per_s(self):
        return self.gain_per_s


def test_what_an_optimizer_expects_counts_if_it_is_more():
    rule = MarginalReturn(config(**SCARCE), {"energy_j": 1e-5})
    for evaluation in history([0] * 20):
        rule.add(evaluation)
    assert rule.verdict() == rule.verdict(0.0) == rule.verdict(None) is not None
    assert rule.verdict(1e9) is None


def test_a_forecast_in_another_unit_says_nothing():
    assert forecast(Hopeful(0.25), OBJECTIVES) == 0.25
    assert forecast(Hopeful(None), OBJECTIVES) is None
    assert forecast(Hopeful(0.25), get_objectives(("energy_j", "error"))) == 0.25
    assert forecast(Hopeful(0.25), get_objectives(("error", "energy_j", "size_bytes"))) is None
    assert forecast(object(), OBJECTIVES) is None


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({}, "set rate and lifetime"),
        ({"rate": "1/s"}, "set rate and lifetime"),
        ({**SCARCE, "objectives": ("error", "latency_s")}, "add energy_j to the objectives"),
        ({**SCARCE, "objectives": ("energy_j", "latency_s")}, "add error to the objectives"),
    ],
)
def test_what_the_rule_needs(changes, complaint):
    with pytest.raises(InputError, match=complaint):
        config(**changes)
    with pytest.raises(InputError, match="needs rate and lifetime"):
        MarginalReturn(dataclasses.replace(config(**SCARCE), stop_when_unprofitable=False, rate=None), {})
