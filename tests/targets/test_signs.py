"""Layers of signs and of ternary weights: counted bits where a target has a kernel for it, bytes everywhere else."""

from dataclasses import replace

import pytest
from profiles import conv, network

from greenshift.compress import Binary, Shift, Ternary, Uniform, no_gain_of
from greenshift.targets import capabilities, cost, load_target, no_gain, target_names
from greenshift.targets.target import CyclesModel

SIGNS = conv("binary", weight_bits=1, act_bits=1, output_bits=8)
INT8 = conv(parameter_bytes=SIGNS.parameter_bytes)  # the same traffic of weights, so that only the rest is compared


def layer_cost(layer, target):
    return cost(network(layer), target).layers[0]


def test_a_target_that_counts_bits_does_so():
    found = layer_cost(SIGNS, load_target("cpu-vnni"))
    assert found.kernel == "binary-popcount"
    assert found.energy_j < layer_cost(INT8, load_target("cpu-vnni")).energy_j


def test_a_target_that_does_not_takes_signs_for_bytes():
    target = load_target("cpu-avx2")
    found, usual = layer_cost(SIGNS, target), layer_cost(INT8, target)
    assert found.kernel == usual.kernel
    assert found.latency_s == pytest.approx(usual.latency_s)


COUNTING = [name for name in target_names() if capabilities(load_target(name)).popcount]


def test_the_catalog_has_targets_of_both_kinds():
    assert {"cpu-vnni", "cortex-m4"} <= {*COUNTING} < {*target_names()}
    assert "cpu-avx2" not in COUNTING


@pytest.mark.parametrize("name", COUNTING)
def test_bits_are_counted_where_that_is_cheaper_than_int8(name):
    """AMX multiplies bytes faster than that processor counts bits: there signs gain nothing, and that is said."""
    target = load_target(name)
    found, usual = layer_cost(SIGNS, target), layer_cost(INT8, target)
    gains = name != "cpu-amx"
    assert (found.energy_j < usual.energy_j) == gains
    assert (found.kernel != usual.kernel) == gains
    assert (no_gain_of(Binary(act_bits=1), target) is None) == gains


@pytest.mark.parametrize("name", sorted({*target_names()} - {*COUNTING}))
def test_signs_are_never_cheaper_than_int8_without_a_kernel_that_counts_bits(name):
    target = load_target(name)
    assert layer_cost(SIGNS, target).energy_j >= 0.999 * layer_cost(INT8, target).energy_j
    assert no_gain_of(Binary(act_bits=1), target) is not None


def test_a_microcontroller_without_the_kernel_gains_nothing():
    """The same chip with and without the catalog's popcount kernel."""
    target = load_target("cortex-m4")
    assert isinstance(target.model, CyclesModel)
    kernels = tuple(k for k in target.model.kernels if k.name != "binary-popcount")
    without = replace(target, model=replace(target.model, kernels=kernels))
    assert no_gain_of(Binary(act_bits=1), target) is None
    assert no_gain_of(Binary(act_bits=1), without) == (
        "cortex-m4 gains nothing from binary layers of 1-bit weights and 1-bit activations over int8, as it has no "
        "kernel that counts bits; only the file gets smaller"
    )
    assert layer_cost(SIGNS, without).kernel == layer_cost(INT8, without).kernel


def test_binary_weights_with_bytes_gain_where_additions_are_cheaper_than_products():
    assert no_gain_of(Binary(act_bits=8), load_target("cortex-m0")) is None
    assert no_gain_of(Binary(act_bits=8), load_target("gpu-a100")) == (
        "gpu-a100 gains nothing from binary layers of 1-bit weights and 8-bit activations over int8, as it has no "
        "kernel that counts bits; only the file gets smaller"
    )


def test_ternary_weights_take_the_path_made_for_them():
    layer = conv("shift", weight_bits=2, act_bits=8, levels=1)
    assert layer_cost(layer, load_target("cortex-m0")).kernel == "ternary-generated"
    assert no_gain_of(Ternary(), load_target("cortex-m0")) is None


def test_what_a_target_cannot_run_is_said():
    assert no_gain_of(Shift(), load_target("npu-syntiant")) == (
        "npu-syntiant cannot run shift layers of 5-bit weights and 32-bit activations"
    )


@pytest.mark.parametrize("name", target_names())
def test_int8_is_what_it_is_compared_with(name):
    reason = no_gain_of(Uniform(), load_target(name))
    assert "gains nothing" in str(reason)
    assert "counts bits" not in str(reason)
    assert reason == no_gain(load_target(name), "int", 8, 8, name="uniform")
