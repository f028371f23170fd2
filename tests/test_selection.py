"""Which point is taken: by number, by bounds, or the knee of what is worth shipping."""

import pytest

from greenshift.design import Design
from greenshift.energy.reading import Reading
from greenshift.errors import InputError
from greenshift.objectives import get_objectives
from greenshift.records import Evaluation
from greenshift.selection import choose, dominating, recommend

OBJECTIVES = get_objectives(("error", "energy_j"))
READING = Reading(1.0, 1.0, 1.0, "estimated", "test", ("cpu",))


def point(trial, error=0.1, energy_j=1e-6, *, outcome="ok", label=None, epochs=9.0, fits=True, size_bytes=1000):
    return Evaluation(
        trial=trial,
        configuration={},
        design=Design("tiny_cnn"),
        fidelity={"epochs": epochs},
        outcome=outcome,
        objectives={"error": error, "energy_j": energy_j} if outcome == "ok" else {},
        provenance={},
        reading=READING,
        label=label,
        cost={"energy_j": energy_j, "size_bytes": size_bytes, "latency_s": 1e-3, "fits": fits},
        reason=None if outcome == "ok" else "diverged",
    )


FRONT = [
    point(0, 0.05, 100e-6, size_bytes=9000),
    point(1, 0.06, 10e-6, size_bytes=4000),
    point(2, 0.30, 5e-6, size_bytes=2000),
    point(3, 0.50, 200e-6),
]


def chosen(*arguments, **keywords):
    return choose(*arguments, **keywords).trial


def test_the_knee_is_taken_where_nothing_is_asked():
    assert chosen(FRONT, OBJECTIVES) == 1


def test_energy_counts_in_ratios():
    """From 1 mJ to 100 uJ is as far as from 100 uJ to 10 uJ; in joules the second step would not be seen."""
    ladder = [point(0, 0.10, 1e-3), point(1, 0.12, 1e-4), point(2, 0.14, 1e-5), point(3, 0.5, 0.9e-5)]
    assert chosen(ladder, OBJECTIVES) == 2


def test_a_point_by_number_need_not_be_on_the_front():
    assert chosen(FRONT, OBJECTIVES, trial=3) == 3


def test_a_point_by_number_is_taken_at_its_highest_fidelity():
    rungs = [point(7, 0.4, epochs=1.0), point(7, 0.2, epochs=9.0), point(8, 0.1, epochs=9.0)]
    assert choose(rungs, OBJECTIVES, trial=7).fidelity == {"epochs": 9.0}
    assert choose(rungs[:1] + rungs[2:], OBJECTIVES, trial=7).fidelity == {"epochs": 1.0}


@pytest.mark.parametrize(
    ("evaluations", "trial", "message"),
    [
        (FRONT, 9, "no trial 9"),
        ([*FRONT, point(9, outcome="failed")], 9, "did not finish .diverged."),
        ([*FRONT, point(-1, label="int8")], -1, "no trial -1"),
        ([], 0, "no trial 0"),
    ],
)
def test_numbers_that_name_no_finished_trial(evaluations, trial, message):
    with pytest.raises(InputError, match=message):
        choose(evaluations, OBJECTIVES, trial=trial)


@pytest.mark.parametrize(
    ("limits", "trial"),
    [
        ({"energy_j": 1e-3}, 0),
        ({"energy_j": 100e-6}, 0),
        ({"energy_j": 99e-6}, 1),
        ({"energy_j": 6e-6}, 2),
        ({"size_bytes": 4000}, 1),
        ({"size_bytes": 4000, "energy_j": 6e-6}, 2),
    ],
)
def test_bounds_take_the_least_error_within_them(limits, trial):
    assert chosen(FRONT, OBJECTIVES, limits=limits) == trial


def test_bounds_that_nothing_meets_name_the_nearest_and_what_binds():
    with pytest.raises(InputError, match=r"nearest is trial 2 with energy_j 5.00 µJ against 1.00 µJ"):
        choose(FRONT, OBJECTIVES, limits={"energy_j": 1e-6})
    with pytest.raises(InputError, match=r"nearest is trial 2 with size_bytes 2.00 kB against 500 B"):
        choose(FRONT, OBJECTIVES, limits={"energy_j": 4e-6, "size_bytes": 500})


@pytest.mark.parametrize("evaluations", [[], [point(0, outcome="failed")], [point(-1, label="float32")]])
def test_an_empty_front(evaluations):
    with pytest.raises(InputError, match="front is empty"):
        choose(evaluations, OBJECTIVES)


def test_lower_fidelities_are_not_on_the_front():
    assert chosen([point(0, 0.01, 1e-9, epochs=1.0), point(1, 0.4, 1e-3, epochs=9.0)], OBJECTIVES) == 1


def test_what_a_baseline_dominates_is_not_recommended():
    int8 = point(-1, 0.055, 9e-6, label="int8")
    assert dominating(FRONT[1], [int8], OBJECTIVES) == ("int8",)
    assert dominating(FRONT[0], [int8], OBJECTIVES) == ()
    assert chosen([*FRONT, int8], OBJECTIVES) in (0, 2)


def test_an_equal_baseline_does_not_dominate():
    assert dominating(FRONT[1], [point(-1, 0.06, 10e-6, label="int8")], OBJECTIVES) == ()


def test_what_does_not_fit_the_target_is_not_recommended():
    large = [point(0, 0.05, 100e-6), point(1, 0.06, 10e-6, fits=False), point(2, 0.3, 5e-6)]
    assert recommend(large, [], OBJECTIVES).trial != 1


def test_where_baselines_win_everywhere_nothing_is_recommended_but_the_knee_can_be_had():
    perfect = point(-1, 0.0, 1e-9, label="int8")
    assert recommend(FRONT[:3], [perfect], OBJECTIVES) is None
    assert chosen([*FRONT, perfect], OBJECTIVES) == 1


def test_a_failed_baseline_dominates_nothing():
    assert chosen([*FRONT, point(-1, 0.0, 0.0, label="int8", outcome="failed")], OBJECTIVES) == 1
