"""Intel and AMD energy counters through the Linux powercap files."""

import time
from dataclasses import dataclass
from pathlib import Path

from greenshift.energy.clocks import Interval, process_clock
from greenshift.energy.probe import Probe
from greenshift.energy.reading import Reading, spread
from greenshift.energy.watch import Watch
from greenshift.errors import InputError

POWERCAP = Path("/sys/class/powercap")

# The smallest counters hold 65.5 kJ: at 500 W they wrap after two minutes, so a wrap is never missed.
_POLL_S = 30.0
# The counters move about once a millisecond (Intel SDM volume 3, "RAPL interfaces").
_UPDATE_S = 1e-3
# One step may be missed at either end: with 20 of them that is at most a tenth.
_MIN_WINDOW_S = 20 * _UPDATE_S
# Assumption: the counters follow an external meter within a tenth.
UNCERTAINTY_FACTOR = 1.1


@dataclass(frozen=True)
class _Zone:
    """One counter: its folder, what it counts and the value at which it starts again."""

    folder: Path
    name: str
    range_uj: int

    def read_uj(self) -> int:
        return int((self.folder / "energy_uj").read_text())


def rapl_probe(root: Path = POWERCAP) -> Probe:
    """Say whether RAPL counters can be read, and if not, why.

    Args:
        root: The powercap folder.
    """
    if not root.is_dir():
        return Probe(False, f"{root} does not exist (virtual machine, container or no Linux on x86)")
    folders = _folders(root)
    if not folders:
        return Probe(False, f"{root} has no intel-rapl package zone")
    try:
        zones = [_zone(folder) for folder in folders]
        for zone in zones:
            zone.read_uj()
    except PermissionError as error:
        return Probe(False, f"{error.filename} is readable by root only; sudo chmod a+r on it opens it")
    except (OSError, ValueError) as error:
        return Probe(False, f"a counter under {root} cannot be read: {error}")
    return Probe(True, f"counters {', '.join(zone.name for zone in zones)}")


class RaplMeter:
    """Measures the processor packages, and the memory where it has counters, of the whole machine.

    The counters include everything that runs beside this process. They wrap, so a thread reads them
    every half minute while an interval runs. A counter that can no longer be read, that stands still, or
    whose steps are too coarse for the interval makes the energy None, with the reason in the source.
    """

    def __init__(
        self,
        root: Path = POWERCAP,
        *,
        children: bool = True,
        poll_s: float = _POLL_S,
        contiguous: bool = False,
        idle_w: float | None = None,
    ) -> None:
        """Find the counters.

        Args:
            root: The powercap folder.
            children: Count child processes in `cpu_s` too.
            poll_s: Seconds between two looks at the counters.
            contiguous: True if every interval begins where the last one ended and only their sum counts:
                then none is too short, as what one of them misses the next one has.
            idle_w: Power of the counted parts while the machine idles, or None if it is not known.

        Raises:
            InputError: If there are no counters or they cannot be read, or the idle power is negative.
        """
        probe = rapl_probe(root)
        if not probe.available:
            raise InputError(f"RAPL: {probe.reason}")
        if idle_w is not None and not idle_w >= 0:
            raise InputError(f"RAPL: idle power must be at least 0 W, not {idle_w}")
        self._zones = [_zone(folder) for folder in _folders(root)]
        self._interval = Interval(process_clock(children))
        self._watch = Watch(self._sample, poll_s, "rapl")
        self._min_window_s = 0.0 if contiguous else _MIN_WINDOW_S
        self._idle_w = idle_w
        self._last_uj: list[int] = []
        self._energy_uj = 0
        self._failure: str | None = None

    def start(self) -> None:
        """Begin an interval; a counter that cannot be read shows in the reading."""
        self._interval.begin()
        self._energy_uj, self._failure, self._last_uj = 0, None, []
        self._watch.begin()

    def stop(self) -> Reading:
        """End the interval; the reading is labelled `measured`."""
        wall_s, cpu_s = self._interval.end()
        self._watch.end()
        names = [zone.name for zone in self._zones]
        source = f"RAPL counters {', '.join(names)} of the whole machine"
        coverage = ("cpu", "ram") if any(name.endswith("dram") for name in names) else ("cpu",)
        energy_j = self._energy_uj / 1e6
        interval_j = spread(energy_j, UNCERTAINTY_FACTOR, energy_j * min(1.0, _UPDATE_S / wall_s))
        net_j = None if self._idle_w is None else max(0.0, energy_j - self._idle_w * wall_s)
        reading = Reading(wall_s, cpu_s, energy_j, "measured", source, coverage, "rapl", interval_j, net_j)
        failure = self._failure or self._refusal(wall_s)
        return reading if failure is None else reading.failed(failure)

    def _refusal(self, wall_s: float) -> str | None:
        if wall_s < self._min_window_s:
            return f"an interval under {self._min_window_s:g} s is too short for counters that move once a millisecond"
        if wall_s >= _MIN_WINDOW_S and not self._energy_uj:
            return "the counters stand still"
        return None

    def _sample(self) -> None:
        if self._failure is not None:
            return
        try:
            now = [zone.read_uj() for zone in self._zones]
        except (OSError, ValueError) as error:
            self._failure = str(error)
            return
        # The kernel's range is the largest value, so a wrap goes from it to zero.
        for zone, last, value in zip(self._zones, self._last_uj or now, now, strict=True):
            self._energy_uj += value - last if value >= last else value - last + zone.range_uj + 1
        self._last_uj = now


def idle_power_w(seconds: float = 5.0, root: Path = POWERCAP) -> float | None:
    """Measure the power of the counted parts while this process sleeps; what neighbours do meanwhile is in it.

    Args:
        seconds: How long to sleep.
        root: The powercap folder.

    Returns:
        The power, or None if the counters cannot be read or the time is too short for them.

    Raises:
        InputError: If there are no counters.
    """
    meter = RaplMeter(root)
    meter.start()
    time.sleep(seconds)
    reading = meter.stop()
    return None if reading.energy_j is None else reading.energy_j / reading.wall_s


def _folders(root: Path) -> list[Path]:
    """Zones that add up: packages, and DRAM inside them; cores are in the package, psys holds it again."""
    packages = [folder for folder in sorted(root.glob("intel-rapl:*")) if folder.name.count(":") == 1]
    packages = [folder for folder in packages if _name(folder).startswith("package")]
    memory = [inner for folder in packages for inner in sorted(root.glob(f"{folder.name}:*")) if _name(inner) == "dram"]
    return packages + memory


def _zone(folder: Path) -> _Zone:
    name = _name(folder)
    label = name if name.startswith("package") else f"{folder.name.split(':')[1]}-{name}"
    return _Zone(folder, label, int((folder / "max_energy_range_uj").read_text()))


def _name(folder: Path) -> str:
    try:
        return (folder / "name").read_text().strip()
    except OSError:
        return ""
