"""One resource for optimizers, named quantities for records, and the way there and back."""

import math
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenshift.fidelities import (
    QUANTITIES,
    FidelityName,
    hyperparameter_of,
    quantities_at,
    resolution_at,
    resource_of,
    resource_unit,
    resumable,
)

DIAGONAL = "epochs,data_fraction"
NAMES = get_args(FidelityName)
SHARES = ("data_fraction", "data_fraction,resolution")


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
    ],
)
def test_golden_values(name, resource, quantities):
    assert quantities_at(name, resource, 9) == quantities


@given(st.sampled_from(NAMES), st.data())
def test_records_give_the_resource_back(name, data):
    full = data.draw(st.integers(1, 100 if name in SHARES else 500))
    resource = data.draw(st.integers(1, full))
    assert resource_of(quantities_at(name, resource, full)) == resource


@given(st.sampled_from([name for name in NAMES if "," in name]), st.data())
def test_two_quantities_cost_what_their_resource_says_and_end_at_the_full_training(name, data):
    first, second = name.split(",")
    share = "pixel_fraction" if second == "resolution" else second
    scale = QUANTITIES[first].scale
    full = data.draw(st.integers(1, 100 if name in SHARES else 500))
    resource = data.draw(st.integers(1, full))
    found = quantities_at(name, resource, full)
    assert list(found) == [first, share]
    assert 0 < found[share] <= 1 + 1e-12
    assert found[first] * scale <= full + 1e-9
    assert found[first] * found[share] * scale == pytest.approx(resource)
    wanted = math.sqrt(resource * full)
    tolerance = 0.5 if first == "epochs" else 1e-9
    assert abs(found[first] * scale - wanted) <= tolerance or found[first] == resource
    assert first != "epochs" or found["epochs"] == int(found["epochs"])
    assert quantities_at(name, full, full) == {first: full / scale, share: 1.0}


@given(st.integers(1, 256), st.data())
def test_images_have_as_many_pixels_as_their_share(full, data):
    resource = data.draw(st.integers(1, 9))
    found = quantities_at("epochs,resolution", resource, 9)
    side = resolution_at(found, full) or full
    assert abs(side - full * math.sqrt(found["pixel_fraction"])) <= 0.5
    assert resolution_at(quantities_at("resolution", data.draw(st.integers(1, full)), full), full) != full
    assert resolution_at({"epochs": 3.0}, full) is None


def test_only_epochs_go_on():
    assert [name for name in NAMES if resumable(quantities_at(name, 2, 9))] == ["epochs"]
    assert resumable({})


def test_units():
    assert resource_unit("data_fraction") == "per cent of the images"
    assert resource_unit("epochs,resolution") == "epochs at full resolution, as a larger share of either"


def test_a_study_without_a_fidelity_has_no_resource():
    assert resource_of({}) == 0


def test_hyperparameters_that_are_the_fidelity_leave_the_space():
    wanted = {name: name.partition(",")[0] for name in NAMES if name.startswith(("epochs", "shift", "weight"))}
    assert {name: found for name in NAMES if (found := hyperparameter_of(name)) is not None} == wanted
    assert hyperparameter_of(None) is None
