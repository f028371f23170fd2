"""Calibrate: measure this host's layers, memory and power, and write them as a target."""

import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.energy import Meter
from greenshift.energy.windows import cpu_windows
from greenshift.errors import InputError
from greenshift.profile import LayerProfile, NetworkProfile
from greenshift.targets.writing import Measured, Shape, figure_text, layer_lines

# Runs of a shape: a few to warm up, then windows of at least this long, whose median counts.
_WINDOWS, _WINDOW_S = 5, 0.02
_PRECISIONS = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_SMALL_BYTES, _LARGE_BYTES = 2**18, 2**26
_POWER_S = 10.0


@dataclass(frozen=True)
class Power:
    """Power of the host while it computes.

    Attributes:
        active_w: Power while one thread computes.
        idle_w: Power while nothing runs, or None if it was not measured.
        factor: Uncertainty factor.
        source: Where it comes from.
    """

    active_w: float
    idle_w: float | None
    factor: float
    source: str


@dataclass(frozen=True)
class Calibration:
    """What was measured on a host.

    Attributes:
        times: Seconds by precision and shape, of one run with one input on one thread.
        network_over_layers: Time of the whole network over the sum of its convolutions and linear layers run alone,
            at least 1; what lies between them and what they find in the caches makes the difference.
        memory_bytes_per_s: Bandwidth of copying, between small data and large.
        power: Power of the host.
    """

    times: dict[str, dict[Shape, Measured]]
    network_over_layers: Measured
    memory_bytes_per_s: Measured
    power: Power


def calibrate(
    network: nn.Module, profile: NetworkProfile, power: Power, precisions: Sequence[str] = tuple(_PRECISIONS)
) -> Calibration:
    """Measure layers and memory of this host on one thread, one input at a time.

    Args:
        network: The network whose layers are timed, in float32; its mode is restored.
        profile: Its profile.
        power: Of `measure_power`, or as given by hand.
        precisions: `float32`, which the whole network is held against, and perhaps `bfloat16`.

    Raises:
        InputError: If there is no layer to time, or a convolution's kernel is not square.
    """
    shapes = [_shape(layer) for layer in profile.layers if layer.macs]
    if not shapes:
        raise InputError("calibrate: there is no convolution or linear layer to time")
    threads, training = torch.get_num_threads(), network.training
    torch.set_num_threads(1)
    try:
        with torch.inference_mode():
            each = list(dict.fromkeys(shapes))
            times = {name: {shape: _layer_time(shape, _PRECISIONS[name]) for shape in each} for name in precisions}
            x = torch.rand(1, *profile.input_shape)
            network.eval()
            whole = _timed(lambda: network(x))
            alone_s = math.fsum(times["float32"][shape].value for shape in shapes)
            beside = Measured(max(1.0, whole.value / alone_s), whole.factor)
            return Calibration(times, beside, _bandwidth(), power)
    finally:
        network.train(training)
        torch.set_num_threads(threads)


def _shape(layer: LayerProfile) -> Shape:
    return Shape(layer.kind, layer.input_shape, layer.output_shape, layer.weights, layer.groups)


def given_power(watts: float) -> Power:
    """Power as the user states it; its uncertainty is assumed to be a factor of 1.5.

    Raises:
        InputError: If the power is not above 0 W.
    """
    if not (math.isfinite(watts) and watts > 0):
        raise InputError(f"calibrate: --watts must be above 0, not {watts:g}")
    return Power(watts, None, 1.5, "given by hand; the factor is assumed")


def measure_power(counter: Meter, seconds: float = _POWER_S) -> Power:
    """Measure the power of the host while it idles and while one thread multiplies matrices.

    Args:
        counter: A meter that reads a counter.
        seconds: Length of either window.

    Raises:
        InputError: If the counter gives no energy.
    """
    idle_w, _ = _power_w(counter, seconds, lambda: time.sleep(0.05))
    matrix = torch.rand(256, 256)
    active_w, source = _power_w(counter, seconds, lambda: torch.mm(matrix, matrix))
    return Power(active_w, idle_w, 1.2, f"{source}; other work on the machine is in it, and the factor is assumed")


def _power_w(counter: Meter, seconds: float, work: Callable[[], object]) -> tuple[float, str]:
    counter.start()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        work()
    reading = counter.stop()
    if reading.energy_j is None or reading.energy_j <= 0:
        raise InputError(f"calibrate: no power from {reading.source}; give it by --watts")
    return reading.energy_j / reading.wall_s, reading.source


def _layer_time(shape: Shape, dtype: torch.dtype) -> Measured:
    x = torch.rand(1, *shape.input_shape, dtype=dtype)
    if shape.kind == "linear":
        weight = torch.rand(shape.output_shape[-1], shape.input_shape[-1], dtype=dtype)
        return _timed(lambda: functional.linear(x, weight))
    weight, stride, padding = _convolution(shape, dtype)
    return _timed(lambda: functional.conv2d(x, weight, stride=stride, padding=padding, groups=shape.groups))


def _convolution(shape: Shape, dtype: torch.dtype) -> tuple[Tensor, int, int]:
    """Weight, stride and padding that lead from the input shape to the output shape; square kernels."""
    inputs, outputs = shape.input_shape[0], shape.output_shape[0]
    kernel = math.isqrt(shape.weights * shape.groups // (inputs * outputs))
    stride = max(1, round(shape.input_shape[-1] / shape.output_shape[-1]))
    padding = max(0, -(-((shape.output_shape[-1] - 1) * stride + kernel - shape.input_shape[-1]) // 2))
    if shape.weights * shape.groups != inputs * outputs * kernel**2:
        raise InputError(f"calibrate: {shape.name} has no square kernel, which is all that can be timed")
    return torch.rand(outputs, inputs // shape.groups, kernel, kernel, dtype=dtype), stride, padding


def _bandwidth() -> Measured:
    """Bytes read and written per second: the middle of data that fits a cache and data that fits none."""
    small, large = _copy_rate(_SMALL_BYTES), _copy_rate(_LARGE_BYTES)
    return Measured(math.sqrt(small * large), math.sqrt(max(small, large) / min(small, large)))


def _copy_rate(size_bytes: int) -> float:
    source, target = torch.rand(size_bytes // 4), torch.empty(size_bytes // 4)
    return 2 * size_bytes / _timed(lambda: target.copy_(source)).value


def _timed(run: Callable[[], object]) -> Measured:
    return Measured.of(cpu_windows(run, _WINDOWS, _WINDOW_S))


def to_toml(calibration: Calibration, name: str, title: str, version: str) -> str:
    """Write a calibration as a target file.

    Args:
        calibration: What was measured.
        name: Name of the target.
        title: One line that says which machine this is.
        version: Version of the figures, such as the date.
    """
    power, memory = calibration.power, calibration.memory_bytes_per_s
    parts = [
        "# Measured by `greenshift calibrate`: one thread, one input at a time, layers run alone.",
        *(f"{key} = {json.dumps(text)}" for key, text in (("name", name), ("title", title), ("version", version))),
        'model = "measured"',
        "\n[sources]",
        f'timed = "CPU time of one thread, median of {_WINDOWS} windows of {_WINDOW_S:g} s; factor: the farthest"',
        f"power = {json.dumps(power.source)}",
        'assumption = "Assumed; no measurement behind it"',
        "\n[measured]",
        f"active_power_w = {figure_text(Measured(power.active_w, power.factor), 'power', _idle_note(power))}",
        f"memory_bytes_per_s = {figure_text(memory, 'timed', 'copies between 256 KiB and 64 MiB')}",
        f"network_over_layers = {figure_text(calibration.network_over_layers, 'timed', 'in float32')}",
        f"spread_per_doubling = {figure_text(Measured(1.3, 1.2), 'assumption')}",
    ]
    for precision, times in calibration.times.items():
        parts += ["", f"[kernels.torch-{precision}]", *_ability(precision)]
        parts += [
            line for shape, taken in times.items() for line in layer_lines(f"torch-{precision}", shape, taken, "timed")
        ]
    return "\n".join(parts) + "\n"


def _idle_note(power: Power) -> str:
    return "" if power.idle_w is None else f"{power.idle_w:.3g} W idle"


def _ability(precision: str) -> list[str]:
    if precision == "bfloat16":
        limit = figure_text(Measured(16, 1.0), "assumption", "width of the format")
        return ['runs = ["float"]', f"max_act_bits = {limit}", f"max_weight_bits = {limit}", "simd = true"]
    # Torch runs integer and shift layers as their float simulation.
    return ['runs = ["float", "int", "shift"]', "simd = true"]
