"""What holds on every target of the catalog and every variant, whatever its model."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import conv, float32, network, shift

from greenshift.errors import InputError
from greenshift.profile import LayerProfile
from greenshift.targets import capabilities, cost, load_target, load_variants, memory_bytes, target_names
from greenshift.targets.target import CyclesModel

TARGETS = [target for name in target_names() for target in load_variants(name)]
BY_NAME = {target.name: target for target in TARGETS}


@st.composite
def layers(draw):
    make = draw(st.sampled_from([conv, shift]))
    bits = {"weight_bits": draw(st.integers(2, 4 if make is shift else 8)), "act_bits": draw(st.integers(4, 8))}
    return make(**bits, channels=draw(st.integers(1, 16)), size=draw(st.integers(1, 16)), ops=draw(st.integers(0, 999)))


@given(st.sampled_from(TARGETS), st.lists(layers(), min_size=1, max_size=4))
def test_costs_are_pure_not_negative_and_sum_over_the_layers(target, several):
    result = cost(network(*several), target)
    assert result == cost(network(*several), target)
    assert result.energy_j == pytest.approx(sum(layer.energy_j for layer in result.layers), rel=1e-12)
    assert result.latency_s == pytest.approx(sum(layer.latency_s for layer in result.layers), rel=1e-12)
    assert result.size_bytes == sum(layer.size_bytes for layer in result.layers)
    assert all(min(one.energy_j, one.latency_s, one.size_bytes) >= 0 for one in result.layers)
    assert result.energy_j > 0
    assert min(result.uncertainty_factor, result.latency_uncertainty_factor) >= 1
    assert (result.provenance, result.target) == ("modelled", target.name)
    assert result.fits == (not result.limits)


@given(st.sampled_from(TARGETS), layers(), st.integers(1, 10**6))
def test_more_multiplications_never_cost_less(target, layer, extra):
    more = dataclasses.replace(layer, macs=layer.macs + extra)
    before, after = cost(network(layer), target), cost(network(more), target)
    assert after.energy_j >= before.energy_j
    assert after.latency_s >= before.latency_s


@given(st.sampled_from(TARGETS), layers(), st.floats(0, 0.99))
def test_zeros_never_cost_and_save_only_where_a_kernel_skips_them(target, layer, sparsity):
    dense, sparse = (cost(network(dataclasses.replace(layer, sparsity=s)), target) for s in (0, sparsity))
    assert sparse.energy_j <= dense.energy_j
    if not isinstance(target.model, CyclesModel):
        assert sparse == dense


def energy_j(name, *several):
    return cost(network(*several), BY_NAME[name]).energy_j


def kernel(name, layer):
    return cost(network(layer), BY_NAME[name]).layers[0].kernel


@pytest.mark.parametrize("name", ["cortex-m0", "rv32imc", "rv32ic", "cortex-m4", "fpga-shift", "asic-45nm"])
def test_shift_weights_save_where_there_are_shift_kernels_or_prices(name):
    assert energy_j(name, shift()) < 0.85 * energy_j(name, conv())


@pytest.mark.parametrize("name", ["cpu-amx", "cpu-vnni", "gpu-a100", "npu-syntiant"])
def test_shift_weights_run_as_int8_where_there_are_none(name):
    # Fewer guard bits of the sum are all that a fixed multiplier can save.
    assert energy_j(name, shift()) == pytest.approx(energy_j(name, conv()), rel=0.01)


def test_what_a_shift_saves_grows_with_what_a_product_costs():
    ratios = [
        energy_j(name, shift()) / energy_j(name, conv())
        for name in ("rv32ic", "cortex-m0", "cortex-m4", "cpu-avx2", "cpu-amx")
    ]
    assert ratios == sorted(ratios)
    assert energy_j("cortex-m0:slow-multiplier", conv()) > energy_j("cortex-m0", conv())
    assert energy_j("cortex-m0:slow-multiplier", shift()) == energy_j("cortex-m0", shift())


def test_shift_weights_beyond_int8_run_in_two_planes_or_as_floats_on_a_server():
    assert kernel("cpu-amx", shift(4)) == "int8-amx"
    assert kernel("cpu-amx", dataclasses.replace(shift(5), weight_levels=14)) == "int8-amx-two-planes"
    assert kernel("cpu-amx", shift(5)) == "float32-avx512"
    assert kernel("cpu-amx", shift(4, act_bits=32)) == "float32-avx512"
    assert kernel("gpu-a100", shift(4, act_bits=16)) == "float32-cuda"
    assert energy_j("cpu-amx", shift(5)) > 2 * energy_j("cpu-amx", shift(4))


def test_shift_weights_still_save_memory_traffic_on_a_server():
    wide = {"channels": 2048, "size": 1}
    assert kernel("cpu-amx", shift(**wide)) == "int4-amx-decoded"
    assert energy_j("cpu-amx", shift(**wide)) < 0.6 * energy_j("cpu-amx", conv(**wide))


def test_zeros_save_in_generated_code_and_not_on_dense_hardware():
    sparse = {"sparsity": 0.8}
    for name in ("cortex-m0", "cortex-m4", "rv32ic"):
        assert energy_j(name, shift(**sparse)) < 0.5 * energy_j(name, shift())
        assert capabilities(BY_NAME[name]).sparsity
    for name in ("cpu-amx", "gpu-a100", "asic-45nm", "npu-syntiant", "fpga-shift"):
        assert energy_j(name, shift(**sparse)) == energy_j(name, shift())
        assert not capabilities(BY_NAME[name]).sparsity
    assert energy_j("cortex-m4", conv(**sparse)) == energy_j("cortex-m4", conv())


REFUSED = [
    ("npu-syntiant", float32(name="stem"), "npu-syntiant: layer 'stem' needs floats of 32 bits"),
    ("npu-syntiant", shift(5, name="late"), "npu-syntiant: layer 'late' needs integers of 16 bits"),
    ("npu-syntiant", conv(act_bits=9, name="wide"), "npu-syntiant: layer 'wide' needs integers of 9 bits"),
    ("cortex-m0", conv(act_bits=9, name="wide"), "cortex-m0: no kernel for int layer 'wide' with 8-bit weights and 9"),
    ("rv32ic", conv("float", weight_bits=64, name="d"), "rv32ic: no kernel for float layer 'd' with 64-bit weights"),
]


@pytest.mark.parametrize(("name", "layer", "message"), REFUSED)
def test_what_a_target_cannot_run_is_one_line_with_layer_operation_and_target(name, layer, message):
    with pytest.raises(InputError, match=message) as caught:
        cost(network(layer), BY_NAME[name])
    assert "\n" not in str(caught.value)


def test_a_float_pooling_is_refused_where_there_are_no_floats():
    pool = LayerProfile("pool", "elementwise", "float", (8, 4, 4), (8,), 0, ops=128)
    with pytest.raises(InputError, match="layer 'pool' needs floats of 32 bits, which it does not have"):
        cost(network(conv(), pool), BY_NAME["npu-syntiant"])


def test_overflow_is_infeasible_and_not_cheap():
    large = conv(channels=512, size=2)
    for name in ("cortex-m0", "cortex-m4", "rv32ic", "npu-syntiant"):
        result = cost(network(large), BY_NAME[name])
        assert not result.fits
        assert "kB of" in result.limits[0]
        assert result.energy_j > energy_j(name, dataclasses.replace(large, macs=large.macs // 2))
    assert cost(network(large), BY_NAME["asic-45nm"]).fits
    assert cost(network(large), BY_NAME["cpu-amx"]).fits


def test_capabilities_are_those_of_the_hardware():
    def table(name):
        can = capabilities(load_target(name))
        return can.fp32, can.int8_simd, can.multiplier, can.popcount

    assert table("cortex-m0") == (False, False, True, True)
    assert table("cortex-m4") == (True, True, True, True)
    assert table("rv32ic") == (False, False, False, True)
    assert table("cpu-amx") == (True, True, True, True)
    assert table("npu-syntiant") == (False, True, True, False)
    assert capabilities(load_target("npu-syntiant")).energy_over_int8["float32"] is None
    assert capabilities(load_target("npu-syntiant")).energy_over_int8["ternary"] == pytest.approx(1, rel=0.01)


def test_memories_are_listed_where_a_target_has_them():
    assert memory_bytes(BY_NAME["cortex-m4"]) == {"flash": 2**21, "ram": 640 * 1024}
    assert memory_bytes(BY_NAME["asic-45nm"]) == {"sram": 2**20, "dram": None}
    assert memory_bytes(BY_NAME["npu-syntiant"]) == {"sram": 1e6}
    assert memory_bytes(BY_NAME["cpu-amx"]) == {"l2": 2**21, "l3": 64e6, "dram": None}
