"""Simulated time against costs computed by hand."""

import numpy as np
import pytest
from benchmark_problems import Scripted, tiny_problem
from hypothesis import given
from hypothesis import strategies as st

from greenshift.pareto import hypervolume
from optimizers.problem import Front, front_volume, scaled
from optimizers.simulator import Limits, restarted, simulate, volume_curve

SCRIPT = [(0, 1), (0, 3), (1, 9), (0, 9)]


def ends(trace):
    return [pytest.approx(item.at * 9) for item in trace.observed]


def test_resuming_costs_the_rest():
    optimizer = Scripted(SCRIPT)
    trace = simulate(optimizer, tiny_problem(), "resume", Limits(cost=10))
    assert ends(trace) == [1, 3, 12, 18]
    assert [cost for *_, cost in optimizer.told] == pytest.approx([2, 4, 18, 12])
    assert trace.ended == "exhausted"


def test_restarting_costs_all_again():
    optimizer = Scripted(SCRIPT)
    trace = simulate(optimizer, tiny_problem(), "restart", Limits(cost=10))
    assert ends(trace) == [1, 4, 13, 22]
    assert [cost for *_, cost in optimizer.told] == pytest.approx([2, 6, 18, 18])


def test_an_evaluation_that_ends_after_the_limit_does_not_count():
    optimizer = Scripted(SCRIPT)
    trace = simulate(optimizer, tiny_problem(), "restart", Limits(cost=12.9 / 9))
    assert ends(trace) == [1, 4]
    assert len(optimizer.told) == 2
    assert trace.ended == "cost"


def test_the_number_of_evaluations_is_limited():
    trace = simulate(Scripted(SCRIPT), tiny_problem(), "resume", Limits(cost=10, evaluations=2))
    assert len(trace.observed) == 2
    assert trace.ended == "evaluations"


@pytest.mark.parametrize("limit", [0.3, 1.0, 13 / 9, 2.0, 10])
def test_the_restart_of_a_blind_optimizer_is_derived_from_its_resume(limit):
    limits = Limits(cost=limit)
    derived = restarted(simulate(Scripted(SCRIPT), tiny_problem(), "resume", limits), limits)
    direct = simulate(Scripted(SCRIPT), tiny_problem(), "restart", limits)
    assert derived.observed == direct.observed
    assert derived.ended == direct.ended


def test_workers_finish_in_the_order_of_time_and_are_paid_for_together():
    optimizer = Scripted([(0, 9), (1, 3), (2, 3), (3, 9)])
    trace = simulate(optimizer, tiny_problem(), "resume", Limits(cost=100, workers=2))
    # Trial 1 runs from 0 to 3, trial 2 from 3 to 6, trial 0 from 0 to 9, trial 3 from 6 to 15; two workers.
    assert [trial for trial, *_ in optimizer.told] == [1, 2, 0, 3]
    assert ends(trace) == [6, 12, 18, 30]


def test_every_fidelity_counts_where_the_problem_says_so():
    trace = simulate(Scripted([(0, 1), (0, 9)]), tiny_problem(), "resume", Limits(cost=10))
    steps = volume_curve(tiny_problem(), trace)
    # Half of the size's range on the log scale, and 1/18 and 9/18 of the error's.
    assert [step.hypervolume for step in steps] == pytest.approx([0.5 / 18, 0.25])
    assert [step.cost for step in steps] == pytest.approx([1 / 9, 1])
    assert steps[1].objectives == pytest.approx((0.5, 10**0.5))


def test_an_approximation_is_no_result():
    steps = volume_curve(
        tiny_problem(), simulate(Scripted([(0, 1), (0, 9)]), tiny_problem(), "resume", Limits(cost=10))
    )
    full_only = volume_curve(
        tiny_problem(partial=False),
        simulate(Scripted([(0, 1), (0, 9)]), tiny_problem(), "resume", Limits(cost=10)),
    )
    assert full_only == [steps[1]]


POINTS = st.lists(st.tuples(st.floats(0, 1.5), st.floats(0.5, 20)), min_size=1, max_size=12)


@given(POINTS)
def test_a_front_holds_the_hypervolume_of_all_points(points):
    problem = tiny_problem()
    front = Front(problem)
    for error, size in points:
        before = front.hypervolume
        grew = front.add({"error": error, "size": size})
        assert grew or front.hypervolume == before
        assert front.hypervolume >= before - 1e-12
    expected = hypervolume(scaled(problem, np.array(points)), [1.0, 1.0])
    assert front.hypervolume == pytest.approx(expected)
    assert front_volume(problem, np.array(points)) == expected
