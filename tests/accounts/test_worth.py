import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenshift.accounts import Training, Worth, worth_of
from greenshift.accounts.worth import AUTO_TRAININGS, Cheapest, cheapest_design
from greenshift.amounts import Amount, Fleet
from greenshift.config import StudyConfig
from greenshift.design import Recipe
from greenshift.energy import Reading
from greenshift.errors import InputError
from greenshift.networks import profile_design, weighted_layers
from greenshift.records import DataChoice
from greenshift.space import make_space
from greenshift.targets import cost, load_target

STUDY = StudyConfig(data="digits", model="tiny_cnn", budget="auto", train_limit=60, epochs=2)


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


def test_what_finding_out_took_is_part_of_the_search():
    found = worth(factor=1.0, training_j=100.0)
    probed = [
        dataclasses.replace(found, probe=Reading(1.0, 1.0, energy_j, "estimated", "meter", ("cpu",)))
        for energy_j in (50.0, 1900.0, 1901.0, None)
    ]
    assert [one.probe_j for one in (found, *probed)] == [0.0, 50.0, 1900.0, 1901.0, None]
    assert [one.verdict for one in probed[:3]] == ["worth searching", "worth searching", "not worth searching"]
    cheap = dataclasses.replace(probed[0], training=Training(Amount(1.0), "given"))
    assert cheap.budget_j == pytest.approx(AUTO_TRAININGS + 50.0)
    assert cheap.to_json()["probe_j"] == 50.0


@pytest.mark.parametrize("target", ["cortex-m4", "asic-45nm"])
def test_no_random_configuration_is_cheaper_than_the_cheapest(target):
    config = dataclasses.replace(STUDY, target=target)
    data, device = DataChoice("digits"), load_target(target)
    space = make_space("paper", depth=weighted_layers("tiny_cnn", data), fidelity=None, seed=7)
    designs = [
        space.to_design(dict(values), backbone="tiny_cnn", quantities={}, epochs=1, base=Recipe())
        for values in space.configspace.sample_configuration(150)
    ]
    cheapest = cheapest_design(config).energy.energy_j
    assert cheapest <= min(cost(profile_design(design, data), device).energy_j for design in designs) * (1 + 1e-12)


def test_a_real_plan_meters_a_short_training():
    found = worth_of(dataclasses.replace(STUDY, budget="1trials"), Fleet(1, 1.0), 1e9)
    assert found.bound_j > 0
    assert found.training.energy.energy_j > 0
    assert "scaled to 120" in found.training.source
    # One epoch on 48 images went into two trainings of 48; the search for the cheapest design comes on top.
    assert found.probe_j > 2 * found.training.energy.energy_j / 2.5


def test_missing_data_leave_the_bound(tmp_path):
    config = StudyConfig(data="cifar10", data_dir=str(tmp_path), model="tiny_cnn")
    found = worth_of(config, Fleet(1, 1.0), 1e6)
    assert found.bound_j > 0
    assert found.verdict == "unknown"
    assert "cifar10" in found.to_json()["training_source"]
    assert worth_of(config, Fleet(1, 1.0), 1e9, Training(Amount(1e-9), "as given")).verdict == "worth searching"


@pytest.mark.parametrize("bad", [{"rate": "often"}, {"fleet": 3}, {"fleet": 0, "rate": "1/s"}, {"lifetime": "long"}])
def test_a_use_that_makes_no_sense_is_bad_input(bad):
    with pytest.raises(InputError):
        StudyConfig(**bad)
