import pytest
from account_samples import HOUR_S, evaluation

from greenshift.accounts import Grid, given_grid, on_grid, on_target, point_carbon, table_agreement
from greenshift.config import StudyConfig
from greenshift.design import Design
from greenshift.errors import InputError
from greenshift.front import front
from greenshift.networks import profile_design
from greenshift.objectives import get_objectives
from greenshift.records import DataChoice
from greenshift.schemes import Depth, Shift
from greenshift.targets import cost, load_target

PAPER = StudyConfig(objectives=("error", "emissions_g"), carbon_intensity_g_per_kwh=400)


def emitting(trial, error, grams, finished_at):
    objectives = {"error": error, "emissions_g": grams}
    return evaluation(trial, 1e-3, objectives=objectives, finished_at=finished_at)


def test_the_papers_objective_follows_the_grid():
    (moved,) = on_grid([emitting(0, 0.1, 2.0, HOUR_S)], PAPER, given_grid(100.0, "x"), pue=1.5)
    assert moved.objectives == {"error": 0.1, "emissions_g": pytest.approx(2.0 / 400 * 100 * 1.5)}


def test_an_hourly_profile_may_change_who_is_on_the_front():
    """Trial 1 used more energy, but in an hour of cleaner electricity."""
    studied = [emitting(0, 0.2, 1.0, 4 * HOUR_S), emitting(1, 0.2, 1.5, 12 * HOUR_S)]
    objectives = get_objectives(PAPER.objectives)
    hourly = tuple(100.0 if 10 <= hour < 14 else 400.0 for hour in range(24))
    grid = Grid(350.0, "hourly profile", None, "a file", hourly=hourly)
    assert [e.trial for e in front(studied, objectives)] == [0]
    assert [e.trial for e in front(on_grid(studied, PAPER, grid), objectives)] == [1]


def test_studies_without_a_carbon_objective_keep_their_objectives():
    studied = [evaluation(0, 1e-3)]
    assert on_grid(studied, StudyConfig(), given_grid(1.0, "x")) == studied


def test_emissions_recorded_at_zero_intensity_hide_their_energy():
    config = StudyConfig(objectives=("error", "emissions_g"), carbon_intensity_g_per_kwh=0)
    with pytest.raises(InputError, match="recorded its emissions at 0 g/kWh"):
        on_grid([emitting(0, 0.1, 0.0, 0.0)], config, given_grid(1.0, "x"))


def test_the_carbon_of_a_point_by_hand():
    carbon = point_carbon(evaluation(0, 3.6e-3), given_grid(500.0, "x"), pue=2.0)
    assert carbon["inference_g"] == pytest.approx(500e-9)
    assert carbon["training_g"] == pytest.approx(100 / 3.6e6 * 500 * 2)


def test_another_target_is_the_cost_model_on_the_recorded_design():
    shifted = Design("tiny_cnn", schemes=((Depth(3), Shift("Q", 4, 8, 8)),))
    studied = [evaluation(0, 1.0, 0.1, design=shifted), evaluation(1, 2.0, 0.2)]
    moved, float32 = on_target(studied, StudyConfig(data="digits"), "asic-45nm")
    target, data = load_target("asic-45nm"), DataChoice("digits")
    assert moved[0].objectives["energy_j"] == cost(profile_design(shifted, data), target).energy_j
    assert moved[1].objectives["energy_j"] == float32["energy_j"]
    assert moved[0].cost["target"] == "asic-45nm"
    assert [e.objectives["error"] for e in moved] == [0.1, 0.2]
    assert moved[0].reading == studied[0].reading
    assert "layers" not in moved[0].cost


def test_an_unknown_target_is_bad_input():
    with pytest.raises(InputError, match="unknown"):
        on_target([], StudyConfig(data="digits"), "cortex-m99")


def test_tables_agree_where_only_the_amount_of_arithmetic_differs():
    def shifted(trial, width, error):
        design = Design("tiny_cnn", width=width, schemes=((Depth(3), Shift("Q", 4, 8, 8)),))
        return evaluation(trial, 1.0 / trial, error, design=design)

    config = StudyConfig(data="digits")
    found = table_agreement([shifted(1, 1.0, 0.3), shifted(2, 0.5, 0.4)], config, "asic-45nm")
    assert {(a.first, a.second) for a in found} >= {("asic-45nm", "asic-45nm:aladdin")}
    assert all((a.kendall_tau, a.swapped, a.pairs) == (1.0, 0, 1) for a in found)
    with pytest.raises(InputError, match="has no variants"):
        table_agreement([], config, "cortex-m7")
