"""This machine's runtime as an objective and as a measured target."""

import numpy as np
import pytest
from random_networks import Builder

from greenshift.deploy.bench.host import LayerTimes, _shape, host_latency, time_layers
from greenshift.deploy.bench.target import extend_target, with_layers
from greenshift.deploy.runtime import available_isas
from greenshift.errors import InputError
from greenshift.profile import LayerProfile, NetworkProfile
from greenshift.targets import cost
from greenshift.targets.loading import parse_target
from greenshift.targets.writing import Measured, Shape

TARGET = """name = "host"
title = "a machine"
version = "1"
model = "measured"

[sources]
timed = "a clock"

[measured]
active_power_w = { value = 10, factor = 1.5, source = "timed" }
memory_bytes_per_s = { value = 1e9, factor = 1.5, source = "timed" }
network_over_layers = { value = 1.1, factor = 1.5, source = "timed" }
spread_per_doubling = { value = 1.3, factor = 1.5, source = "timed" }

[kernels.torch-float32]
runs = ["float", "int", "shift"]

[kernels.torch-float32.layers.conv-3x8x8-8x8x8-216]
kind = "conv"
input_shape = [3, 8, 8]
output_shape = [8, 8, 8]
weights = 216
groups = 1
latency_s = { value = 5e-5, factor = 1.1, source = "timed" }
"""
CONV = Shape("conv", (3, 8, 8), (8, 8, 8), 216)
LINEAR = Shape("linear", (512,), (10,), 5120)


def network():
    b = Builder(np.random.default_rng(0))
    x = b.conv(b.input(8, 8, 3), 8)
    x = b.conv(x, 8, groups=8)
    x = b.conv(x, 8, groups=8)
    b.linear(x, 10)
    return b.network()


def profile_of(shape, arithmetic="shift", bits=4, act_bits=8, levels=7):
    macs = shape.weights * (64 if shape.kind == "conv" else 1)
    layer = LayerProfile(
        *("layer", shape.kind, arithmetic, shape.input_shape, shape.output_shape, macs),
        **{"weights": shape.weights, "weight_bits": bits, "act_bits": act_bits, "weight_levels": levels},
    )
    return NetworkProfile((layer,), shape.input_shape)


def test_latency_names_its_kernel():
    found = host_latency(network())
    assert found.interval_s[0] <= found.latency_s <= found.interval_s[1]
    assert found.kernel.startswith(available_isas()[0] if available_isas() else "numpy reference")
    assert found.to_json()["provenance"] == "measured"


def test_shapes_are_those_of_profiles():
    net = network()
    assert [_shape(net, step) for step in net.convolutions] == [
        CONV,
        *[Shape("conv", (8, 8, 8), (8, 8, 8), 72, groups=8)] * 2,
        LINEAR,
    ]


@pytest.mark.skipif(not available_isas(), reason="there is no compiled library")
def test_every_shape_is_timed_and_becomes_a_part_of_the_target(tmp_path):
    found = time_layers(network())
    assert len(found.times) == 3
    assert all(taken.value > 0 and taken.factor >= 1 for taken in found.times.values())
    (tmp_path / "host.toml").write_text(TARGET)
    kernel = extend_target(tmp_path / "host.toml", found)
    assert kernel == f"greenshift-{available_isas()[0]}"
    text = (tmp_path / "host.toml").read_text()
    target = parse_target(text, "host.toml")
    key = f"kernels.{kernel}.layers.{LINEAR.name}.latency_s"
    assert dict(target.figures)[key].value == pytest.approx(found.times[LINEAR].value, rel=1e-5)


def extended(seconds, text=TARGET, shape=CONV, kernel="greenshift-vnni"):
    return with_layers(text, "host.toml", kernel, LayerTimes("vnni", {shape: Measured(seconds, 1.1)}))


def test_cost_takes_the_measured_time_of_the_real_kernel():
    target = parse_target(extended(1e-6), "host.toml")
    spent = cost(profile_of(CONV), target)
    assert spent.layers[0].kernel == "greenshift-vnni"
    assert spent.layers[0].latency_provenance == "measured"
    assert spent.latency_s == pytest.approx(1e-6)


@pytest.mark.parametrize(
    "beyond", [{"act_bits": 16}, {"bits": 16}, {"levels": 15}, {"arithmetic": "float", "bits": 32, "act_bits": 32}]
)
def test_what_a_packed_network_cannot_hold_is_left_to_others(beyond):
    target = parse_target(extended(1e-6), "host.toml")
    assert cost(profile_of(CONV, **beyond), target).layers[0].kernel == "torch-float32"


def test_again_replaces_the_same_shape_and_keeps_the_others():
    once = extended(1e-6)
    more = extended(2e-6, once, LINEAR)
    again = extended(3e-6, more)
    assert again.count("[kernels.greenshift-vnni]") == 1
    assert again.count("runtime = ") == 1
    figures = dict(parse_target(again, "host.toml").figures)
    prefix = "kernels.greenshift-vnni.layers."
    assert figures[f"{prefix}{CONV.name}.latency_s"].value == 3e-6
    assert figures[f"{prefix}{LINEAR.name}.latency_s"].value == 2e-6
    assert figures["kernels.torch-float32.layers.conv-3x8x8-8x8x8-216.latency_s"].value == 5e-5
    other = extended(4e-6, again, kernel="greenshift-avx2")
    assert {"greenshift-vnni", "greenshift-avx2"} <= {k.name for k in parse_target(other, "host.toml").model.kernels}


def test_a_target_of_another_model_is_refused(tmp_path):
    from importlib.resources import files

    text = (files("greenshift.targets") / "catalog" / "cortex-m4.toml").read_text()
    with pytest.raises(InputError, match="its model is 'cycles'; times of layers go into a file of greenshift cal"):
        extended(1e-6, text)
    with pytest.raises(InputError, match="No such file"):
        extend_target(tmp_path / "nothing.toml", LayerTimes("vnni", {CONV: Measured(1, 1)}))
