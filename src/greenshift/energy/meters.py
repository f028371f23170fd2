"""Meters that need no counter: CPU time, of processes or of a control group; none at all; recorded readings."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from greenshift.energy.clocks import ControlGroup, Interval, control_group, process_clock
from greenshift.energy.reading import Reading, spread
from greenshift.errors import InputError

DEFAULT_WATTS_PER_CORE = 4.0
_DEFAULT_SOURCE = "4 W per hardware thread, as CodeCarbon 3.3 assumes for an unknown server CPU"

# Estimators that know their CPU err by up to 40 % against meters (Fischer 2025, arXiv 2509.22092).
_GIVEN_FACTOR = 1.4
# Assumption: busy hardware threads of servers, desktops and small boards take some 1.3 to 12 W.
_DEFAULT_FACTOR = 3.0


class Meter(Protocol):
    """Measures intervals that do not overlap; may be started again after a stop."""

    def start(self) -> None:
        """Begin an interval.

        Raises:
            RuntimeError: If an interval has begun already.
        """
        ...

    def stop(self) -> Reading:
        """End the interval and return what it consumed.

        Raises:
            RuntimeError: If no interval has begun.
        """
        ...


@dataclass(frozen=True)
class CpuPower:
    """Power by which CPU time and elapsed time become energy.

    Attributes:
        watts_per_core: Power of one busy hardware thread, or None for 4 W, which CodeCarbon assumes for a CPU
            that it does not know.
        idle_watts: Power of the machine while it idles, as far as the metered process answers for it.
    """

    watts_per_core: float | None = None
    idle_watts: float = 0.0

    def __post_init__(self) -> None:
        """Check the values."""
        for name, watts in (("watts_per_core", self._per_core), ("idle_watts", self.idle_watts)):
            if not watts >= 0:
                raise InputError(f"meter: {name} must be at least 0 W, not {watts}")

    @property
    def _per_core(self) -> float:
        return DEFAULT_WATTS_PER_CORE if self.watts_per_core is None else self.watts_per_core

    def reading(self, wall_s: float, cpu_s: float, covered: str, method: str) -> Reading:
        """Return the estimate for an interval.

        Args:
            wall_s: Elapsed time.
            cpu_s: CPU time.
            covered: Whose CPU time it is.
            method: Name of the method.
        """
        given = self.watts_per_core is not None
        per_core = f"{self.watts_per_core:g} W per hardware thread, as given" if given else _DEFAULT_SOURCE
        idle = f", and {self.idle_watts:g} W idle" if self.idle_watts else ""
        net_j = cpu_s * self._per_core
        energy_j = net_j + wall_s * self.idle_watts
        return Reading(
            wall_s,
            cpu_s,
            energy_j,
            "estimated",
            f"CPU time of {covered} x {per_core}{idle}",
            ("cpu",),
            method,
            spread(energy_j, _GIVEN_FACTOR if given else _DEFAULT_FACTOR),
            net_j if self.idle_watts else None,  # watts without an idle part may have it in them
        )


class CpuTimeMeter:
    """Estimates energy as CPU time times assumed watts, plus elapsed time times idle watts.

    Counts the CPU time of all threads of this process and, if asked, of its children: of those that ended and
    were waited for, and of worker processes that still run. Work of neighbours does not count, but one on the
    other hardware thread of the same core slows this process down and so adds to its CPU time.
    """

    def __init__(self, watts_per_core: float | None = None, idle_watts: float = 0.0, *, children: bool = True) -> None:
        """Make a meter.

        Args:
            watts_per_core: As for `CpuPower`.
            idle_watts: As for `CpuPower`.
            children: Count child processes too.

        Raises:
            InputError: If a power is negative.
        """
        self._power = CpuPower(watts_per_core, idle_watts)
        self._interval = Interval(process_clock(children))
        self._covered = "this process and its children" if children else "this process"

    def start(self) -> None:
        """Begin an interval."""
        self._interval.begin()

    def stop(self) -> Reading:
        """End the interval; the reading is labelled `estimated`."""
        wall_s, cpu_s = self._interval.end()
        return self._power.reading(wall_s, cpu_s, self._covered, "cpu-time")


class CgroupMeter:
    """Estimates energy from the CPU time of this process's control group.

    The kernel's account keeps children that died, waited for or not. It holds everything that is in the
    group, so it is for a job that has a group to itself (a container, a systemd unit, a SLURM step).
    """

    def __init__(
        self,
        watts_per_core: float | None = None,
        idle_watts: float = 0.0,
        *,
        group: ControlGroup | None = None,
    ) -> None:
        """Make a meter.

        Args:
            watts_per_core: As for `CpuPower`.
            idle_watts: As for `CpuPower`.
            group: The control group; the one of this process if left out.

        Raises:
            InputError: If a power is negative, or this process has no control group with an account.
        """
        self._power = CpuPower(watts_per_core, idle_watts)
        self._group = control_group() if group is None else group
        self._interval = Interval(self._cpu_s)
        self._last_s = 0.0
        self._failure: str | None = None

    def start(self) -> None:
        """Begin an interval; an account that cannot be read shows in the reading."""
        self._interval.begin()

    def stop(self) -> Reading:
        """End the interval; the reading is labelled `estimated`."""
        wall_s, cpu_s = self._interval.end()
        reading = self._power.reading(wall_s, cpu_s, f"the control group {self._group.name}", "cgroup")
        failure, self._failure = self._failure, None
        if failure is None:
            return reading
        lost = reading.failed(failure)
        return Reading(wall_s, None, None, lost.provenance, lost.source, lost.coverage, lost.method)

    def _cpu_s(self) -> float:
        try:
            self._last_s = self._group.cpu_s()
        except (OSError, ValueError, KeyError) as error:
            self._failure = f"its account cannot be read ({error})"
        return self._last_s


class NullMeter:
    """Measures times only; its readings say that the energy is not known."""

    def __init__(self, *, children: bool = True) -> None:
        """Make a meter.

        Args:
            children: Count the CPU time of child processes too.
        """
        self._interval = Interval(process_clock(children))

    def start(self) -> None:
        """Begin an interval."""
        self._interval.begin()

    def stop(self) -> Reading:
        """End the interval; the energy is None."""
        wall_s, cpu_s = self._interval.end()
        return Reading(wall_s, cpu_s, None, "estimated", "none: energy was not metered", (), "none")


class ReplayMeter:
    """Gives recorded readings, one per interval, in their order."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        """Make a meter from the readings to give."""
        self._readings = list(readings)
        self._interval = Interval(process_clock(children=False))

    def start(self) -> None:
        """Begin an interval.

        Raises:
            RuntimeError: If no reading is left.
        """
        if not self._readings:
            raise RuntimeError("replay meter: no recorded reading is left")
        self._interval.begin()

    def stop(self) -> Reading:
        """End the interval and return the next recorded reading."""
        self._interval.end()
        return self._readings.pop(0)
