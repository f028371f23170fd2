"""The meter of this host: the best that its counters, and other processes that hold them, allow.

One meter per run of a search counts the machine, claims its counters and keeps them. Its workers' meters take their
own shares, by CPU time, and the GPU only where they are alone on it. Without a counter, or while another
greenshift process holds it, CPU time x watts stands in, and the source says so.
"""

from dataclasses import replace
from types import TracebackType

from greenshift.energy.claim import Claim, claim_counters
from greenshift.energy.meters import CpuTimeMeter, Meter
from greenshift.energy.nvml import NvmlMeter, UncountedGpu, gpu_present, nvml_probe
from greenshift.energy.rapl import RaplMeter, rapl_probe
from greenshift.energy.reading import Reading, side_by_side
from greenshift.energy.share import ShareMeter
from greenshift.errors import InputError


class HostMeter:
    """Processor by counter or by CPU time, whichever works, and the GPU beside it."""

    def __init__(
        self,
        cpu: Meter,
        counter: Meter | None = None,
        gpu: Meter | None = None,
        *,
        note: str | None = None,
        claim: Claim | None = None,
    ) -> None:
        """Make a meter of meters.

        Args:
            cpu: Estimates the processor's energy; it always works.
            counter: Counts it, or None.
            gpu: Counts a GPU, or None. Where it fails, the GPU is left out of the coverage and the source says why.
            note: Why there is no counter although the machine has one, or None.
            claim: What the counter is read under; it is kept as long as the meter.
        """
        self._cpu = cpu
        self._counter = counter
        self._gpu = gpu
        self._note = note
        self._claim = claim

    def start(self) -> None:
        """Begin an interval."""
        for meter in (self._cpu, self._counter, self._gpu):
            if meter is not None:
                meter.start()

    def stop(self) -> Reading:
        """End the interval."""
        processor = self._processor()
        if self._gpu is None:
            return processor
        gpu = self._gpu.stop()
        if gpu.energy_j is None:
            return replace(processor, source=f"{processor.source} | GPU not counted: {gpu.source}")
        return side_by_side(processor, gpu)

    def _processor(self) -> Reading:
        estimate = self._cpu.stop()
        if self._counter is not None:
            counted = self._counter.stop()
            if counted.energy_j is not None:
                return counted
            return replace(estimate, source=f"{estimate.source}, instead of {counted.source}")
        return estimate if self._note is None else replace(estimate, source=f"{estimate.source}; {self._note}")


def best_meter(
    watts_per_core: float | None = None,
    *,
    children: bool = True,
    contiguous: bool = False,
    idle_w: float | None = None,
) -> Meter:
    """Return the best meter that this machine has for this process.

    The processor's counters are attributed to this process by its share of the machine's CPU time, as long
    as no other greenshift process holds them; a GPU counts where this process is alone on it. Without
    counters, CPU time is charged at assumed watts.

    Args:
        watts_per_core: Power of one busy hardware thread for CPU time, or None for the default.
        children: Count child processes too.
        contiguous: True if every interval begins where the last one ended and only their sum counts.
        idle_w: Power of the counted parts while the machine idles (`idle_power_w`), or None if it is not known.

    Raises:
        InputError: If a power is negative.
    """
    cpu = CpuTimeMeter(watts_per_core, children=children)
    gpu = _gpu_meter(children, contiguous)
    if not rapl_probe().available:
        return cpu if gpu is None else HostMeter(cpu, gpu=gpu)
    claim = claim_counters()
    if isinstance(claim, str):
        return HostMeter(cpu, gpu=gpu, note=f"RAPL is not counted: {claim}")
    try:
        counter = RaplMeter(children=children, contiguous=contiguous, idle_w=idle_w)
    except InputError as error:  # it went away since it was probed
        return HostMeter(cpu, gpu=gpu, note=str(error))
    return HostMeter(cpu, ShareMeter(counter, contiguous=contiguous), gpu, claim=claim)


def session_meter(watts_per_core: float | None = None) -> Meter:
    """Return the meter of a whole run of a search, whose intervals follow each other.

    Args:
        watts_per_core: As for `best_meter`.

    Raises:
        InputError: If the power is negative.
    """
    return best_meter(watts_per_core, contiguous=True)


def _gpu_meter(children: bool, contiguous: bool) -> Meter | None:
    probe = nvml_probe()
    if not probe.available:
        return UncountedGpu(probe.reason) if gpu_present() else None
    try:
        return NvmlMeter(children=children, contiguous=contiguous)
    except InputError as error:
        return UncountedGpu(str(error))


class Metered:
    """A `with` block whose consumption is metered; see `meter`."""

    def __init__(self, instrument: Meter) -> None:
        """Wrap a meter."""
        self._instrument = instrument
        self._reading: Reading | None = None

    def __enter__(self) -> "Metered":
        """Start the meter."""
        self._instrument.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Stop the meter, also if the block failed: what failed work consumed is consumed."""
        self._reading = self._instrument.stop()

    @property
    def reading(self) -> Reading:
        """What the block consumed.

        Raises:
            RuntimeError: If the block has not ended.
        """
        if self._reading is None:
            raise RuntimeError("meter: there is no reading before the block has ended")
        return self._reading


def meter(watts_per_core: float | None = None, *, children: bool = True, instrument: Meter | None = None) -> Metered:
    """Make a `with` block whose consumption is metered.

    `with meter() as m: ...` runs the block; `m.reading` is there once it has ended, also if it failed.

    Args:
        watts_per_core: As for `best_meter`.
        children: As for `best_meter`.
        instrument: The meter to use instead of the best one.

    Raises:
        InputError: If the power is negative.
    """
    return Metered(best_meter(watts_per_core, children=children) if instrument is None else instrument)
