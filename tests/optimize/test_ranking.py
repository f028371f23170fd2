"""Sorting by fronts and crowding distance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenshift.optimize.ranking import best, crowding_distances
from greenshift.pareto import non_dominated

points_of = st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1, max_size=25)


def test_whole_fronts_first_then_the_widest_spread_points():
    first = [(0, 10), (1, 5), (2, 4), (10, 0)]
    second = [(1, 11), (11, 1)]
    assert best([*second, *first], 6) == [2, 5, 4, 3, 0, 1]
    assert best(first, 3) == [0, 3, 2]


def test_crowding_distances_of_a_worked_example():
    distances = crowding_distances(np.array([(0.0, 10.0), (1.0, 5.0), (2.0, 4.0), (10.0, 0.0)]))
    assert distances.tolist() == pytest.approx([np.inf, 0.2 + 0.6, 0.9 + 0.5, np.inf])


def test_equal_points_are_taken_in_their_order():
    assert best([(1.0, 1.0)] * 4, 2) == [0, 1]
    assert crowding_distances(np.ones((3, 2))).tolist() == [0, 0, 0]


def test_one_objective_is_plain_sorting():
    assert best([(3.0,), (1.0,), (2.0,)], 3) == [1, 2, 0]


@given(points=points_of, count=st.integers(0, 25))
def test_nothing_is_taken_before_what_dominates_it(points, count):
    taken = best(points, count)
    assert len(taken) == len(set(taken)) == min(count, len(points))
    for position, index in enumerate(taken):
        left = sorted(set(range(len(points))) - set(taken[:position]))
        assert non_dominated([points[i] for i in left])[left.index(index)]
