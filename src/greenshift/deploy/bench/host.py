"""A network on this machine's runtime: its time for one image, and that of every layer."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from greenshift.deploy.network import Bytes, Convolution, Network
from greenshift.deploy.runtime import Runtime
from greenshift.energy.repeats import repeats
from greenshift.energy.windows import cpu_windows
from greenshift.targets.writing import Measured, Shape

_WINDOWS, _WINDOW_S = 11, 0.02


@dataclass(frozen=True)
class HostLatency:
    """Time of one image on this machine: CPU time of one thread, batch 1.

    Attributes:
        latency_s: Median of windows.
        interval_s: Its 95 % confidence interval.
        kernel: What ran it.
    """

    latency_s: float
    interval_s: tuple[float, float]
    kernel: str

    def to_json(self) -> dict[str, Any]:
        """Return it as a JSON object."""
        interval = list(self.interval_s)
        return {
            "latency_s": self.latency_s,
            "latency_interval_s": interval,
            "kernel": self.kernel,
            "provenance": "measured",
        }


def host_latency(network: Network) -> HostLatency:
    """Time one image on this machine's runtime, or on NumPy where there is no compiled library (see `kernel`).

    The pixels are random: the work does not depend on them.
    """
    runtime, image = Runtime(network), _image(network)
    found = repeats(cpu_windows(lambda: runtime.run(image), _WINDOWS, _WINDOW_S))
    assert found is not None, "there are enough windows"
    return HostLatency(found.median, (found.low, found.high), runtime.kernel)


@dataclass(frozen=True)
class LayerTimes:
    """Times of the convolutions and linear layers of a network, one image, one thread.

    Attributes:
        kernel: What ran them.
        times: By shape, each within the run of the whole network; the mean over layers of the same shape.
    """

    kernel: str
    times: dict[Shape, Measured]


def time_layers(network: Network, isa: str | None = None) -> LayerTimes:
    """Time every layer on this machine's runtime, additions not fused into it.

    Args:
        network: The network.
        isa: Instruction set, or None for what `Runtime` takes.

    Raises:
        InputError: If there is no compiled library, or the processor lacks the set.
    """
    runtime, image = Runtime(network, isa, fuse=False), _image(network)
    whole_s = min(cpu_windows(lambda: runtime.run(image), 1, _WINDOW_S))
    count = max(1, round(_WINDOW_S / whole_s))
    windows = [_step_times(runtime, image, count) for _ in range(_WINDOWS)]
    layers: dict[Shape, list[str]] = {}
    for step in network.convolutions:
        layers.setdefault(_shape(network, step), []).append(step.name)
    times = {
        shape: Measured.of([sum(window[name] for name in names) / len(names) for window in windows])
        for shape, names in layers.items()
    }
    return LayerTimes(runtime.kernel, times)


def _step_times(runtime: Runtime, image: Bytes, count: int) -> dict[str, float]:
    return {name: seconds for name, _, seconds in runtime.profile(image, count)}


def _shape(network: Network, step: Convolution) -> Shape:
    """Shape of a layer as a profile has it: channels first, and a linear layer by its numbers of values."""
    height, width, channels = network.steps[step.sources[0]].shape
    if step.kernel == (height, width) and step.shape[:2] == (1, 1) and step.groups == 1 and not any(step.padding):
        return Shape("linear", (height * width * channels,), (step.shape[2],), int(step.weight.size))
    rows, columns, outputs = step.shape
    sizes = (channels, height, width), (outputs, rows, columns)
    return Shape("conv", *sizes, int(step.weight.size), step.groups)


def _image(network: Network) -> Bytes:
    return np.random.default_rng(0).integers(0, 256, (1, *network.input.shape), dtype=np.uint8)
