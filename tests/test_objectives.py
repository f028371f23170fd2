"""Objectives and bounds as users write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenshift.errors import InputError
from greenshift.objectives import OBJECTIVES, Constraint, get_objectives, parse_constraint, parse_share


def test_objectives_come_in_the_order_they_are_named():
    assert [o.name for o in get_objectives(("energy_j", "error"))] == ["energy_j", "error"]


def test_a_bound_on_the_error_is_its_reference():
    error, energy = get_objectives(("error", "energy_j"), "12.5 %")
    assert (error.reference, energy) == (0.125, OBJECTIVES["energy_j"])
    assert get_objectives(("error",))[0].reference == 1.0
    with pytest.raises(InputError, match="max_error: the error is not one of the objectives; add it"):
        get_objectives(("energy_j",), "20%")


@pytest.mark.parametrize("text", ["20", "0%", "101%", "-5%", "a fifth", "%"])
def test_shares_that_cannot_be_read(text):
    with pytest.raises(InputError, match="is not a share above 0 % and at most 100 %; write it as 20%"):
        parse_share("max_error", text)


@pytest.mark.parametrize("names", [(), ("accuracy",), ("error", "error"), ("error", "Error")])
def test_names_that_do_not_make_objectives(names):
    with pytest.raises(InputError, match="objective"):
        get_objectives(names)


def test_names_carry_their_units_and_provenance_is_told():
    for name, objective in OBJECTIVES.items():
        assert objective.name == name
        suffixes = {"J": "_j", "s": "_s", "B": "_bytes", "gCO2e": "_g", "": "error"}
        assert name.partition("@")[0].endswith(suffixes[objective.unit])
        assert objective.known == (objective.provenance == "modelled")
    assert OBJECTIVES["emissions_g"].provenance == "simulated", "emulated arithmetic is not the deployed network's"


@pytest.mark.parametrize(
    ("objective", "text", "value"),
    [
        ("size_bytes", "256kB", 256_000),
        ("size_bytes", "256KiB", 262_144),
        ("size_bytes", "1.5 MB", 1_500_000),
        ("size_bytes", "100B", 100),
        ("peak_memory_bytes", "64KiB", 65_536),
        ("energy_j", "50uJ", 50e-6),
        ("energy_j", "50µJ", 50e-6),
        ("energy_j", ".5mJ", 0.5e-3),
        ("energy_j", "3e2nJ", 300e-9),
        ("latency_s", "20ms", 0.02),
        ("latency_s", " 20 ms ", 0.02),
        ("latency_s", "1s", 1),
    ],
)
def test_absolute_bounds(objective, text, value):
    constraint = parse_constraint(objective, text)
    assert constraint.objective == objective
    assert constraint.limit({}) == pytest.approx(value)


def test_relative_bounds_are_shares_of_the_baseline():
    constraint = parse_constraint("energy_j", "60%")
    assert constraint == Constraint("energy_j", 0.6, relative=True)
    assert constraint.limit({"energy_j": 2e-3}) == pytest.approx(1.2e-3)


@pytest.mark.parametrize(
    ("objective", "text"),
    [
        ("size_bytes", "256"),
        ("size_bytes", "kB"),
        ("size_bytes", "256 kb"),
        ("size_bytes", "256J"),
        ("size_bytes", "-1kB"),
        ("size_bytes", "0kB"),
        ("size_bytes", "0%"),
        ("size_bytes", "1,5kB"),
        ("size_bytes", "infkB"),
        ("size_bytes", "1kB 2kB"),
        ("energy_j", "50ms"),
        ("latency_s", ""),
    ],
)
def test_bounds_that_are_none(objective, text):
    with pytest.raises(InputError, match=f"constraint on {objective}") as refused:
        parse_constraint(objective, text)
    assert "\n" not in str(refused.value)


@given(st.floats(1e-6, 1e6, allow_nan=False), st.sampled_from(["J", "mJ", "uJ", "nJ"]))
def test_any_positive_number_is_read_as_it_is_written(value, unit):
    factor = {"J": 1, "mJ": 1e-3, "uJ": 1e-6, "nJ": 1e-9}[unit]
    assert parse_constraint("energy_j", f"{value!r}{unit}").limit({}) == pytest.approx(value * factor)
