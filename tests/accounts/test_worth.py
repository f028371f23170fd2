import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenshift.accounts import Training, Worth, resolve_budget, worth_of
from greenshift.accounts.worth import AUTO_TRAININGS, Cheapest, cheapest_design
from greenshift.amounts import Amount, Fleet
from greenshift.budget import parse_budget
from greenshift.config import StudyConfig, identity
from greenshift.design import Recipe
from greenshift.errors import InputError, StudyError
from greenshift.networks import profile_design, weighted_layers
from greenshift.records import DataChoice
from greenshift.space import make_space
from greenshift.targets import cost, load_target

STUDY = StudyConfig(data="digits", model="tiny_cnn", budget="auto", train_limit=60, epochs=2)
USE = {"fleet": 1000, "rate": "1/s", "lifetime": "3y"}


def worth(inferences=1e6, float32=3e-3, cheapest=1e-3, training_j=10.0, factor=1.5):
    training = None if training_j is None else Training(Amount(training_j), "given")
    return Worth(
        target="cortex-m4",
        inferences=inferences,
        float32=Amount(float32, factor),
        cheapest=Cheapest(Amount(cheapest, factor), {}),
        training=training,
        missing="" if training else "no data",
    )


def test_the_bound_by_hand():
    assert worth().bound_j == pytest.approx(2000)
    low, high = worth(factor=1.0).interval
    assert (low, high) == pytest.approx((2000, 2000))


@pytest.mark.parametrize(
    ("changes", "verdict", "budget_j"),
    [
        ({"factor": 1.0, "training_j": 100.0}, "worth searching", 2000),
        ({"factor": 1.0, "training_j": 1.0}, "worth searching", AUTO_TRAININGS),
        ({"factor": 1.0, "training_j": 2001.0}, "not worth searching", None),
        ({"cheapest": 3e-3}, "not worth searching", None),
        ({"cheapest": 9e-3, "training_j": None}, "not worth searching", None),
        ({"training_j": None}, "unknown", None),
    ],
)
def test_verdicts(changes, verdict, budget_j):
    found = worth(**changes)
    assert found.verdict == verdict
    assert found.budget_j == (None if budget_j is None else pytest.approx(budget_j))


@given(st.floats(1, 1e12), st.floats(1e-9, 1), st.floats(1e-9, 1), st.floats(1e-3, 1e6), st.floats(1, 4))
def test_the_budget_is_never_above_the_bound_nor_below_one_training(inferences, float32, cheapest, training_j, factor):
    found = worth(inferences, float32, cheapest, training_j, factor)
    if found.budget_j is not None:
        assert training_j * (1 - 1e-9) <= found.budget_j <= found.bound_j
        assert found.budget_j <= AUTO_TRAININGS * training_j
    else:
        assert found.bound_j < training_j


@pytest.mark.parametrize("target", ["cortex-m4", "asic-45nm"])
def test_no_random_configuration_is_cheaper_than_the_cheapest(target):
    config = dataclasses.replace(STUDY, target=target)
    data, device = DataChoice("digits"), load_target(target)
    space = make_space("paper", depth=weighted_layers("tiny_cnn", data), fidelity=None, seed=7)
    designs = [
        space.to_design(dict(values), backbone="tiny_cnn", fidelity=None, epochs=1, base=Recipe())
        for values in space.configspace.sample_configuration(150)
    ]
    cheapest = cheapest_design(config).energy.energy_j
    assert cheapest <= min(cost(profile_design(design, data), device).energy_j for design in designs) * (1 + 1e-12)


def test_a_real_plan_meters_a_short_training():
    found = worth_of(dataclasses.replace(STUDY, budget="1trials"), Fleet(1, 1.0), 1e9)
    assert found.bound_j > 0
    assert found.training.energy.energy_j > 0
    assert "scaled to 120" in found.training.source


def test_missing_data_leave_the_bound(tmp_path):
    config = StudyConfig(data="cifar10", data_dir=str(tmp_path), model="tiny_cnn")
    found = worth_of(config, Fleet(1, 1.0), 1e6)
    assert found.bound_j > 0
    assert found.verdict == "unknown"
    assert "cifar10" in found.to_json()["training_source"]
    assert worth_of(config, Fleet(1, 1.0), 1e9, Training(Amount(1e-9), "as given")).verdict == "worth searching"


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


@pytest.mark.parametrize("bad", [{"rate": "often"}, {"fleet": 3}, {"fleet": 0, "rate": "1/s"}, {"lifetime": "long"}])
def test_a_use_that_makes_no_sense_is_bad_input(bad):
    with pytest.raises(InputError):
        StudyConfig(**bad)
