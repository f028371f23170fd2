"""A process's share of the machine's counter, by CPU time: what each takes is nobody else's."""

from dataclasses import replace
from pathlib import Path

from greenshift.energy.clocks import PROC_STAT, machine_busy_s
from greenshift.energy.meters import Meter
from greenshift.energy.reading import Reading, in_sequence, spread

# The kernel counts the machine's CPU time in clock ticks of 10 ms; 20 of them keep a missed one at each end to a tenth.
_MIN_WINDOW_S = 0.2
# Assumption: energy follows CPU time within a quarter. METRION attributes to threads within 4.2 % (arXiv 2512.06806),
# but by instructions, not by time.
_FACTOR = 1.25


class ShareMeter:
    """Attributes a counter of the whole machine to this process by its share of the CPU time that was used.

    `energy = counter x cpu_s / busy_s`, idle energy in the same proportion. So meters of processes side by side
    share the machine's joules between them, and never count one twice. The result is labelled `estimated`.
    """

    def __init__(self, counter: Meter, *, contiguous: bool = False, stat: Path = PROC_STAT) -> None:
        """Make a meter.

        Args:
            counter: A meter of the whole machine with the CPU time of this process; made with
                `contiguous=True` if this one is.
            contiguous: True if every interval begins where the last one ended and only their sum counts:
                what is too short to be shared out goes to the next interval.
            stat: The kernel's account of the machine's CPU time.
        """
        self._counter = counter
        self._contiguous = contiguous
        self._stat = stat
        self._busy_s: float | None = None
        self._pending: Reading | None = None
        self._pending_busy_s = 0.0
        self._failure: str | None = None

    def start(self) -> None:
        """Begin an interval; what cannot be read shows in the reading."""
        self._counter.start()
        self._failure = None
        self._busy_s = self._look()

    def stop(self) -> Reading:
        """End the interval; the reading is labelled `estimated`."""
        lap, begun_s, ended_s = self._counter.stop(), self._busy_s, self._look()
        if begun_s is None or ended_s is None:
            return self._share(lap, 0.0).failed(f"the machine's CPU time: {self._failure}")
        if lap.energy_j is None or lap.cpu_s is None:
            return self._share(lap, 0.0)
        if not self._contiguous:
            shared = self._share(lap, ended_s - begun_s)
            short = f"an interval under {_MIN_WINDOW_S:g} s is too short for a share by clock ticks"
            return shared.failed(short) if lap.wall_s < _MIN_WINDOW_S else shared
        return self._settled(lap, ended_s - begun_s)

    def _settled(self, lap: Reading, busy_s: float) -> Reading:
        """Share out what has come together, or keep it for later while it is too short."""
        together = lap if self._pending is None else in_sequence(self._pending, lap)
        self._pending_busy_s += busy_s
        if together.wall_s < _MIN_WINDOW_S:
            self._pending = together
            return replace(self._share(replace(lap, energy_j=0.0, net_energy_j=None), 0.0), interval_j=(0.0, 0.0))
        shared = self._share(together, self._pending_busy_s)
        self._pending, self._pending_busy_s = None, 0.0
        return replace(shared, wall_s=lap.wall_s, cpu_s=lap.cpu_s)

    def _share(self, whole: Reading, busy_s: float) -> Reading:
        cpu_s = whole.cpu_s or 0.0
        share = cpu_s / max(busy_s, cpu_s) if cpu_s else 0.0
        energy_j = None if whole.energy_j is None else whole.energy_j * share
        return replace(
            whole,
            energy_j=energy_j,
            net_energy_j=None if whole.net_energy_j is None else whole.net_energy_j * share,
            interval_j=None if energy_j is None else spread(energy_j, _FACTOR),
            provenance="estimated",
            method=f"{whole.method}-share",
            source=f"{whole.source}, by this process's share of the machine's CPU time",
        )

    def _look(self) -> float | None:
        try:
            return machine_busy_s(self._stat)
        except (OSError, ValueError) as error:
            self._failure = str(error)
            return None
