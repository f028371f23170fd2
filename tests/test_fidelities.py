"""One resource for optimizers, named quantities for records, and the way there and back."""

import math
from itertools import combinations
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenshift.fidelities import (
    QUANTITIES,
    FidelityName,
    counted_in,
    hyperparameters_of,
    quantities_at,
    resolution_at,
    resource_of,
    resource_unit,
    resumable,
    without_network,
)

DIAGONAL = "epochs,data_fraction"
NAMES = get_args(FidelityName)
PAIRS = [name for name in NAMES if "," in name]
FOLLOWED = [name for name in PAIRS if any(QUANTITIES[part].of_network for part in name.split(","))]
DEPTH = 20


def most(name):
    return 100 if counted_in(name) == "data_fraction" else 500


@pytest.mark.parametrize(
    ("name", "resource", "quantities"),
    [
        ("epochs", 6, {"epochs": 6.0}),
        ("shift_depth", 5, {"shift_depth": 5.0}),
        ("data_fraction", 33, {"data_fraction": 0.33}),
        (DIAGONAL, 9, {"epochs": 9.0, "data_fraction": 1.0}),
        (DIAGONAL, 4, {"epochs": 6.0, "data_fraction": 4 / 6}),
        (DIAGONAL, 1, {"epochs": 3.0, "data_fraction": 1 / 3}),
        ("weight_bits", 3, {"weight_bits": 3.0}),
        ("resolution", 7, {"resolution": 7.0}),
        ("epochs,resolution", 9, {"epochs": 9.0, "pixel_fraction": 1.0}),
        ("epochs,resolution", 4, {"epochs": 6.0, "pixel_fraction": 4 / 6}),
        ("data_fraction,resolution", 4, {"data_fraction": 0.06, "pixel_fraction": 4 / 6}),
        ("epochs,shift_depth", 3, {"epochs": 3.0, "shift_depth": 7.0}),
        ("epochs,weight_bits", 1, {"epochs": 1.0, "weight_bits": 2.0}),
        ("shift_depth,weight_bits", 6, {"shift_depth": 6.0, "weight_bits": 5.0}),
        ("shift_depth,data_fraction", 1, {"data_fraction": 0.01, "shift_depth": 2.0}),
        ("weight_bits,resolution", 9, {"resolution": 9.0, "weight_bits": 8.0}),
    ],
)
def test_golden_values(name, resource, quantities):
    assert quantities_at(name, resource, 9, DEPTH) == quantities


def test_any_one_or_two_can_be_cut():
    single = [name for name in NAMES if "," not in name]
    assert single == [name for name in QUANTITIES if name != "pixel_fraction"]
    assert sorted(PAIRS) == sorted(",".join(pair) for pair in combinations(single, 2))


@given(st.sampled_from(NAMES), st.data())
def test_records_give_the_resource_back(name, data):
    full = data.draw(st.integers(1, most(name)))
    resource = data.draw(st.integers(1, full))
    assert resource_of(quantities_at(name, resource, full, DEPTH)) == resource


@given(st.sampled_from(FOLLOWED), st.integers(1, 60), st.data())
def test_what_is_cut_in_the_network_follows_what_a_training_costs(name, depth, data):
    full = data.draw(st.integers(1, most(name)))
    low, high = sorted(data.draw(st.tuples(st.integers(1, full), st.integers(1, full))))
    counted = counted_in(name)
    (other,) = set(name.split(",")) - {counted}
    ranges = {"shift_depth": (1, depth), "weight_bits": (2, 8)}
    less, more, whole = (quantities_at(name, resource, full, depth) for resource in (low, high, full))
    assert less[counted] * QUANTITIES[counted].scale == pytest.approx(low)
    assert ranges[other][0] <= less[other] <= more[other] <= whole[other] == ranges[other][1]
    assert abs(more[other] - high / full * whole[other]) <= 0.5 or more[other] == ranges[other][0]
    assert without_network(more).keys() == more.keys() - {"shift_depth", "weight_bits"}


@given(st.sampled_from(sorted(set(PAIRS) - set(FOLLOWED))), st.data())
def test_two_quantities_cost_what_their_resource_says_and_end_at_the_full_training(name, data):
    first, second = name.split(",")
    share = "pixel_fraction" if second == "resolution" else second
    scale = QUANTITIES[first].scale
    full = data.draw(st.integers(1, most(name)))
    resource = data.draw(st.integers(1, full))
    found = quantities_at(name, resource, full, DEPTH)
    assert list(found) == [first, share]
    assert 0 < found[share] <= 1 + 1e-12
    assert found[first] * scale <= full + 1e-9
    assert found[first] * found[share] * scale == pytest.approx(resource)
    wanted = math.sqrt(resource * full)
    tolerance = 0.5 if first == "epochs" else 1e-9
    assert abs(found[first] * scale - wanted) <= tolerance or found[first] == resource
    assert first != "epochs" or found["epochs"] == int(found["epochs"])
    assert quantities_at(name, full, full, DEPTH) == {first: full / scale, share: 1.0}


@given(st.integers(1, 256), st.data())
def test_images_have_as_many_pixels_as_their_share(full, data):
    resource = data.draw(st.integers(1, 9))
    found = quantities_at("epochs,resolution", resource, 9, DEPTH)
    side = resolution_at(found, full) or full
    assert abs(side - full * math.sqrt(found["pixel_fraction"])) <= 0.5
    assert resolution_at(quantities_at("resolution", data.draw(st.integers(1, full)), full, DEPTH), full) != full
    assert resolution_at({"epochs": 3.0}, full) is None


def test_only_epochs_go_on():
    assert [name for name in NAMES if resumable(quantities_at(name, 2, 9, DEPTH))] == ["epochs"]
    assert resumable({})


def test_units():
    assert resource_unit("data_fraction") == "per cent of the images"
    assert resource_unit("epochs,resolution") == "epochs at full resolution, as a larger share of either"
    assert resource_unit("shift_depth,data_fraction") == "per cent of the images, shift_depth in proportion"


def test_a_study_without_a_fidelity_has_no_resource():
    assert resource_of({}) == 0


def test_hyperparameters_that_are_the_fidelity_leave_the_space():
    searched = {"epochs", "shift_depth", "weight_bits"}
    for name in NAMES:
        assert hyperparameters_of(name) == tuple(part for part in name.split(",") if part in searched)
    assert hyperparameters_of(None) == ()
