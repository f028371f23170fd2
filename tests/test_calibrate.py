import pytest
import torch
from torch import nn

from greenshift.calibrate import Calibration, Measured, Power, Shape, calibrate, given_power, measure_power, to_toml
from greenshift.compress.profiling import profile
from greenshift.design import Design
from greenshift.energy import NullMeter, Reading, ReplayMeter
from greenshift.errors import InputError
from greenshift.networks import profile_design
from greenshift.records import DataChoice
from greenshift.targets import cost
from greenshift.targets.loading import parse_target

CONV = Shape("conv", (3, 8, 8), (4, 4, 4), 3 * 4 * 9)
NETWORK = nn.Sequential(
    nn.Conv2d(3, 4, 3, 2, 1), nn.Conv2d(4, 4, 3, 1, 1, groups=4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 10)
)
PROFILE = profile(NETWORK, (3, 8, 8))


@pytest.fixture(scope="module")
def measured():
    return calibrate(NETWORK, PROFILE, given_power(10.0))


def test_every_shape_is_timed_in_every_precision_and_the_rest_is_left_as_it_was(measured):
    threads = torch.get_num_threads()
    again = calibrate(NETWORK.train(), PROFILE, given_power(1.0), ["float32"])
    assert (torch.get_num_threads(), NETWORK.training) == (threads, True)
    assert list(again.times) == ["float32"]
    assert list(measured.times) == ["float32", "bfloat16"]
    for times in measured.times.values():
        assert len(times) == 3
        assert CONV in times
        assert all(taken.value > 0 and taken.factor >= 1 for taken in times.values())
    assert measured.memory_bytes_per_s.value > 1e6
    assert measured.network_over_layers.value >= 1


def test_the_file_is_a_target_that_looks_shapes_up(measured):
    target = parse_target(to_toml(measured, "mine", 'A "quoted" machine', "2026"), "mine.toml")
    assert (target.name, target.title, target.kind) == ("mine", 'A "quoted" machine', "measured")
    other = profile_design(Design("tiny_cnn"), DataChoice("digits"))
    assert cost(other, target).energy_j == pytest.approx(10 * cost(other, target).latency_s)
    times = dict(target.figures)
    key = f"kernels.torch-float32.layers.{CONV.name}.latency_s"
    assert times[key].value == pytest.approx(measured.times["float32"][CONV].value, rel=1e-5)


def test_a_calibrated_network_is_measured_layer_by_layer():
    shapes = [Shape(x.kind, x.input_shape, x.output_shape, x.weights, x.groups) for x in PROFILE.layers if x.macs]
    times = {"float32": {shape: Measured(1e-3, 1.1) for shape in shapes}}
    text = to_toml(Calibration(times, Measured(1.5, 1), Measured(1e9, 2), Power(5, 1, 1.2, "a counter")), "h", "H", "1")
    result = cost(PROFILE, parse_target(text, "h.toml"))
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
        calibrate(nn.Sequential(nn.ReLU()), profile(nn.ReLU(), (3, 8, 8)), given_power(1))
    for watts in (0, -3, float("nan")):
        with pytest.raises(InputError, match="--watts must be above 0"):
            given_power(watts)
    oblong = nn.Conv2d(3, 4, (3, 1))
    with pytest.raises(InputError, match="has no square kernel"):
        calibrate(oblong, profile(oblong, (3, 8, 8)), given_power(1), ["float32"])
