import dataclasses

import pytest
import torch

from greenshift.calibrate import (
    Calibration,
    Measured,
    Power,
    Shape,
    calibrate,
    given_power,
    layer_shapes,
    measure_power,
    to_toml,
)
from greenshift.design import Design
from greenshift.energy import NullMeter, Reading, ReplayMeter
from greenshift.errors import InputError
from greenshift.networks import profile_design
from greenshift.records import DataChoice
from greenshift.targets import cost
from greenshift.targets.loading import parse_target

CONV = Shape("conv", (3, 8, 8), (4, 4, 4), 3 * 4 * 9)
HEAD = Shape("linear", (16,), (10,), 160)


@pytest.fixture(scope="module")
def measured():
    return calibrate([CONV, HEAD, Shape("conv", (4, 8, 8), (4, 8, 8), 36, groups=4)], given_power(10.0))


def test_every_shape_is_timed_in_every_precision_and_threads_are_restored(measured):
    threads = torch.get_num_threads()
    again = calibrate([HEAD], given_power(1.0), ["float32"])
    assert torch.get_num_threads() == threads
    assert list(again.times) == ["float32"]
    assert list(measured.times) == ["float32", "bfloat16"]
    for times in measured.times.values():
        assert len(times) == 3
        assert all(taken.value > 0 and taken.factor >= 1 for taken in times.values())
    assert measured.memory_bytes_per_s.value > 1e6


def test_the_file_is_a_target_that_looks_shapes_up(measured):
    target = parse_target(to_toml(measured, "mine", 'A "quoted" machine', "2026"), "mine.toml")
    assert (target.name, target.title, target.kind) == ("mine", 'A "quoted" machine', "measured")
    profile = profile_design(Design("tiny_cnn"), DataChoice("digits"))
    assert cost(profile, target).energy_j == pytest.approx(10 * cost(profile, target).latency_s)
    times = dict(target.figures)
    key = f"kernels.torch-float32.layers.{CONV.name}.latency_s"
    assert times[key].value == pytest.approx(measured.times["float32"][CONV].value, rel=1e-5)


def test_a_calibrated_network_is_measured_layer_by_layer():
    profile = profile_design(Design("tiny_cnn"), DataChoice("digits"))
    shapes = layer_shapes(profile.layers)
    assert len(shapes) == len({(x.input_shape, x.output_shape, x.weights) for x in profile.layers if x.macs})
    times = {"float32": {shape: Measured(1e-3, 1.1) for shape in shapes}}
    text = to_toml(Calibration(times, Measured(1e9, 2), Power(5, 1, 1.2, "a counter")), "h", "H", "1")
    result = cost(profile, parse_target(text, "h.toml"))
    assert {layer.latency_provenance for layer in result.layers if layer.macs} == {"measured"}
    weighted = [layer for layer in result.layers if layer.macs]
    assert sum(layer.latency_s for layer in weighted) == pytest.approx(1e-3 * len(weighted))
    assert "1 W idle" in text


def test_power_is_that_of_the_counter_idle_and_active():
    def reading(energy_j):
        return Reading(2.0, 1.0, energy_j, "measured", "a counter", ("cpu",))

    power = measure_power(ReplayMeter([reading(4.0), reading(10.0)]), seconds=0.01)
    assert (power.idle_w, power.active_w) == (2.0, 5.0)
    assert power.source.startswith("a counter")
    with pytest.raises(InputError, match="no power from none: energy was not metered; give it by --watts"):
        measure_power(NullMeter(), seconds=0.01)


def test_bad_input():
    with pytest.raises(InputError, match="no convolution or linear layer"):
        calibrate([], given_power(1))
    for watts in (0, -3, float("nan")):
        with pytest.raises(InputError, match="--watts must be above 0"):
            given_power(watts)
    oblong = dataclasses.replace(CONV, weights=3 * 4 * 6)
    with pytest.raises(InputError, match="has no square kernel"):
        calibrate([oblong], given_power(1), ["float32"])
