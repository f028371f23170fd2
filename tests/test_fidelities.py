"""One resource for optimizers, named quantities for records, and the way there and back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenshift.fidelities import hyperparameter_of, quantities_at, resource_of

DIAGONAL = "epochs,data_fraction"


@pytest.mark.parametrize(
    ("name", "resource", "quantities"),
    [
        ("epochs", 6, {"epochs": 6.0}),
        ("shift_depth", 5, {"shift_depth": 5.0}),
        ("data_fraction", 33, {"data_fraction": 0.33}),
        (DIAGONAL, 9, {"epochs": 9.0, "data_fraction": 1.0}),
        (DIAGONAL, 4, {"epochs": 6.0, "data_fraction": 4 / 6}),
        (DIAGONAL, 1, {"epochs": 3.0, "data_fraction": 1 / 3}),
    ],
)
def test_golden_values(name, resource, quantities):
    assert quantities_at(name, resource, 9) == quantities


@given(st.sampled_from(["epochs", "shift_depth", "data_fraction", DIAGONAL]), st.data())
def test_records_give_the_resource_back(name, data):
    full = data.draw(st.integers(1, 100 if name == "data_fraction" else 500))
    resource = data.draw(st.integers(1, full))
    assert resource_of(quantities_at(name, resource, full)) == resource


@given(st.data())
def test_the_diagonal_costs_what_its_resource_says_and_ends_at_the_full_training(data):
    full = data.draw(st.integers(1, 500))
    resource = data.draw(st.integers(1, full))
    found = quantities_at(DIAGONAL, resource, full)
    assert 0 < found["data_fraction"] <= 1
    assert found["epochs"] == int(found["epochs"]) <= full
    assert found["epochs"] * found["data_fraction"] == pytest.approx(resource)
    assert abs(found["epochs"] - math.sqrt(resource * full)) <= 0.5 or found["epochs"] == resource
    assert quantities_at(DIAGONAL, full, full) == {"epochs": full, "data_fraction": 1.0}


def test_a_study_without_a_fidelity_has_no_resource():
    assert resource_of({}) == 0


def test_epochs_leave_the_space_wherever_they_are_the_fidelity():
    names = ("epochs", DIAGONAL, "shift_depth", "data_fraction", None)
    assert [hyperparameter_of(name) for name in names] == ["epochs", "epochs", "shift_depth", None, None]
