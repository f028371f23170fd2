import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenshift.energy.repeats import MIN_REPEATS, repeats


@pytest.mark.parametrize(
    ("count", "rank"),
    # Largest d with P(at most d - 1 of n below the median) <= 2.5 %, from tables of the binomial distribution.
    [(6, 1), (8, 1), (9, 2), (12, 3), (15, 4), (20, 6), (25, 8), (50, 18)],
)
def test_the_interval_lies_between_the_tabled_ranks(count, rank):
    found = repeats([float(i) for i in range(1, count + 1)])
    assert (found.low, found.high) == (rank, count + 1 - rank)
    assert found.median == (count + 1) / 2


def test_too_few_values_have_no_interval():
    assert repeats([1.0] * (MIN_REPEATS - 1)) is None
    assert repeats([]) is None


def test_a_straggler_does_not_move_the_median():
    assert repeats([1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 900.0]).half_width == 0


def test_nothing_has_no_relative_width():
    assert repeats([0.0] * 6).half_width == math.inf


@given(st.lists(st.floats(0.01, 100.0), min_size=MIN_REPEATS, max_size=80), st.floats(0.1, 10.0))
def test_the_interval_holds_the_median_and_scales_with_the_unit(values, unit):
    found = repeats(values)
    assert min(values) <= found.low <= found.median <= found.high <= max(values)
    scaled = repeats([value * unit for value in values])
    assert scaled.half_width == pytest.approx(found.half_width)


def test_ends_are_widened_by_what_repeating_does_not_remove():
    assert repeats([2.0] * 6).scaled(0.5, 3.0) == (1.0, 6.0)
