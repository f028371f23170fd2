"""Expected hypervolume improvement, by hand and against sampling."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from greenshift.optimize.freezethaw.improvement import Belief, expected_improvement, free_boxes
from greenshift.pareto import hypervolume

UNIT = st.floats(0.05, 0.95)


def known(*values):
    return Belief(np.array(values))


def sure(*values, log=False):
    """An uncertain objective without doubt, which must act like a known one."""
    mean = np.array(values)
    return Belief(np.log(mean) if log else mean, np.full(len(values), 1e-9), log)


def test_the_shortfall_below_a_level_by_hand():
    belief = Belief(np.array([0.0]), np.array([1.0]))
    # E[max(0, -z)] of a standard normal is 1 / sqrt(2 pi).
    assert belief.shortfall(np.array([0.0]))[0, 0] == pytest.approx(0.3989422804)
    assert known(0.25).shortfall(np.array([1.0, 0.1])).tolist() == [[0.75, 0.0]]
    # A log-normal with median 1 and sigma 1, below 1: Phi(0) - e^(1/2) Phi(-1).
    lognormal = Belief(np.array([0.0]), np.array([1.0]), log=True)
    assert lognormal.shortfall(np.array([1.0]))[0, 0] == pytest.approx(0.5 - 1.6487212707 * 0.1586552539)
    assert lognormal.shortfall(np.array([0.0, -1.0])).tolist() == [[0.0, 0.0]]


def test_the_gain_over_an_empty_front_is_the_box_below_the_reference():
    gain = expected_improvement(np.zeros((0, 2)), np.array([1.0, 2.0]), [known(0.25, 3.0), known(0.5, 0.5)])
    assert gain == pytest.approx([0.75 * 1.5, 0.0])


def test_a_staircase_by_hand():
    front = np.array([[0.2, 0.8], [0.6, 0.4]])
    gain = expected_improvement(front, np.ones(2), [known(0.4, 0.1, 0.7), known(0.6, 0.1, 0.9)])
    # Between the steps: the square from 0.4 to 0.6 both ways. Below both: what is not dominated yet. Dominated: none.
    assert gain == pytest.approx([0.04, 0.81 - (0.8 * 0.2 + 0.4 * 0.6 - 0.4 * 0.2), 0.0])


@given(st.lists(st.tuples(UNIT, UNIT, UNIT), max_size=6), st.tuples(UNIT, UNIT, UNIT), st.integers(1, 3))
def test_without_doubt_it_is_the_hypervolume_improvement(front, point, count):
    points = np.array(front).reshape(-1, 3)[:, :count]
    corner = np.ones(count)
    before = hypervolume(points, corner.tolist())
    after = hypervolume(np.vstack([points, np.array(point)[None, :count]]), corner.tolist())
    for make in (known, sure, lambda value: sure(value, log=True)):
        beliefs = [make(value) for value in point[:count]]
        assert expected_improvement(points, corner, beliefs)[0] == pytest.approx(after - before, abs=1e-6)


@settings(max_examples=15, deadline=None)
@given(st.lists(st.tuples(UNIT, UNIT), max_size=5), st.tuples(UNIT, UNIT), st.booleans(), st.booleans())
def test_with_doubt_it_is_the_mean_over_samples(front, means, first_known, log):
    points, corner = np.array(front).reshape(-1, 2), np.ones(2)
    deviation = 0.4
    draws = np.random.default_rng(0).standard_normal((4000, 2)) * deviation
    first = np.full(4000, means[0]) if first_known else means[0] + draws[:, 0]
    second = np.exp(np.log(means[1]) + draws[:, 1]) if log else means[1] + draws[:, 1]
    before = hypervolume(points, corner.tolist())
    sampled = [hypervolume([*points, (a, b)], corner.tolist()) - before for a, b in zip(first, second, strict=True)]
    beliefs = [
        known(means[0]) if first_known else Belief(np.array([means[0]]), np.array([deviation])),
        Belief(np.array([np.log(means[1]) if log else means[1]]), np.array([deviation]), log),
    ]
    error = 5 * np.std(sampled) / np.sqrt(4000) + 1e-3  # samples miss what is rare
    assert expected_improvement(points, corner, beliefs)[0] == pytest.approx(np.mean(sampled), abs=error)


def test_boxes_cover_what_the_front_leaves_free_once():
    front = np.random.default_rng(1).random((8, 3))
    lower, upper = free_boxes(front, np.ones(3))
    volume = np.clip(np.minimum(upper, 1) - np.maximum(lower, 0), 0, None).prod(1).sum()
    assert volume == pytest.approx(1 - hypervolume(front, [1.0, 1.0, 1.0]))
