"""Pareto arithmetic against its definitions."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenshift.pareto import hypervolume, knee, non_dominated


def point_sets(dimensions=(1, 2, 3), low=-3, high=6, most=12, least=0):
    """Integer points, so that ties and duplicates are common; some beyond the reference at 4."""
    return st.sampled_from(dimensions).flatmap(
        lambda m: st.lists(st.tuples(*[st.integers(low, high)] * m), min_size=least, max_size=most)
    )


def dominates(a, b):
    return all(x <= y for x, y in zip(a, b, strict=True)) and any(x < y for x, y in zip(a, b, strict=True))


def volume_by_inclusion_exclusion(points, reference):
    """Sum over all subsets of the boxes; slow and obvious."""
    inside = [p for p in points if all(x < r for x, r in zip(p, reference, strict=True))]
    total = 0.0
    for count in range(1, len(inside) + 1):
        for subset in itertools.combinations(inside, count):
            corner = [max(values) for values in zip(*subset, strict=True)]
            total -= (-1) ** count * math.prod(r - c for r, c in zip(reference, corner, strict=True))
    return total


# ---- non_dominated


@given(point_sets(least=1))
def test_non_dominated_is_its_definition(points):
    expected = [not any(dominates(other, point) for other in points) for point in points]
    assert non_dominated(points).tolist() == expected


@given(point_sets(least=1))
def test_something_is_never_dominated_and_what_is_kept_stays(points):
    kept = [p for p, keep in zip(points, non_dominated(points), strict=True) if keep]
    assert kept
    assert non_dominated(kept).all()


@given(point_sets(dimensions=(2,), least=1), st.randoms())
def test_the_order_does_not_matter(points, random):
    order = list(range(len(points)))
    random.shuffle(order)
    mask = non_dominated(points)
    assert non_dominated([points[i] for i in order]).tolist() == [mask[i] for i in order]


def test_no_points_have_no_front():
    assert non_dominated([]).shape == (0,)
    assert non_dominated(np.zeros((0, 2))).dtype == bool


def test_equal_points_stay_together():
    assert non_dominated([[1, 2], [1, 2], [2, 2]]).tolist() == [True, True, False]


# ---- hypervolume


@given(point_sets(most=7))
def test_hypervolume_is_the_volume_of_the_union_of_boxes(points):
    reference = [4.0] * (len(points[0]) if points else 2)
    assert hypervolume(points, reference) == pytest.approx(volume_by_inclusion_exclusion(points, reference))


@given(point_sets(dimensions=(4,), low=0, high=4, most=5, least=1))
def test_hypervolume_of_four_objectives(points):
    reference = [4.0] * 4
    assert hypervolume(points, reference) == pytest.approx(volume_by_inclusion_exclusion(points, reference))


@given(point_sets(least=1))
def test_dominated_points_and_the_order_add_nothing(points):
    reference = [4.0] * len(points[0])
    volume = hypervolume(points, reference)
    front = [p for p, keep in zip(points, non_dominated(points), strict=True) if keep]
    assert hypervolume(front, reference) == pytest.approx(volume)
    assert hypervolume(points[::-1], reference) == pytest.approx(volume)
    assert hypervolume(points + points, reference) == pytest.approx(volume)


@given(point_sets(least=2))
def test_more_points_never_have_less_volume(points):
    reference = [4.0] * len(points[0])
    assert hypervolume(points[:-1], reference) <= hypervolume(points, reference) + 1e-9
    assert hypervolume(points, reference) <= sum(hypervolume([p], reference) for p in points) + 1e-9


@given(point_sets(dimensions=(2, 3), least=1), st.integers(-5, 5), st.integers(1, 4))
def test_moving_keeps_the_volume_and_stretching_stretches_it(points, shift, factor):
    reference = np.full(len(points[0]), 4.0)
    volume = hypervolume(points, reference.tolist())
    moved = np.asarray(points, dtype=float) + shift
    assert hypervolume(moved, (reference + shift).tolist()) == pytest.approx(volume)
    stretched = np.asarray(points, dtype=float)
    stretched[:, 0] *= factor
    reference[0] *= factor
    assert hypervolume(stretched, reference.tolist()) == pytest.approx(volume * factor)


@given(point_sets(dimensions=(2, 3), least=1))
def test_the_order_of_the_objectives_does_not_matter(points):
    reference = [4.0] * len(points[0])
    assert hypervolume(np.asarray(points)[:, ::-1], reference) == pytest.approx(hypervolume(points, reference))


def test_points_at_or_beyond_the_reference_add_nothing():
    assert hypervolume([[1, 5], [4, 0], [9, 9]], [4, 4]) == 0
    assert hypervolume([], [4, 4]) == 0
    assert hypervolume([[1, 1], [0, 5]], [4, 4]) == 9


def test_hypervolume_agrees_with_random_samples():
    """300 points on a curved surface against random points below the reference."""
    random = np.random.default_rng(0)
    points = np.abs(random.normal(size=(300, 3)))
    points /= np.linalg.norm(points, axis=1, keepdims=True)
    points = 1 - points
    samples = random.random((20_000, 3))
    share = np.mean([(points <= sample).all(1).any() for sample in samples])
    assert hypervolume(points, [1, 1, 1]) == pytest.approx(share, abs=0.02)


# ---- knee


def test_the_knee_is_where_both_are_small():
    assert knee([[0, 10], [1, 1], [10, 0]]) == 1
    assert knee([[0.0, 1e-3], [0.5, 4e-4], [1.0, 0.0]]) == 1


@given(point_sets(dimensions=(2, 3), least=1))
def test_the_knee_is_a_point_of_the_front_and_blind_to_units(points):
    front = sorted({p for p, keep in zip(points, non_dominated(points), strict=True) if keep})
    index = knee(front)
    assert 0 <= index < len(front)
    assert knee(np.asarray(front) * [1024, 0.5, 8][: len(front[0])] - 2) == index


def fronts(low=-3, high=6, most=8):
    """Three or more points of two objectives, none of which dominates another."""
    coordinates = st.integers(3, most).flatmap(
        lambda n: st.tuples(*[st.lists(st.integers(low, high), min_size=n, max_size=n, unique=True)] * 2)
    )
    return coordinates.map(lambda xy: list(zip(sorted(xy[0]), sorted(xy[1], reverse=True), strict=True)))


@given(fronts())
def test_the_knee_of_two_objectives_is_farthest_below_the_line_of_the_ends(front):
    values = np.asarray(front, dtype=float)
    (x0, y0), (x1, y1) = values[0], values[-1]
    below = y0 + (values[:, 0] - x0) * (y1 - y0) / (x1 - x0) - values[:, 1]
    assert below[knee(front)] == pytest.approx(below.max())


def test_there_is_no_knee_without_points():
    with pytest.raises(ValueError, match="empty front"):
        knee([])
