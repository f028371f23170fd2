import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenshift.design import Design
from greenshift.energy import Reading
from greenshift.front import (
    comparable,
    front,
    front_hypervolume,
    hypervolume_curve,
    nearest,
    study_reference,
)
from greenshift.objectives import get_objectives
from greenshift.records import Evaluation

OBJECTIVES = get_objectives(("error", "energy_j"))


def made(trial, error=0.5, energy_j=1e-6, *, fidelity=None, outcome="ok", label=None, spent_j=2.0, cost=None):
    values = {"error": error, "energy_j": energy_j} if outcome == "ok" else {}
    return Evaluation(
        trial=trial,
        configuration={},
        design=Design("m"),
        fidelity={} if fidelity is None else {"epochs": fidelity},
        outcome=outcome,
        objectives=values,
        provenance={},
        reading=Reading(3.0, 1.0, spent_j, "estimated", "test", ("cpu",)),
        label=label,
        cost=cost,
    )


def test_front_keeps_the_non_dominated_in_order_of_the_first_objective():
    evaluations = [made(0, 0.3, 1e-6), made(1, 0.1, 3e-6), made(2, 0.2, 4e-6), made(3, 0.2, 2e-6)]
    assert [e.trial for e in front(evaluations, OBJECTIVES)] == [1, 3, 0]


def test_front_leaves_out_baselines_failures_and_repeats():
    evaluations = [
        made(-1, 0.01, 1e-9, label="float32"),
        made(0, outcome="failed"),
        made(1, outcome="infeasible"),
        made(2, outcome="interrupted"),
        made(3, 0.2, 2e-6),
        made(4, 0.2, 2e-6),
    ]
    assert [e.trial for e in front(evaluations, OBJECTIVES)] == [3]
    assert front([], OBJECTIVES) == []


def test_what_has_more_error_than_counts_is_left_out_and_worth_nothing():
    evaluations = [made(0, 0.1, 1e-6), made(1, 0.3, 1e-7), made(2, 0.2, 5e-7)]
    bounded = get_objectives(("error", "energy_j"), "20%")
    assert [e.trial for e in front(evaluations, bounded)] == [0, 2]
    assert front(evaluations, get_objectives(("error", "energy_j"), "5%")) == []
    known = {"energy_j": 1e-6 / 1.1}
    reference = study_reference(evaluations, bounded, known)
    assert reference == pytest.approx((0.2, 1e-6))
    values = [(0.3, 1e-7), (0.1, 5e-7)]
    assert front_hypervolume(values, bounded, reference) == front_hypervolume(values[1:], bounded, reference) > 0


def test_fidelities_are_never_mixed():
    low = [made(0, 0.05, 1e-7, fidelity=1.0), made(1, 0.06, 1e-7, fidelity=1.0)]
    assert [e.trial for e in front(low, OBJECTIVES)] == [0]
    high = [*low, made(1, 0.2, 1e-6, fidelity=9.0)]
    assert [(e.trial, e.fidelity) for e in front(high, OBJECTIVES)] == [(1, {"epochs": 9.0})]
    assert len(comparable(high)) == 1


@given(st.lists(st.tuples(st.floats(0, 1), st.floats(1e-9, 1e-3)), max_size=12))
def test_front_can_be_kept_up_to_date_one_by_one(points):
    evaluations = [made(i, *point) for i, point in enumerate(points)]
    kept: list[Evaluation] = []
    for evaluation in evaluations:
        kept = front([*kept, evaluation], OBJECTIVES)
    assert [e.trial for e in kept] == [e.trial for e in front(evaluations, OBJECTIVES)]


def test_reference_is_fixed_by_the_baseline():
    trained = [made(-1, 0.1, 2e-6, label="float32"), made(0, 0.9, 9e-6)]
    assert study_reference(trained, OBJECTIVES) == (1.0, pytest.approx(2.2e-6))
    assert study_reference([], OBJECTIVES, {"energy_j": 4e-6}) == (1.0, pytest.approx(4.4e-6))
    assert study_reference([made(0, 0.9, 9e-6)], OBJECTIVES) == (1.0, pytest.approx(9.9e-6))


def test_hypervolume_counts_decades_of_energy():
    one = front_hypervolume([(0.5, 1e-6)], OBJECTIVES, (1.0, 1e-5))
    assert one == pytest.approx(0.5)
    assert front_hypervolume([(0.5, 1e-7)], OBJECTIVES, (1.0, 1e-5)) == pytest.approx(2 * one)
    assert front_hypervolume([(0.5, 1e-4)], OBJECTIVES, (1.0, 1e-5)) == 0.0
    assert math.isfinite(front_hypervolume([(0.5, 0.0)], OBJECTIVES, (1.0, 1e-5)))


def test_curve_counts_cost_of_everything_and_never_falls():
    history = [
        made(-1, 0.1, 2e-6, label="float32"),
        made(0, 0.05, 1e-6, fidelity=1.0),
        made(1, outcome="failed"),
        made(2, outcome="infeasible", spent_j=0.0),
        made(3, 0.5, 1e-6, fidelity=9.0),
        made(4, 0.6, 2e-6, fidelity=9.0),
        made(5, 0.2, 1e-6, fidelity=9.0),
    ]
    curve = hypervolume_curve(history, OBJECTIVES, (1.0, 1e-5))
    assert [point.trials for point in curve] == [1, 2, 3, 4, 5]
    assert [point.energy_j for point in curve] == [4, 6, 8, 10, 12]
    assert curve[-1].seconds == 21
    volumes = [point.hypervolume for point in curve]
    assert volumes == sorted(volumes)
    assert volumes[:2] == [0, 0]
    assert volumes[2] == volumes[3] < volumes[4]
    assert volumes[4] == pytest.approx(
        front_hypervolume([(e.objectives["error"], 1e-6) for e in front(history, OBJECTIVES)], OBJECTIVES, (1.0, 1e-5))
    )


def test_curve_without_a_reading_says_so():
    curve = hypervolume_curve([made(0), made(1, spent_j=None), made(2)], OBJECTIVES, (1.0, 1e-5))
    assert [point.energy_j for point in curve] == [2.0, None, None]


def test_nearest_names_what_binds():
    small, frugal = {"size_bytes": 100, "energy_j": 8e-6}, {"size_bytes": 400, "energy_j": 1e-6}
    evaluations = [
        made(0, outcome="infeasible", cost=small),
        made(1, outcome="infeasible", cost=frugal),
        made(-1, label="float32", cost={"size_bytes": 1, "energy_j": 1e-9}),
        made(2),
    ]
    found = nearest(evaluations, {"size_bytes": 100, "energy_j": 1e-6})
    assert found is not None
    assert (found.evaluation.trial, found.binding, found.value, found.limit) == (1, "size_bytes", 400, 100)
    assert nearest(evaluations, {}) is None
    assert nearest([], {"energy_j": 1.0}) is None
