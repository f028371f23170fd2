import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import conv, network, shift

from greenshift.errors import InputError
from greenshift.targets import cost, load_variants, rank_agreement, rank_stability

VARIANTS = load_variants("asic-45nm")


def test_tau_of_orders_one_can_count():
    same, swapped = rank_agreement({"a": [1, 2, 3, 4], "b": [1, 2, 4, 3], "c": [10, 20, 30, 40]})[:2]
    assert (same.first, same.second, same.swapped, same.pairs) == ("a", "b", 1, 6)
    assert same.kendall_tau == pytest.approx((5 - 1) / 6)
    assert (swapped.first, swapped.second, swapped.kendall_tau, swapped.swapped) == ("a", "c", 1.0, 0)
    (reverse,) = rank_agreement({"a": [1, 2, 3], "b": [3, 2, 1]})
    assert (reverse.kendall_tau, reverse.swapped) == (-1.0, 3)


def test_ties_and_too_few_networks():
    (tied,) = rank_agreement({"a": [1, 1, 2], "b": [1, 2, 3]})
    assert tied.kendall_tau == pytest.approx(2 / math.sqrt(2 * 3))
    assert tied.swapped == 0
    for energies in ([], [1.0], [2.0, 2.0]):
        assert rank_agreement({"a": energies, "b": energies})[0].kendall_tau is None
    with pytest.raises(InputError, match="the same networks"):
        rank_agreement({"a": [1], "b": [1, 2]})


@given(st.lists(st.floats(0, 1e6), min_size=2, max_size=8))
def test_a_rising_scale_keeps_the_order(energies):
    (agreement,) = rank_agreement({"a": energies, "b": [8 * energy for energy in energies]})
    assert agreement.swapped == 0
    assert agreement.kendall_tau is None or agreement.kendall_tau == pytest.approx(1)


def test_variants_of_one_target_can_swap_networks():
    """A shift with wide activations is cheaper than 8-bit products by one table and dearer by another."""
    bare = {"input_shape": (0,), "parameter_bytes": 0, "output_bits": 0}
    shifted = dataclasses.replace(shift(4, act_bits=16), **bare)
    integer = dataclasses.replace(conv(weight_bits=5), **bare)
    profiles = [network(shifted), network(integer)]
    base, aladdin, _ = VARIANTS
    assert cost(profiles[0], base).energy_j < cost(profiles[1], base).energy_j
    assert cost(profiles[0], aladdin).energy_j > cost(profiles[1], aladdin).energy_j
    found = {(a.first, a.second): (a.kendall_tau, a.swapped) for a in rank_stability(profiles, VARIANTS)}
    assert found[("asic-45nm", "asic-45nm:aladdin")] == (-1.0, 1)
    assert found[("asic-45nm", "asic-45nm:qkeras")] == (1.0, 0)
    assert found[("asic-45nm:aladdin", "asic-45nm:qkeras")] == (-1.0, 1)
