"""Time and energy of one inference on this host, repeated until they are known well enough."""

import itertools
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal

import torch
from torch import Tensor, nn

from greenshift.artifacts import Artifact, load_artifact
from greenshift.data import load_dataset, normalise, resized
from greenshift.design import Design
from greenshift.energy import Meter, Reading, best_meter, idle_power_w, meter, rapl_probe
from greenshift.energy.repeats import MIN_REPEATS, Repeats, repeats
from greenshift.errors import InputError
from greenshift.networks import ImageShape, build_network
from greenshift.objectives import Provenance
from greenshift.records import DataChoice

# A window is long enough for the clock and for CPU time, or for a counter and a share of it by clock ticks.
_WINDOW_S = 0.25
_COUNTER_WINDOW_S = 1.0
_WARM_UP_S = 0.5
_IMAGES = 16


@dataclass(frozen=True)
class Inference:
    """One inference of one image, as a median over repeated windows.

    Attributes:
        kernel: What computed it.
        arithmetic: `simulated` if float arithmetic stood in for that of the schemes, else `float32`.
        latency_s: Time.
        latency_interval_s: Its 95 % confidence interval.
        latency_half_width: Half of that interval's width, as a share of the time.
        energy_j: Energy, or None if it was not measured in one way throughout.
        energy_interval_j: Its 95 % confidence interval, widened by the method's own uncertainty.
        energy_half_width: Half width by repeats alone, as a share of the energy.
        net_energy_j: Energy above the idle machine's, or None if that is not known.
        energy_provenance: How the energy was found.
        energy_source: The same in words.
        latency_provenance: Always `measured`: a clock beside a run. Of what, `kernel` and `arithmetic` say.
    """

    kernel: str
    arithmetic: Literal["simulated", "float32"]
    latency_s: float
    latency_interval_s: tuple[float, float]
    latency_half_width: float
    energy_j: float | None
    energy_interval_j: tuple[float, float] | None
    energy_half_width: float | None
    net_energy_j: float | None
    energy_provenance: Provenance
    energy_source: str
    latency_provenance: Provenance = "measured"


@dataclass(frozen=True)
class Measurement:
    """An artifact's network beside the untouched float32 network of its backbone.

    Attributes:
        artifact: The file.
        resolved: True if every half width is at most the one that was asked for.
        width: Half width that was asked for, as a share.
        reached: The widest of the half widths that count.
        repeats: Windows of each network.
        inferences: Inferences of each network in all its windows.
        threads: Threads for tensor arithmetic.
        network: The artifact's network.
        reference: The float32 network, on the same images: those of the artifact's resolution.
        latency_ratio: Time of the network over that of the reference, window by window, as a median.
    """

    artifact: str
    resolved: bool
    width: float
    reached: float
    repeats: int
    inferences: tuple[int, int]
    threads: int
    network: Inference
    reference: Inference
    latency_ratio: float

    def to_json(self) -> dict[str, Any]:
        """Return the measurement as a JSON object."""
        return {**asdict(self), "target": "host"}


def measure_artifact(
    path: Path,
    *,
    data: DataChoice | None = None,
    width: float = 0.05,
    cpu_watts: float | None = None,
    threads: int = 1,
    max_seconds: float = 120.0,
) -> Measurement:
    """Run an artifact's network and its float32 reference in turns until time and energy are known well enough.

    Both are warmed up first; they take turns, and who begins changes, so that a change of the machine's speed
    or load falls on both alike. Energy decides only where a counter gives it: what CPU time gives is as sure
    as the watts that are assumed.

    Args:
        path: An artifact of `greenshift select`.
        data: Whose test images to run; noise of the same size if left out.
        width: Greatest half width of the 95 % confidence intervals, as a share.
        cpu_watts: Watts of a busy core where there is no counter.
        threads: Threads for tensor arithmetic.
        max_seconds: Give up after so long, with what was reached; at least the six windows that an interval needs.

    Raises:
        InputError: If the file is no artifact, or the data or the width does not fit.
    """
    if not 0 < width < 1:
        raise InputError(f"measure: the width must lie between 0 and 100 %, not at {100 * width:g} %")
    artifact = _artifact(path)
    torch.set_num_threads(threads)
    images = _images(artifact, data)
    network, reference = _Runner(artifact.model, images), _Runner(_reference(artifact), images)
    reached = _take_turns(network, reference, width, cpu_watts, max_seconds)
    return Measurement(
        artifact=str(path),
        resolved=reached <= width,
        width=width,
        reached=reached,
        repeats=len(network.readings),
        inferences=(network.total, reference.total),
        threads=threads,
        network=_inference(network, artifact.design),
        reference=_inference(reference, Design(artifact.design.backbone)),
        latency_ratio=_median([a / b for a, b in zip(network.latencies_s, reference.latencies_s, strict=True)]).median,
    )


def _artifact(path: Path) -> Artifact:
    if not path.is_file():
        raise InputError(f"measure: {path}: there is no such file")
    artifact = load_artifact(path)
    if artifact is None:
        raise InputError(f"measure: {path}: plain weights; an artifact of greenshift select is needed")
    return artifact


def _take_turns(
    network: "_Runner", reference: "_Runner", width: float, cpu_watts: float | None, max_seconds: float
) -> float:
    """Run windows until the half widths are small enough or time is up; return the widest of them."""
    counted = rapl_probe().available
    for runner in (network, reference):
        runner.warm_up(_COUNTER_WINDOW_S if counted else _WINDOW_S)
    instrument = best_meter(cpu_watts, idle_w=idle_power_w() if counted else None)
    deadline = time.monotonic() + max_seconds
    for turn in itertools.count(1):
        for runner in (network, reference) if turn % 2 else (reference, network):
            runner.window(instrument)
        reached = max(network.widest(), reference.widest())
        if reached <= width or (turn >= MIN_REPEATS and time.monotonic() > deadline):
            break
    return reached


class _Runner:
    """A network that is run on one image after the other, in windows, each with its reading."""

    def __init__(self, model: nn.Module, images: tuple[Tensor, ...]) -> None:
        self._model = model.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self._next = itertools.cycle(images)
        self._per_window = 1
        self.readings: list[Reading] = []

    def warm_up(self, window_s: float) -> None:
        """Run until caches and clocks have settled, and find how many inferences fill a window."""
        started, count = time.monotonic(), 0
        while (elapsed_s := time.monotonic() - started) < _WARM_UP_S or count < 3:
            self._run(1)
            count += 1
        self._per_window = max(1, round(window_s * count / elapsed_s))

    def window(self, instrument: Meter) -> None:
        """Run and meter one window."""
        with meter(instrument=instrument) as metered:
            self._run(self._per_window)
        self.readings.append(metered.reading)

    def _run(self, count: int) -> None:
        with torch.inference_mode():
            for _ in range(count):
                self._model(next(self._next))

    @property
    def total(self) -> int:
        """Inferences in all windows."""
        return self._per_window * len(self.readings)

    @property
    def latencies_s(self) -> list[float]:
        """Time of an inference by window."""
        return [reading.wall_s / self._per_window for reading in self.readings]

    def per_inference(self, quantity: str) -> list[float] | None:
        """An energy by window, or None if a window has none or the windows were not all metered in one way."""
        values = [getattr(reading, quantity) for reading in self.readings]
        if None in values or len({reading.method for reading in self.readings}) > 1:
            return None
        return [value / self._per_window for value in values]

    def widest(self) -> float:
        """The widest half width that counts so far."""
        decisive = [repeats(self.latencies_s)]
        energies_j = self.per_inference("energy_j")
        if energies_j is not None and self.readings[0].method != "cpu-time":
            decisive.append(repeats(energies_j))
        return max(float("inf") if found is None else found.half_width for found in decisive)


def _inference(runner: _Runner, design: Design) -> Inference:
    latency = _median(runner.latencies_s)
    energies_j, net_j = runner.per_inference("energy_j"), runner.per_inference("net_energy_j")
    energy = None if energies_j is None else _median(energies_j)
    methods = dict.fromkeys(reading.method or "unknown" for reading in runner.readings)
    source = runner.readings[-1].source
    if len(methods) > 1:
        source = f"not one method throughout ({', '.join(methods)}), the last: {source}"
    names = dict.fromkeys(type(scheme).__name__.lower() for _, scheme in design.schemes)
    kernel = f"torch {torch.__version__} float32 on the CPU"
    return Inference(
        kernel=f"{kernel}, simulating {' and '.join(names)} layers" if names else kernel,
        arithmetic="simulated" if names else "float32",
        latency_s=latency.median,
        latency_interval_s=(latency.low, latency.high),
        latency_half_width=latency.half_width,
        energy_j=None if energy is None else energy.median,
        energy_interval_j=None if energy is None else _widened(energy, runner.readings),
        energy_half_width=None if energy is None else energy.half_width,
        net_energy_j=None if net_j is None else _median(net_j).median,
        energy_provenance=runner.readings[-1].provenance,
        energy_source=source,
    )


def _widened(energy: Repeats, readings: list[Reading]) -> tuple[float, float] | None:
    """The interval of the repeats, times what the method itself leaves open."""
    ends = [
        (r.interval_j[0] / r.energy_j, r.interval_j[1] / r.energy_j) for r in readings if r.interval_j and r.energy_j
    ]
    return energy.scaled(min(low for low, _ in ends), max(high for _, high in ends)) if ends else None


def _median(values: list[float]) -> Repeats:
    found = repeats(values)
    assert found is not None, "six windows were run"
    return found


def _reference(artifact: Artifact) -> nn.Module:
    channels, size, _ = artifact.description["shape"]
    return build_network(
        Design(artifact.design.backbone), ImageShape(len(artifact.description["classes"]), channels, size)
    )


def _images(artifact: Artifact, data: DataChoice | None) -> tuple[Tensor, ...]:
    """A few images, each a batch of its own, normalised as in the training."""
    shape = tuple(artifact.description["shape"])
    if data is None:
        batch = torch.randn(_IMAGES, *shape, generator=torch.Generator().manual_seed(0))
    else:
        dataset = resized(load_dataset(data.name, data.folder), artifact.design.resolution)
        images = dataset.test_images[:_IMAGES]
        if tuple(images.shape[1:]) != shape:
            raise InputError(f"measure: made for {artifact.description['data']} images, which {data.name}'s are not")
        batch = normalise(images, artifact.description["mean"], artifact.description["std"], torch.float32)
    return tuple(_single(batch))


def _single(batch: Tensor) -> Iterator[Tensor]:
    for image in batch:
        yield image.unsqueeze(0).contiguous(memory_format=torch.channels_last)
