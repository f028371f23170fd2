"""The cost model recovers laws that it is told by examples."""

import numpy as np
import pytest

from greenshift.optimize.freezethaw.costs import Expense, fit_costs

RNG = np.random.default_rng(0)


def law(features, start, end, resumes):
    """Two features act by factors; every unit of fidelity costs the same."""
    rate = 0.5 * np.exp(1.5 * features[0] - 0.7 * features[1])
    return float(rate * (end - start if resumes else end))


def expenses(count, resumes):
    steps = [(0.0, 1.0), (1.0, 3.0), (3.0, 9.0)]
    rows = RNG.random((count, 2))
    return [
        Expense(row, start, end, law(row, start, end, resumes))
        for row, (start, end) in zip(rows, steps * count, strict=False)
    ]


def test_without_evaluations_a_unit_costs_a_second():
    model = fit_costs([], 2)
    assert model.predict_s(np.zeros((1, 2)), np.array([1.0]), 9.0).tolist() == [8.0]


@pytest.mark.parametrize("resumes", [True, False])
def test_it_learns_the_law_and_whether_checkpoints_are_resumed(resumes):
    model = fit_costs(expenses(60, resumes), 2)
    assert model.resumes is resumes
    rows = RNG.random((20, 2))
    predicted = model.predict_s(rows, np.full(20, 3.0), 9.0)
    assert predicted == pytest.approx([law(row, 3.0, 9.0, resumes) for row in rows], rel=0.1)


def test_one_evaluation_sets_the_level():
    model = fit_costs([Expense(np.array([0.3, 0.3]), 0.0, 2.0, 10.0)], 2)
    assert model.predict_s(np.array([[0.3, 0.3]]), np.zeros(1), 4.0)[0] == pytest.approx(20.0, rel=0.05)


def test_more_fidelity_never_costs_less():
    model = fit_costs(expenses(30, True), 2)
    rows = RNG.random((10, 2))
    shorter, longer = (model.predict_s(rows, np.zeros(10), end) for end in (3.0, 9.0))
    assert (longer > shorter).all()
