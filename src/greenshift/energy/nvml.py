"""NVIDIA GPUs through their management library: the energy counter, or power samples where there is none."""

import os
import time
from pathlib import Path
from typing import Any

from greenshift.energy.clocks import Interval, process_clock
from greenshift.energy.probe import Probe
from greenshift.energy.reading import Reading, spread
from greenshift.energy.watch import Watch
from greenshift.errors import InputError

DEVICES = Path("/dev")

# Power and energy move about every 100 ms (Zeus; Yang et al., SC'24, arXiv 2312.02741).
_UPDATE_S = 0.1
# One step may be missed at either end: with 20 of them that is at most a tenth.
_MIN_WINDOW_S = 20 * _UPDATE_S
# Assumption: wide, as the sensors of an A100 or H100 see a quarter of the time (arXiv 2312.02741).
UNCERTAINTY_FACTOR = 1.25


def nvml_probe() -> Probe:
    """Say whether NVIDIA's management library answers, and for which GPUs."""
    try:
        import pynvml
    except ImportError:
        return Probe(False, "the package nvidia-ml-py is not installed: pip install 'greenshift[nvml]'")
    try:
        pynvml.nvmlInit()
    except pynvml.NVMLError as error:
        return Probe(False, f"NVML does not start: {error}")
    try:
        handles = [pynvml.nvmlDeviceGetHandleByIndex(i) for i in range(pynvml.nvmlDeviceGetCount())]
        names = [_text(pynvml.nvmlDeviceGetName(handle)) for handle in handles]
    except pynvml.NVMLError as error:
        return Probe(False, f"NVML does not list its GPUs: {error}")
    finally:
        pynvml.nvmlShutdown()
    return Probe(True, ", ".join(names)) if names else Probe(False, "NVML finds no GPU")


def gpu_present(devices: Path = DEVICES) -> bool:
    """Say whether an NVIDIA GPU was given to this machine or container, whatever its library says.

    Args:
        devices: Folder of the device files.
    """
    return any(devices.glob("nvidia[0-9]*"))


def usable_gpu_probe() -> Probe:
    """Say whether this process could count the GPU that it would use, which may be a slice of one or hidden from it."""
    probe = nvml_probe()
    if not probe.available:
        return probe
    try:
        meter = NvmlMeter()
    except InputError as error:
        return Probe(False, f"{probe.reason} is there, but {error}")
    return meter.probe()


class UncountedGpu:
    """Stands for a GPU that is there and cannot be counted, so that readings say so."""

    def __init__(self, reason: str) -> None:
        """Keep why."""
        self._reason = reason
        self._interval = Interval(process_clock(children=False))

    def start(self) -> None:
        """Begin an interval."""
        self._interval.begin()

    def stop(self) -> Reading:
        """End the interval; the energy is None."""
        wall_s, cpu_s = self._interval.end()
        return Reading(wall_s, cpu_s, None, "measured", self._reason, (), "none")


class _Trace:
    """What was seen of the GPU in one interval."""

    def __init__(self) -> None:
        self.energy_j = 0.0
        self.power: tuple[float, float] | None = None  # when in s, and W
        self.counter_mj: int | None = None
        self.on_it = False
        self.others: set[int] = set()
        self.failure: str | None = None


class NvmlMeter:
    """Measures one GPU, for as long as this process and its children are alone on it.

    Energy comes from the GPU's counter, which the Volta generation and later ones have, or from power sampled
    every tenth of a second. If another process was seen on the GPU the energy is None: its share cannot be
    told. So it is if this process was not on it: an idle GPU is nobody's. Inside a container with process
    numbers of its own, this process's own work looks like another's and is refused.
    """

    def __init__(
        self,
        gpu: str | None = None,
        *,
        children: bool = True,
        contiguous: bool = False,
        idle_w: float | None = None,
        period_s: float = _UPDATE_S,
    ) -> None:
        """Open the library.

        Args:
            gpu: Index or UUID of the GPU; the first of CUDA_VISIBLE_DEVICES, or 0, if left out.
            children: Child processes may be on the GPU as well, and count in `cpu_s`.
            contiguous: True if every interval begins where the last one ended and only their sum counts:
                then none is too short, as what one of them misses the next one has.
            idle_w: Power of the GPU while it idles, or None if it is not known.
            period_s: Seconds between two looks at the GPU.

        Raises:
            InputError: If there is no such GPU, or NVML is missing or does not start, or the idle power is negative.
        """
        probe = nvml_probe()
        if not probe.available:
            raise InputError(f"NVML: {probe.reason}")
        if idle_w is not None and not idle_w >= 0:
            raise InputError(f"NVML: idle power must be at least 0 W, not {idle_w}")
        import pynvml

        self._nvml: Any = pynvml
        self._children = children
        self._min_window_s = 0.0 if contiguous else _MIN_WINDOW_S
        self._idle_w = idle_w
        self._interval = Interval(process_clock(children))
        self._watch = Watch(self._sample, period_s, "nvml")
        self._trace = _Trace()
        chosen = _first_visible() if gpu is None else gpu
        pynvml.nvmlInit()  # stays open: handles are good for as long as the library is
        try:
            self._handle = _handle(pynvml, chosen)
            self._name = _text(pynvml.nvmlDeviceGetName(self._handle))
            self._counts = self._has_counter()
        except pynvml.NVMLError as error:
            raise InputError(f"NVML: GPU {chosen} cannot be used: {error}") from error

    def probe(self) -> Probe:
        """Say whether the GPU gives an energy or a power, which a slice of one does not."""
        read = self._nvml.nvmlDeviceGetTotalEnergyConsumption if self._counts else self._nvml.nvmlDeviceGetPowerUsage
        try:
            read(self._handle)
        except self._nvml.NVMLError as error:
            return Probe(False, f"{self._name} gives neither energy nor power: {error}")
        return Probe(True, f"{self._name}, by its {'energy counter' if self._counts else 'power'}")

    def start(self) -> None:
        """Begin an interval; whatever cannot be read shows in the reading."""
        self._interval.begin()
        self._trace = _Trace()
        self._watch.begin()

    def stop(self) -> Reading:
        """End the interval; the reading is labelled `measured`."""
        wall_s, cpu_s = self._interval.end()
        self._watch.end()
        trace = self._trace
        how = "energy counter" if self._counts else "power samples integrated over time"
        net_j = None if self._idle_w is None else max(0.0, trace.energy_j - self._idle_w * wall_s)
        step_j = trace.energy_j * min(1.0, _UPDATE_S / wall_s)
        reading = Reading(
            wall_s,
            cpu_s,
            trace.energy_j,
            "measured",
            f"NVML {how} of {self._name}",
            ("gpu",),
            "nvml" if self._counts else "nvml-power",
            spread(trace.energy_j, UNCERTAINTY_FACTOR, step_j),
            net_j,
        )
        failure = trace.failure or self._refusal(wall_s)
        return reading if failure is None else reading.failed(failure)

    def _refusal(self, wall_s: float) -> str | None:
        if self._trace.others:
            others = ", ".join(map(str, sorted(self._trace.others)))
            return f"not alone on the GPU: process {others} was on it too"
        if not self._trace.on_it:
            return "this process was not on the GPU"
        if wall_s < self._min_window_s:
            return f"an interval under {self._min_window_s:g} s is too short for values that move every 0.1 s"
        if wall_s >= _MIN_WINDOW_S and not self._trace.energy_j:
            return "its value stands still"
        return None

    def _has_counter(self) -> bool:
        try:
            self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)
        except self._nvml.NVMLError:
            return False
        return True

    def _sample(self) -> None:
        trace = self._trace
        if trace.failure is not None:
            return
        try:
            self._count() if self._counts else self._integrate()
            found, own = self._on_the_gpu(), self._own()
            trace.others |= found - own
            trace.on_it |= bool(found & own)
        except self._nvml.NVMLError as error:
            trace.failure = f"it stopped answering ({error})"

    def _count(self) -> None:
        trace, now_mj = self._trace, self._nvml.nvmlDeviceGetTotalEnergyConsumption(self._handle)
        if trace.counter_mj is not None:
            if now_mj < trace.counter_mj:  # 64 bits of millijoules do not wrap: the driver was loaded anew
                trace.failure = "its counter started again"
                return
            trace.energy_j += (now_mj - trace.counter_mj) / 1e3
        trace.counter_mj = now_mj

    def _integrate(self) -> None:
        trace, power_w, now_s = self._trace, self._nvml.nvmlDeviceGetPowerUsage(self._handle) / 1e3, time.monotonic()
        if trace.power is not None:
            then_s, before_w = trace.power
            trace.energy_j += (before_w + power_w) / 2 * (now_s - then_s)
        trace.power = (now_s, power_w)

    def _on_the_gpu(self) -> set[int]:
        lists = (self._nvml.nvmlDeviceGetComputeRunningProcesses, self._nvml.nvmlDeviceGetGraphicsRunningProcesses)
        return {process.pid for running in lists for process in running(self._handle)}

    def _own(self) -> set[int]:
        if not self._children:
            return {os.getpid()}
        import psutil

        return {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}


def _first_visible() -> str:
    """Index or UUID of the GPU that CUDA gives this process first."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    first = "0" if visible is None else visible.split(",")[0].strip()
    if first in ("", "-1"):
        raise InputError("NVML: CUDA_VISIBLE_DEVICES hides every GPU from this process")
    return first


def _handle(pynvml: Any, gpu: str) -> Any:
    if gpu.isdigit():
        return pynvml.nvmlDeviceGetHandleByIndex(int(gpu))
    return pynvml.nvmlDeviceGetHandleByUUID(gpu.encode())


def _text(name: Any) -> str:
    return name.decode() if isinstance(name, bytes) else str(name)
