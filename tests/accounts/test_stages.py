import dataclasses

import pytest
from account_samples import HOUR_S, evaluation, reading, session
from hypothesis import given
from hypothesis import strategies as st

from greenshift.accounts import Declared, Embodied, Grid, given_grid, make_account
from greenshift.errors import InputError
from greenshift.store import add_up

GRID = given_grid(360.0, "as given")  # 0.1 g per kJ
KWH_J = 3.6e6


def account(grid=GRID, selections=(), pue=1.0, **declared):
    return make_account(reading(9000.0), selections, grid, pue=pue, declared=Declared(**declared))


def test_a_whole_ledger_by_hand():
    selections = [{"trial": 3, "reading": reading(1000.0, provenance="measured").to_json()}]
    made = account(
        selections=selections,
        development_j=2 * KWH_J,
        studies=4,
        inferences=1e6,
        network=evaluation(3, 2e-3),
        embodied=Embodied(1000.0, 4 * 365.25 * 24 * HOUR_S),
        pue=1.5,
    )
    assert [stage.name for stage in made.stages] == ["development", "search", "final_training", "inference"]
    energies = {stage.name: stage.energy.energy_j for stage in made.stages}
    assert energies == {"development": 1.8e6, "search": 9000.0, "final_training": 1000.0, "inference": 2000.0}
    grams = {stage.name: stage.carbon_g for stage in made.stages}
    assert grams == pytest.approx({"development": 270, "search": 1.35, "final_training": 0.15, "inference": 0.2})
    assert made.embodied_g == pytest.approx(1e6 * 20 / (4 * 365.25 * 24 * HOUR_S))
    assert made.total_carbon_g() == pytest.approx(270 + 1.35 + 0.15 + 0.2 + made.embodied_g)
    assert made.upfront().energy_j == pytest.approx(1.5 * (1.8e6 + 9000 + 1000))
    provenance = {stage.name: stage.provenance for stage in made.stages}
    assert provenance == {
        "development": "estimated",
        "search": "estimated",
        "final_training": "measured",
        "inference": "modelled",
    }


def test_the_contract_of_a_stage():
    data = account().to_json()["stages"]["search"]
    assert data["energy_j"] == 9000.0
    assert data["carbon_g"] == pytest.approx(0.9)
    assert data["provenance"] == "estimated"
    assert data["interval"] == pytest.approx([4500.0, 18000.0])


def test_the_example_of_the_standard():
    """SCI's example: 1000 kg over four years is about 28 g per hour."""
    assert Embodied(1000.0, 4 * 365 * 24 * HOUR_S).share_g(HOUR_S) == pytest.approx(28.5, abs=0.1)


def test_a_counter_is_trusted_more_than_an_estimate():
    measured = make_account(reading(100.0, provenance="measured"), [], GRID).stages[0]
    assert measured.energy.factor < account().stages[0].energy.factor


def test_what_was_not_measured_makes_the_total_unknown():
    made = make_account(reading(None), [], GRID)
    assert made.to_json()["stages"]["search"]["energy_j"] is None
    assert made.to_json()["stages"]["search"]["interval"] is None
    assert (made.upfront(), made.total_carbon_g()) == (None, None)
    old = account(selections=[{"trial": 1}])
    assert old.stage("final_training").energy is None
    assert old.upfront() is None


def test_an_uncertain_intensity_widens_the_carbon_and_not_the_energy():
    sure, unsure = account(), account(Grid(360.0, "France", 2023, "a table", 1.5))
    assert sure.stages[0].energy == unsure.stages[0].energy
    assert unsure.stages[0].carbon_interval[0] < sure.stages[0].carbon_interval[0]
    assert unsure.stages[0].carbon_interval[1] > sure.stages[0].carbon_interval[1]


def test_an_hourly_profile_counts_the_hours_of_each_run_by_its_energy():
    hourly = tuple(float(hour) for hour in range(24))
    grid = Grid(11.5, "hourly profile", None, "a file", hourly=hourly)
    runs = [session(3000.0, 2 * HOUR_S, 3 * HOUR_S), session(1000.0, 10 * HOUR_S, 11 * HOUR_S)]
    made = make_account(add_up([run.reading for run in runs]), [], grid, sessions=runs)
    assert made.stages[0].g_per_kwh == pytest.approx((3 * 2 + 10) / 4)


@given(st.floats(0, 2000), st.floats(1, 3), st.floats(1, 100))
def test_carbon_is_linear_in_intensity_and_in_pue(g_per_kwh, pue, times):
    one = account(given_grid(g_per_kwh, "x")).stages[0].carbon_g
    assert account(given_grid(g_per_kwh, "x"), pue=pue).stages[0].carbon_g == pytest.approx(pue * one)
    assert account(given_grid(times * g_per_kwh, "x")).stages[0].carbon_g == pytest.approx(times * one)


@given(st.integers(1, 100))
def test_development_is_shared(studies):
    shared = account(development_j=KWH_J, studies=studies).stage("development")
    assert shared.energy.energy_j * studies == pytest.approx(KWH_J)


@pytest.mark.parametrize("pue", [-1.0, 0.0, 0.99, float("nan"), float("inf")])
def test_a_pue_below_one_is_bad_input(pue):
    with pytest.raises(InputError, match="pue must be at least 1"):
        account(pue=pue)


@pytest.mark.parametrize(
    "make",
    [
        lambda: Declared(studies=0),
        lambda: Declared(inferences=-1.0, network=evaluation(0, 1.0)),
        lambda: Declared(inferences=5.0),
        lambda: Embodied(0.0, 1.0),
        lambda: Embodied(1.0, -1.0),
    ],
)
def test_declarations_that_cannot_be(make):
    with pytest.raises(InputError):
        make()


def test_a_meters_own_interval_is_the_stages_factor():
    runs = [dataclasses.replace(reading(100.0), interval_j=(50.0, 300.0)) for _ in range(2)]
    (search,) = make_account(add_up(runs), (), GRID).stages
    assert search.energy.energy_j == 200.0
    assert search.energy.factor == 3.0
    (vague,) = make_account(add_up([runs[0], reading(100.0)]), (), GRID).stages
    assert vague.energy.factor == 2.0, "one run said nothing, so the method's usual factor counts"
