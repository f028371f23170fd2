import dataclasses

import pytest
from profiles import conv, float32, network, shift

from greenshift.errors import InputError
from greenshift.profile import LayerProfile
from greenshift.targets import capabilities, cost, memory_bytes
from greenshift.targets.loading import parse_target
from greenshift.targets.uncertainty import product_factor


def figure(value, factor=1.0):
    return f'{{ value = {value}, factor = {factor}, source = "run" }}'


def shape(kernel, name, channels, size, latency_s, factor):
    return f"""
[kernels.{kernel}.layers.{name}]
kind = "conv"
input_shape = [{channels}, {size}, {size}]
output_shape = [{channels}, {size}, {size}]
weights = {channels * channels * 9}
groups = 1
latency_s = {figure(latency_s, factor)}
"""


TEXT = f"""
name = "host"
title = "This machine"
version = "1"
model = "measured"
[sources]
run = "Timed today"
[measured]
active_power_w = {figure(10, 1.5)}
memory_bytes_per_s = {figure(1e9, 2)}
network_over_layers = {figure(1.4)}
spread_per_doubling = {figure(1.2)}
[kernels.fp32]
runs = ["float", "shift"]
{shape("fp32", "small", 16, 16, 1e-3, 1.1)}
{shape("fp32", "large", 64, 16, 8e-3, 1.1)}
[kernels.bf16]
runs = ["float"]
max_act_bits = {figure(16)}
{shape("bf16", "small", 16, 16, 0.5e-3, 1.1)}
"""
HOST = parse_target(TEXT, "host.toml")


def test_the_very_shape_is_looked_up_and_measured():
    result = cost(network(float32()), HOST)
    assert (result.latency_s, result.energy_j) == (1e-3, 10e-3)
    assert result.latency_uncertainty_factor == pytest.approx(product_factor(1.1, 1.4))
    layer = result.layers[0]
    assert (layer.kernel, layer.latency_provenance, result.provenance) == ("fp32", "measured", "modelled")
    assert result.model == "measured times of host 1"


def test_another_shape_takes_the_time_per_mac_of_the_nearest_and_is_modelled():
    layer = float32(channels=32)
    result = cost(network(layer), HOST)
    # 32 channels are as far from 16 as from 64 by doublings; the first by name is taken.
    assert result.latency_s == pytest.approx(8e-3 / 4)
    assert result.layers[0].latency_provenance == "modelled"
    assert result.latency_uncertainty_factor > product_factor(1.2, 1.4)
    near = cost(network(float32(size=15)), HOST)
    assert near.latency_s == pytest.approx(1e-3 * (15 / 16) ** 2)
    assert product_factor(1.1, 1.4) < near.latency_uncertainty_factor < result.latency_uncertainty_factor


def test_the_fastest_kernel_that_can_run_it_is_taken():
    half = dataclasses.replace(float32(), act_bits=16, weight_bits=16)
    assert cost(network(half), HOST).layers[0].kernel == "bf16"
    assert cost(network(shift()), HOST).layers[0].kernel == "fp32"


def test_a_layer_of_another_stride_is_not_the_very_shape():
    strided = dataclasses.replace(float32(), input_shape=(16, 32, 32))
    result = cost(network(strided), HOST)
    assert (result.latency_s, result.layers[0].latency_provenance) == (1e-3, "modelled")
    assert result.latency_uncertainty_factor > product_factor(1.2, 1.4)


def test_elementwise_layers_take_the_time_to_move_their_data():
    add = LayerProfile("add", "elementwise", "float", (1000,), (1000,), 0, ops=1000)
    assert cost(network(add), HOST).latency_s == pytest.approx(8000 / 1e9)
    assert cost(network(dataclasses.replace(add, fused=True)), HOST).latency_s == 0


def test_what_no_kernel_runs_or_was_timed_on_is_refused():
    with pytest.raises(InputError, match="target host: no kernel for int layer 'conv'"):
        cost(network(conv()), HOST)
    linear = LayerProfile("head", "linear", "float", (64,), (10,), 640, weights=640)
    with pytest.raises(InputError, match="target host: no kernel for float layer 'head'"):
        cost(network(linear), HOST)


def test_capabilities_and_memory_of_a_host():
    can = capabilities(HOST)
    assert (can.fp32, can.multiplier, can.style) == (True, False, ("fp32", "bf16"))
    assert set(can.energy_over_int8.values()) == {None}
    assert memory_bytes(HOST) == {}


BAD = {
    "kind": ('kind = "conv"', 'kind = "pool"', r"layers\.small\.kind: 'conv' or 'linear', not 'pool'"),
    "shape": ("input_shape = [16,", "input_shape = [0,", r"input_shape: whole numbers of at least 1 are needed"),
    "weights": ("weights = 2304", 'weights = "many"', r"weights: whole numbers"),
    "spread": (figure(1.2), figure(0.5), r"spread_per_doubling: a ratio of at least 1"),
    "ratio": (figure(1.4), figure(0.9), r"network_over_layers: a ratio of at least 1"),
    "no time": (figure("0.001", 1.1), figure(0), r"latency_s: value must be above 0"),
}


@pytest.mark.parametrize(("old", "new", "message"), BAD.values(), ids=BAD.keys())
def test_bad_files(old, new, message):
    assert old in TEXT
    with pytest.raises(InputError, match=message):
        parse_target(TEXT.replace(old, new), "host.toml")


def test_a_kernel_without_times():
    bare = TEXT[: TEXT.index("[kernels.fp32.layers.small]")] + "[kernels.fp32.layers]\n"
    with pytest.raises(InputError, match=r"kernels\.fp32\.layers: at least one timed layer"):
        parse_target(bare, "host.toml")
