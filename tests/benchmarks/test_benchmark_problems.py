"""The problems themselves, where their data or libraries are there."""

import os

import numpy as np
import pytest

from greenshift.errors import InputError
from optimizers import evolution
from optimizers.lcbench import FOLDER_VARIABLE, HELD_OUT, TUNE, draw_held_out, make_lcbench, network_macs, yahpo_folder
from optimizers.problem import front_volume
from optimizers.registry import GROUPS, make_problem, problem_names

needs_lcbench = pytest.mark.skipif(FOLDER_VARIABLE not in os.environ, reason=f"{FOLDER_VARIABLE} is not set")


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
    assert problem.evaluate({"x0": 0.3, "x1": 0.4}, 27) == problem.evaluate({"x0": 0.3, "x1": 0.4}, None)


def test_zdt_and_dtlz_fronts():
    pytest.importorskip("pymoo")
    problem = make_problem("pymoo-zdt1")
    configuration = {f"x{i}": 0.25 if i == 0 else 0.0 for i in range(6)}
    assert problem.evaluate(configuration, None) == pytest.approx({"f0": 0.25, "f1": 0.5})
    assert len(make_problem("pymoo-dtlz2").objectives) == 3
