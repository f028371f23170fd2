"""CPU time: of this process and its children, of a control group, of the whole machine; and one metered interval."""

import contextlib
import multiprocessing
import os
import resource
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from greenshift.energy.probe import Probe
from greenshift.errors import InputError

CpuClock = Callable[[], float]

PROC_STAT = Path("/proc/stat")
CGROUPS = Path("/sys/fs/cgroup")
MEMBERSHIP = Path("/proc/self/cgroup")


def own_cpu_s() -> float:
    """CPU time of all threads of this process."""
    return _seconds(resource.RUSAGE_SELF)


def family_cpu_s() -> float:
    """CPU time of this process, of its finished and waited-for children, and of its running worker processes.

    Running children count only if `multiprocessing` started them; others count once they have ended.
    """
    while True:
        finished_s = _seconds(resource.RUSAGE_CHILDREN)
        running_s = _running_workers_s()
        # A worker that ends meanwhile moves from one sum to the other: look again until none does.
        if _seconds(resource.RUSAGE_CHILDREN) == finished_s:
            return own_cpu_s() + finished_s + running_s


def _running_workers_s() -> float:
    workers = multiprocessing.active_children()
    if not workers:
        return 0.0
    import psutil

    seconds = 0.0
    for worker in workers:
        with contextlib.suppress(psutil.NoSuchProcess):
            seconds += sum(psutil.Process(worker.pid).cpu_times()[:4])  # user and system, its own and its children's
    return seconds


def _seconds(who: int) -> float:
    usage = resource.getrusage(who)
    return usage.ru_utime + usage.ru_stime


def machine_busy_s(stat: Path = PROC_STAT) -> float:
    """CPU time that all processes of the machine have used since it started, in steps of a clock tick.

    Args:
        stat: The kernel's account.

    Raises:
        OSError: If it cannot be read.
        ValueError: If it is not what it should be.
    """
    name, *ticks = stat.read_text().split("\n", 1)[0].split()
    if name != "cpu" or len(ticks) < 4:
        raise ValueError(f"{stat} does not begin with the CPU times of the machine")
    user, nice, system, _idle, _waiting, *more = [*map(int, ticks), 0]
    return (user + nice + system + sum(more[:3])) / os.sysconf("SC_CLK_TCK")  # interrupts and stolen time are busy


@dataclass(frozen=True)
class ControlGroup:
    """The control group of this process, whose account keeps the CPU time of children that died.

    Attributes:
        file: File with the CPU time of everything that is or was in the group.
        name: Path of the group below the root group.
    """

    file: Path
    name: str

    def cpu_s(self) -> float:
        """CPU time of the group.

        Raises:
            OSError: If the account cannot be read.
            ValueError: If it is not what it should be.
        """
        text = self.file.read_text()
        if self.file.name == "cpu.stat":  # version 2: lines of a name and microseconds
            return int(dict(line.split() for line in text.splitlines())["usage_usec"]) / 1e6
        return int(text) / 1e9


def control_group(root: Path = CGROUPS, membership: Path = MEMBERSHIP) -> ControlGroup:
    """Find this process's control group: of version 2 if its account can be read there, else of version 1.

    Args:
        root: Where the control groups are mounted.
        membership: The kernel's list of this process's groups.

    Raises:
        InputError: If there is none with an account of CPU time.
    """
    try:
        rows = [line.split(":", 2) for line in membership.read_text().splitlines()]
    except OSError as error:
        raise InputError(f"control group: {membership} cannot be read ({error.strerror})") from error
    groups = {controllers: name for _, controllers, name in rows}
    candidates = []
    if "" in groups:
        inner = groups[""].strip("/")
        candidates += [(mount / inner / "cpu.stat", groups[""]) for mount in (root, root / "unified")]
    for controllers, name in groups.items():
        if "cpuacct" in controllers.split(","):
            mounts = (root / controllers, root / "cpuacct")
            candidates += [(mount / name.strip("/") / "cpuacct.usage", name) for mount in mounts]
    for file, name in candidates:
        group = ControlGroup(file, name)
        with contextlib.suppress(OSError, ValueError, KeyError):
            group.cpu_s()
            return group
    raise InputError(f"control group: none of this process under {root} accounts for CPU time")


def cgroup_probe(root: Path = CGROUPS, membership: Path = MEMBERSHIP) -> Probe:
    """Say whether the CPU time of this process's control group can be read, and what else is in it."""
    try:
        group = control_group(root, membership)
    except InputError as error:
        return Probe(False, str(error))
    whole = ", the root group: it holds everything that runs here" if group.name == "/" else ""
    return Probe(True, f"{group.file} of {group.name}{whole}")


class Interval:
    """A stopwatch for elapsed time and CPU time that knows whether it runs."""

    def __init__(self, cpu_clock: CpuClock) -> None:
        """Make a stopped stopwatch.

        Args:
            cpu_clock: Gives the CPU time that counts.
        """
        self._cpu_clock = cpu_clock
        self._begun: tuple[float, float] | None = None

    def begin(self) -> None:
        """Start.

        Raises:
            RuntimeError: If it runs already.
        """
        if self._begun is not None:
            raise RuntimeError("meter: started twice without a stop")
        self._begun = (time.monotonic(), self._cpu_clock())

    def end(self) -> tuple[float, float]:
        """Stop and return the elapsed seconds and the CPU seconds.

        Raises:
            RuntimeError: If it does not run.
        """
        if self._begun is None:
            raise RuntimeError("meter: stopped before it was started")
        begun, self._begun = self._begun, None
        return time.monotonic() - begun[0], max(0.0, self._cpu_clock() - begun[1])


def process_clock(children: bool) -> CpuClock:
    """Return the clock of this process, with or without its children."""
    return family_cpu_s if children else own_cpu_s
