"""The problems themselves, where their data or libraries are there."""

import os
from pathlib import Path

import numpy as np
import pytest

from greenshift.errors import InputError
from greenshift.replay import load_table
from optimizers import evolution
from optimizers.best_known import best_volume
from optimizers.contestants import enter, parse_contestant
from optimizers.lcbench import FOLDER_VARIABLE, HELD_OUT, TUNE, draw_held_out, make_lcbench, network_macs, yahpo_folder
from optimizers.problem import front_volume
from optimizers.registry import GROUPS, make_problem, problem_names
from optimizers.simulator import Limits, simulate, volume_curve

needs_lcbench = pytest.mark.skipif(FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} is not set")

TABLES = Path(__file__).parents[2] / "benchmarks" / "tables"


def test_macs_of_funnels():
    assert network_macs(64, 1) == 40 * 7
    assert network_macs(64, 2) == 40 * 64 + 64 * 7
    assert network_macs(64, 3) == 40 * 64 + 64 * 36 + 36 * 7


def test_held_out_tasks_are_not_tuned_on():
    assert len(set(HELD_OUT)) == 10
    assert not set(HELD_OUT) & set(TUNE)


def test_groups_and_unknown_names():
    assert problem_names("tune,x,lcbench-168868") == (*GROUPS["tune"], "x")
    with pytest.raises(InputError, match="unknown problem"):
        make_problem("nothing-here")


def test_a_missing_folder_is_said_in_one_line(tmp_path):
    with pytest.raises(InputError, match=r"has no model\.onnx"):
        yahpo_folder(tmp_path)


@needs_lcbench
def test_the_draw_is_the_one_in_the_code():
    assert draw_held_out(yahpo_folder()) == HELD_OUT


@needs_lcbench
def test_lcbench_curves_are_plausible():
    pytest.importorskip("onnxruntime")
    problem = make_lcbench("168868", yahpo_folder())
    problem.space.seed(1)
    drawn = [dict(sample) for sample in problem.space.sample_configuration(50)]
    full = [problem.evaluate(configuration, None)["error"] for configuration in drawn]
    assert np.all((np.array(full) >= 0) & (np.array(full) <= 1))
    assert np.median(full) < np.median([problem.evaluate(configuration, 2)["error"] for configuration in drawn])
    for configuration in drawn:
        costs = [problem.cost_s(configuration, epochs) for epochs in range(1, 53)]
        assert 0 < costs[0] < costs[-1]
        assert costs == sorted(costs)
    unit = np.median([problem.cost_s(configuration, None) for configuration in drawn]) / problem.full_cost_s
    assert 0.5 < unit < 2


def test_a_search_finds_the_hypervolume_of_a_fine_grid(monkeypatch):
    pytest.importorskip("botorch")
    pytest.importorskip("pymoo")
    monkeypatch.setattr(evolution, "GENERATIONS", 40)
    problem = make_problem("momf-branincurrin")
    # 801 x 801 points at the full resolution hold 0.50131.
    assert 0.5013 < front_volume(problem, problem.best_front(0)) < 0.505


def test_momf_costs_and_what_counts():
    pytest.importorskip("botorch")
    problem = make_problem("momf-branincurrin")
    assert problem.cost_s({}, 1) < problem.cost_s({}, 9) < problem.cost_s({}, None) == 1
    assert not problem.counts(9)
    assert problem.counts(27)
    assert not problem.fidelity.partial
    assert problem.evaluate({"x0": 0.3, "x1": 0.4}, 27) == problem.evaluate({"x0": 0.3, "x1": 0.4}, None)


def test_zdt_and_dtlz_fronts():
    pytest.importorskip("pymoo")
    problem = make_problem("pymoo-zdt1")
    configuration = {f"x{i}": 0.25 if i == 0 else 0.0 for i in range(6)}
    assert problem.evaluate(configuration, None) == pytest.approx({"f0": 0.25, "f1": 0.5})
    assert len(make_problem("pymoo-dtlz2").objectives) == 3


@pytest.mark.parametrize("name", GROUPS["tables"])
def test_a_recorded_table_says_what_was_recorded(name):
    problem = make_problem(name)
    table = load_table(TABLES / f"{name.removeprefix('table-')}-tiny_cnn.json.gz")
    some = next(table.configurations())
    assert problem.space == table.space
    assert problem.evaluate(some, 3.0) == {n: table.evaluate(some, 3, "asic-45nm")[n] for n in ("error", "energy_j")}
    assert problem.evaluate(some, None) == problem.evaluate(some, 9)
    assert problem.known(some) == {"energy_j": problem.evaluate(some, 1)["energy_j"]}
    assert problem.cost_s(some, 3) + table.cost_s(some, 9, since=3) == pytest.approx(problem.cost_s(some, None))
    assert not problem.counts(3)
    assert problem.counts(9)
    assert 0.5 < problem.cost_s(some, None) / problem.full_cost_s < 2


@pytest.mark.parametrize("name", GROUPS["tables"])
def test_the_best_front_of_a_table_is_the_truth(name):
    problem = make_problem(name)
    best = front_volume(problem, problem.best_front(0))
    assert problem.exact
    assert best_volume(name) == pytest.approx(best)
    trace = simulate(enter(parse_contestant("hyperband"), problem, 0), problem, "resume", Limits(cost=500))
    assert trace.ended == "exhausted"
    assert volume_curve(problem, trace)[-1].hypervolume == pytest.approx(best)


def test_half_of_a_tables_trainings_beat_its_reference():
    problem = make_problem("table-digits")
    errors = problem.best_front(0)[:, 0]
    assert np.mean(errors <= problem.objectives[0].reference) == pytest.approx(0.5, abs=0.02)


def test_an_unknown_table_is_said_in_one_line():
    with pytest.raises(InputError, match="table-digits"):
        make_problem("table-nothing")
