"""A table answers every question about its grid with what was recorded, and no other."""

import itertools
from dataclasses import replace

import numpy as np
import pytest
from ConfigSpace.hyperparameters import CategoricalHyperparameter, OrdinalHyperparameter, UniformIntegerHyperparameter
from table_samples import EPOCHS, FAILING, GRID, VALIDATION, configurations, sample_design, sample_table

from greenshift.errors import InputError
from greenshift.replay.table import price

TABLE = sample_table()
SOME = {"shift_type": "Q", "weight_bits": 4, "lr": 0.1}  # the fourth configuration


def test_the_objectives_are_the_recorded_ones():
    values = TABLE.evaluate(SOME, 2, "asic-45nm")
    assert values["error"] == (80 - 10 - 3) / VALIDATION
    design = sample_design(SOME)
    network = TABLE.network(design.to_json()["schemes"])
    assert {name: value for name, value in values.items() if name != "error"} == network.costs["asic-45nm"]
    assert TABLE.known(SOME, "asic-45nm") == network.costs["asic-45nm"]
    assert TABLE.known(SOME, "cortex-m0")["energy_j"] > 100 * values["energy_j"]


def test_a_target_that_was_not_recorded_prices_the_recorded_layers():
    profile = TABLE.network(sample_design(SOME).to_json()["schemes"]).profile
    assert TABLE.known(SOME, "cortex-m4") == price(profile, "cortex-m4")


def test_a_recorded_target_keeps_its_recorded_figures():
    dear = [
        replace(network, costs={target: {**costs, "energy_j": 7.0} for target, costs in network.costs.items()})
        for network in TABLE.networks
    ]
    assert replace(TABLE, networks=tuple(dear)).known(SOME, "asic-45nm")["energy_j"] == 7.0


def test_cost_accumulates_and_a_continuation_costs_the_difference():
    assert TABLE.cost_s(SOME, 3) == pytest.approx(3 * 1.03)
    assert TABLE.cost_s(SOME, 3, since=1) == pytest.approx(2 * 1.03)
    reading = TABLE.consumption(SOME, 4, since=3)
    assert (reading.wall_s, reading.cpu_s, reading.energy_j) == pytest.approx((1.03, 1.03, 4.12))
    assert reading.interval_j == pytest.approx((2.06, 8.24))
    assert reading.provenance == "estimated"
    assert reading.source == "replayed from sample, recorded on 2026-11-21 as a guess; seconds are of CPU time"


def test_a_failure_is_one_from_its_epoch_on_and_costs_no_more_after_it():
    assert TABLE.evaluate(FAILING, 2, "asic-45nm") is not None
    assert TABLE.evaluate(FAILING, 3, "asic-45nm") is None
    assert TABLE.cost_s(FAILING, 3) == TABLE.cost_s(FAILING, 4) == pytest.approx(3 * 1.11)
    assert len(TABLE.curve(FAILING, 4)) == 2


def test_the_curve_is_that_of_the_training():
    curve = TABLE.curve(SOME, 3)
    assert [epoch.epoch for epoch in curve] == [1, 2, 3]
    assert [epoch.val_error for epoch in curve] == [0.77, 0.67, 0.57]
    assert [epoch.train_error for epoch in curve] == [0.75, 0.625, 0.5]
    assert {epoch.lr for epoch in curve} == {0.1}


def test_every_legal_configuration_is_in_the_table():
    space = TABLE.space
    assert isinstance(space["shift_type"], CategoricalHyperparameter)
    assert isinstance(space["weight_bits"], UniformIntegerHyperparameter)
    assert isinstance(space["lr"], OrdinalHyperparameter)
    assert space.estimate_size() == len(TABLE.trainings) == 12
    seen = {tuple(dict(sample).values()) for sample in space.sample_configuration(300)}
    assert len(seen) == 12
    answers = {TABLE.training(dict(zip(space, values, strict=True))) for values in seen}
    assert len(answers) == 12


def test_places_are_those_of_the_product():
    assert list(TABLE.configurations()) == configurations()
    assert [TABLE.training(c) for c in configurations()] == list(TABLE.trainings)


def test_numpy_values_are_found():
    assert TABLE.training({"shift_type": np.str_("Q"), "weight_bits": np.int64(4), "lr": np.float64(0.1)}) is (
        TABLE.training(SOME)
    )


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"lr": 0.05}, "lr is 0.05; the table has 0.003, 0.1"),
        ({"weight_bits": 6}, "weight_bits is 6; the table has 3, 4, 5"),
        ({"momentum": 0.9}, "'momentum' is not searched"),
    ],
)
def test_what_is_not_in_the_table_is_refused(change, complaint):
    for ask in (TABLE.training, lambda c: TABLE.known(c, "asic-45nm"), lambda c: TABLE.cost_s(c, 1)):
        with pytest.raises(InputError, match=complaint):
            ask({**SOME, **change})


def test_a_missing_hyperparameter_is_named():
    with pytest.raises(InputError, match="'lr' is missing"):
        TABLE.training({"shift_type": "Q", "weight_bits": 4})


@pytest.mark.parametrize("epochs", [0, EPOCHS + 1])
def test_epochs_that_were_not_trained_are_refused(epochs):
    with pytest.raises(InputError, match="the table has 1 to 4"):
        TABLE.evaluate(SOME, epochs, "asic-45nm")


def test_an_unknown_target_is_refused():
    with pytest.raises(InputError, match="target"):
        TABLE.known(SOME, "abacus")


def test_a_network_that_was_not_recorded_is_refused():
    odd = sample_design({**SOME, "act_fraction_bits": 7})
    with pytest.raises(InputError, match="no network with the schemes"):
        TABLE.network(odd.to_json()["schemes"])


def test_the_grid_of_the_sample_is_the_one_that_is_tested():
    assert list(TABLE.configurations()) == [
        dict(zip(GRID, values, strict=True)) for values in itertools.product(*GRID.values())
    ]
