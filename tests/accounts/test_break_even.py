import math

import numpy as np
import pytest
from account_samples import evaluation, reading
from hypothesis import given
from hypothesis import strategies as st

from greenshift.accounts import break_even, break_evens, references
from greenshift.accounts.break_even import saved_interval
from greenshift.amounts import Amount, Fleet

UPFRONT = Amount(1000.0, 2.0)
energies = st.floats(1e-9, 1.0)
factors = st.floats(1.0, 5.0)
scales = st.floats(1e-3, 1e3)


def test_by_hand_without_uncertainty():
    payback = break_even(Amount(1000.0), Amount(3e-3), Amount(1e-3))
    assert payback.inferences == pytest.approx(500_000)
    assert payback.interval == pytest.approx((500_000, 500_000))
    assert payback.probability == 1


def test_what_saves_nothing_never_pays_back():
    payback = break_even(Amount(1000.0), Amount(1e-3), Amount(1e-3))
    assert payback.inferences == math.inf
    assert payback.interval == (math.inf, math.inf)
    assert payback.probability == 0


def test_a_free_search_pays_back_at_once():
    assert break_even(Amount(0.0), Amount(2.0), Amount(1.0)).inferences == 0


def test_the_interval_of_an_uncertain_expense_is_its_factor():
    """With sure inferences, N is as uncertain as the expense: 9 draws in 10 lie within its factor."""
    low, high = break_even(UPFRONT, Amount(2.0), Amount(1.0)).interval
    assert low == pytest.approx(500, rel=0.05)
    assert high == pytest.approx(2000, rel=0.05)


def test_the_common_error_cancels_in_the_sign_only():
    """By hand: ln e_dearer - ln e_cheaper is normal with half of each variance, the rest is shared."""
    factor = 2.0
    sigma = math.log(factor) / 1.6448536269514722
    expected = 0.5 * (1 + math.erf(math.log(1.3) / sigma / math.sqrt(2)))
    assert break_even(UPFRONT, Amount(1.3, factor), Amount(1.0, factor)).probability == pytest.approx(
        expected, abs=0.02
    )


def test_seeded():
    arguments = UPFRONT, Amount(2.0, 1.5), Amount(1.0, 1.7)
    assert break_even(*arguments) == break_even(*arguments)


@given(energies, energies, factors, factors, scales)
def test_twice_the_expense_takes_twice_as_long(dearer, cheaper, one, other, times):
    first = break_even(Amount(10.0, 1.5), Amount(dearer, one), Amount(cheaper, other))
    second = break_even(Amount(10.0 * times, 1.5), Amount(dearer, one), Amount(cheaper, other))
    assert second.inferences == pytest.approx(first.inferences * times)
    assert second.interval == pytest.approx(tuple(bound * times for bound in first.interval))
    assert second.probability == first.probability


@given(energies, energies, factors, st.integers(-10, 10).map(lambda power: 2.0**power))
def test_cheaper_inferences_altogether_take_longer_in_proportion(dearer, cheaper, factor, times):
    first = break_even(UPFRONT, Amount(dearer, factor), Amount(cheaper, factor))
    second = break_even(UPFRONT, Amount(dearer / times, factor), Amount(cheaper / times, factor))
    assert second.inferences == pytest.approx(first.inferences * times)


@given(energies, energies, factors, factors)
def test_the_interval_is_in_order_and_the_probability_one(dearer, cheaper, one, other):
    payback = break_even(UPFRONT, Amount(dearer, one), Amount(cheaper, other))
    assert payback.interval[0] <= payback.interval[1]
    assert 0 <= payback.probability <= 1
    low, high = saved_interval(Amount(dearer, one), Amount(cheaper, other))
    assert 0 <= low <= high


def test_a_baselines_own_training_is_not_the_searchs_fault():
    baseline = evaluation(-1, 3e-3, 0.05, label="int8", reading=reading(200.0))
    (found,) = break_evens([evaluation(0, 1e-3, 0.07)], references([baseline]), Amount(1000.0))
    assert found.inferences == pytest.approx(800 / 2e-3)
    assert found.saved_j == pytest.approx(2e-3)
    assert found.error_difference == pytest.approx(0.02)
    assert found.verdict == "pays back"


def test_the_known_float32_network_stands_in_where_none_was_trained():
    point = evaluation(0, 1e-3)
    (reference,) = references([point], {"energy_j": 5e-3})
    assert (reference.label, reference.energy, reference.training_j) == ("float32", Amount(5e-3, 1.5), 0.0)
    trained = evaluation(-1, 4e-3, label="float32")
    assert [r.energy.energy_j for r in references([trained, point], {"energy_j": 5e-3})] == [4e-3]
    assert references([]) == []


def test_verdicts_and_json():
    points = [evaluation(0, 1e-3), evaluation(1, 9e-3)]
    against = references([evaluation(-1, 5e-3, label="int8")])
    pays, never = (entry.to_json(Fleet(10, 2.0)) for entry in break_evens(points, against, UPFRONT))
    assert pays.keys() >= {"trial", "baseline", "inferences", "interval"}
    assert (pays["verdict"], never["verdict"]) == ("pays back", "does not pay back")
    assert never["inferences"] is None
    assert never["time_s"] is None
    assert pays["time_s"] == pytest.approx(pays["inferences"] / 20)
    unknown = break_evens(points[:1], against, None)[0].to_json()
    assert (unknown["verdict"], unknown["inferences"], unknown["interval"]) == ("unknown", None, None)


def test_only_the_baselines_that_are_asked_for():
    against = references([evaluation(-1, 5e-3, label="int8"), evaluation(-2, 6e-3, label="float32")])
    found = break_evens([evaluation(0, 1e-3)], against, UPFRONT, labels=("int8",))
    assert [entry.baseline for entry in found] == ["int8"]


def test_the_draws_have_the_spread_they_should():
    from greenshift.accounts.break_even import saved_draws

    draws = saved_draws(Amount(1.0, 3.0), Amount(1e-12))
    low, high = np.quantile(draws, (0.05, 0.95))
    assert low == pytest.approx(1 / 3, rel=0.05)
    assert high == pytest.approx(3, rel=0.05)
