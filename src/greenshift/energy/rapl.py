"""Intel and AMD energy counters through the Linux powercap files."""

import threading
from dataclasses import dataclass
from pathlib import Path

from greenshift.energy.interval import Interval
from greenshift.energy.reading import Reading
from greenshift.errors import InputError

POWERCAP = Path("/sys/class/powercap")

# The smallest counters hold 65.5 kJ: at 500 W they wrap after two minutes, so a wrap is never missed.
_POLL_S = 30.0


@dataclass(frozen=True)
class Probe:
    """Whether something can be used here.

    Attributes:
        available: True if it can.
        reason: What is there, or what is missing and what to do about it.
    """

    available: bool
    reason: str


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
    every half minute while an interval runs. A counter that can no longer be read makes the energy None.
    """

    def __init__(self, root: Path = POWERCAP, *, children: bool = True, poll_s: float = _POLL_S) -> None:
        """Find the counters.

        Args:
            root: The powercap folder.
            children: Count finished child processes in `cpu_s` too.
            poll_s: Seconds between two looks at the counters.

        Raises:
            InputError: If there are no counters or they cannot be read.
        """
        probe = rapl_probe(root)
        if not probe.available:
            raise InputError(f"RAPL: {probe.reason}")
        self._zones = [_zone(folder) for folder in _folders(root)]
        self._interval = Interval(children)
        self._poll_s = poll_s
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None
        self._last_uj: list[int] = []
        self._energy_uj = 0
        self._failure: str | None = None

    def start(self) -> None:
        """Begin an interval; a counter that cannot be read shows in the reading."""
        self._interval.begin()
        self._energy_uj, self._failure, self._last_uj = 0, None, []
        self._sample()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._watch, args=(self._ended,), name="rapl", daemon=True)
        self._thread.start()

    def stop(self) -> Reading:
        """End the interval; the reading is labelled `measured`."""
        wall_s, cpu_s = self._interval.end()
        self._ended.set()
        self._sample()
        if self._thread is not None:
            self._thread.join()
        names = [zone.name for zone in self._zones]
        source = f"RAPL counters {', '.join(names)} of the whole machine"
        coverage = ("cpu", "ram") if any(name.endswith("dram") for name in names) else ("cpu",)
        if self._failure is not None:
            return Reading(wall_s, cpu_s, None, "measured", f"{source}; failed: {self._failure}", coverage)
        return Reading(wall_s, cpu_s, self._energy_uj / 1e6, "measured", source, coverage)

    def _watch(self, ended: threading.Event) -> None:
        while not ended.wait(self._poll_s):
            self._sample()

    def _sample(self) -> None:
        with self._lock:
            try:
                now = [zone.read_uj() for zone in self._zones]
            except (OSError, ValueError) as error:
                self._failure = str(error)
                return
            # The kernel's range is the largest value, so a wrap goes from it to zero.
            for zone, last, value in zip(self._zones, self._last_uj or now, now, strict=True):
                self._energy_uj += value - last if value >= last else value - last + zone.range_uj + 1
            self._last_uj = now


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
