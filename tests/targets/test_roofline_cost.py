import dataclasses
import math

import pytest
from profiles import conv, float32, network, shift

from greenshift.errors import InputError
from greenshift.profile import LayerProfile
from greenshift.targets import cost
from greenshift.targets.loading import parse_target


def figure(value, factor=1.0):
    return f'{{ value = {value}, factor = {factor}, source = "book" }}'


TEXT = f"""
name = "chip"
title = "A chip"
version = "1"
model = "roofline"
[sources]
book = "A book"
[roofline]
active_power_w = {figure(2, 2)}
overhead_s_per_layer = {figure(1e-6, 3)}
depthwise_ratio = {figure(4, 2)}
ops_per_s = {figure(1e9, 2)}
[memory.near]
capacity_bytes = {figure(20000)}
bytes_per_s = {figure(1e9, 1.5)}
[memory.far]
bytes_per_s = {figure(1e8, 1.2)}
[kernels.float]
runs = ["float"]
macs_per_s = {figure(1e8, 1.1)}
bytes_per_weight = {figure(4)}
[kernels.int8]
runs = ["int", "shift"]
max_levels = {figure(7)}
macs_per_s = {figure(1e9, 1.3)}
bytes_per_weight = {figure(1)}
[kernels.packed]
runs = ["int", "shift"]
packed = true
macs_per_s = {figure(5e8, 1.3)}
"""
CHIP = parse_target(TEXT, "chip.toml")
# 16x16 channels, 3x3, 8x8 pixels: 147456 MAC, 2304 weights, 2048 bytes of activations.
SMALL = conv(size=8)


def test_a_layer_that_computes_longer_than_it_loads():
    result = cost(network(SMALL), CHIP)
    assert result.latency_s == pytest.approx(147456 / 1e9 + 1e-6)
    assert result.energy_j == pytest.approx(2 * result.latency_s)
    assert result.layers[0].kernel == "int8"
    assert (result.size_bytes, result.peak_memory_bytes) == (2304, 2048)
    expected = (147456e-9 * 1.3 + 1e-6 * 3) / (147456e-9 + 1e-6)
    assert result.latency_uncertainty_factor == pytest.approx(expected)
    assert result.uncertainty_factor == pytest.approx(math.exp(math.hypot(math.log(expected), math.log(2))))
    assert result.model == "roofline of chip 1"


def test_a_layer_that_loads_longer_than_it_computes():
    layer = dataclasses.replace(SMALL, macs=1000)
    result = cost(network(layer), CHIP)
    assert result.latency_s == pytest.approx((2304 + 2048) / 1e9 + 1e-6)


def test_what_is_beyond_the_near_memory_comes_from_the_far_one():
    layer = conv(channels=64, size=1)
    assert layer.parameter_bytes > 20000
    result = cost(network(layer), CHIP)
    # 36864 bytes of weights at 0.1 GB/s take longer than 36864 MAC.
    assert result.latency_s == pytest.approx((36864 + 128) / 1e8 + 1e-6)


def test_far_weights_are_worth_decoding_and_near_ones_are_not():
    far = {"channels": 128, "size": 1, "weight_bits": 4}
    assert cost(network(conv(**far)), CHIP).layers[0].kernel == "packed"
    assert cost(network(conv(weight_bits=4, size=8)), CHIP).layers[0].kernel == "int8"
    assert cost(network(conv(**far)), CHIP).latency_s == pytest.approx((128 * 128 * 9 / 2 + 256) / 1e8 + 1e-6)
    assert cost(network(conv(**far)), CHIP).size_bytes == 128 * 128 * 9 // 2


def test_kernels_are_chosen_by_what_they_can_run():
    assert cost(network(float32(size=8)), CHIP).layers[0].kernel == "float"
    assert cost(network(shift(4, size=8)), CHIP).layers[0].kernel == "int8"
    assert cost(network(shift(5, size=8)), CHIP).layers[0].kernel == "packed"
    no_shift = parse_target(TEXT.replace('runs = ["int", "shift"]', 'runs = ["int"]'), "chip.toml")
    with pytest.raises(InputError, match="chip: no kernel for shift layer 'conv' with 4-bit weights and 8-bit act"):
        cost(network(shift()), no_shift)


def test_depthwise_layers_leave_units_empty():
    layer = dataclasses.replace(SMALL, groups=16)
    assert cost(network(layer), CHIP).latency_s == pytest.approx(4 * 147456e-9 + 1e-6)


def test_elementwise_and_fused_layers():
    add = LayerProfile("add", "elementwise", "int", (16, 8, 8), (16, 8, 8), 0, ops=10_000, act_bits=8, output_bits=8)
    base = cost(network(SMALL), CHIP)
    assert cost(network(SMALL, add), CHIP).latency_s - base.latency_s == pytest.approx(10_000e-9 + 1e-6)
    fused = cost(network(SMALL, dataclasses.replace(add, fused=True)), CHIP)
    assert (fused.latency_s, fused.layers[1].kernel) == (base.latency_s, "fused")


BAD = {
    "last level ends": (
        f"[memory.far]\nbytes_per_s = {figure(1e8, 1.2)}",
        f"[memory.far]\ncapacity_bytes = {figure(1e9)}\nbytes_per_s = {figure(1e8, 1.2)}",
        r"chip\.toml: memory: every level but the last",
    ),
    "far is faster": (figure("100000000.0", 1.2), figure(1e10), r"memory\.far: a farther level cannot be faster"),
    "no rate": (f"macs_per_s = {figure(1e8, 1.1)}", f"macs_per_s = {figure(0)}", r"kernels\.float\.macs_per_s: value"),
    "negative power": ("active_power_w = { value = 2", "active_power_w = { value = -2", r"power_w\.value: .* not -2"),
}


@pytest.mark.parametrize(("old", "new", "message"), BAD.values(), ids=BAD.keys())
def test_bad_files(old, new, message):
    assert old in TEXT
    with pytest.raises(InputError, match=message):
        parse_target(TEXT.replace(old, new), "chip.toml")


def test_a_level_that_holds_less_than_a_nearer_one():
    between = f"[memory.mid]\ncapacity_bytes = {figure(10)}\nbytes_per_s = {figure(5e8)}\n[memory.far]"
    with pytest.raises(InputError, match=r"memory\.mid: a farther level cannot hold less"):
        parse_target(TEXT.replace("[memory.far]", between), "chip.toml")
