"""Meters: started and stopped around work, they give a reading that says where it comes from."""

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol

from greenshift.energy.interval import Interval
from greenshift.energy.rapl import RaplMeter, rapl_probe
from greenshift.energy.reading import Reading
from greenshift.errors import InputError

DEFAULT_WATTS_PER_CORE = 4.0
_DEFAULT_SOURCE = "4 W per hardware thread, as CodeCarbon 3.3 assumes for an unknown server CPU"


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


class CpuTimeMeter:
    """Estimates energy as CPU time times assumed watts, plus elapsed time times idle watts.

    Counts the CPU time of all threads of this process and, if asked, of its child processes that ended and
    were waited for. A child that still runs counts once it has ended. Work of neighbours does not count.
    """

    def __init__(self, watts_per_core: float | None = None, idle_watts: float = 0.0, *, children: bool = True) -> None:
        """Make a meter.

        Args:
            watts_per_core: Power of one busy hardware thread, or None for 4 W, which CodeCarbon assumes for
                a CPU that it does not know.
            idle_watts: Power of the machine while it idles, as far as this process answers for it.
            children: Count finished child processes too.

        Raises:
            InputError: If a power is negative.
        """
        power = DEFAULT_WATTS_PER_CORE if watts_per_core is None else watts_per_core
        for name, watts in (("watts_per_core", power), ("idle_watts", idle_watts)):
            if not watts >= 0:
                raise InputError(f"meter: {name} must be at least 0 W, not {watts}")
        self._watts_per_core = power
        self._idle_watts = idle_watts
        self._interval = Interval(children)
        assumed = _DEFAULT_SOURCE if watts_per_core is None else f"{power:g} W per hardware thread, as given"
        covered = "this process and its finished children" if children else "this process"
        idle = f", and {idle_watts:g} W idle" if idle_watts else ""
        self._source = f"CPU time of {covered} x {assumed}{idle}"

    def start(self) -> None:
        """Begin an interval."""
        self._interval.begin()

    def stop(self) -> Reading:
        """End the interval; the reading is labelled `estimated`."""
        wall_s, cpu_s = self._interval.end()
        energy_j = cpu_s * self._watts_per_core + wall_s * self._idle_watts
        return Reading(wall_s, cpu_s, energy_j, "estimated", self._source, ("cpu",))


class NullMeter:
    """Measures times only; its readings say that the energy is not known."""

    def __init__(self, *, children: bool = True) -> None:
        """Make a meter.

        Args:
            children: Count the CPU time of finished child processes too.
        """
        self._interval = Interval(children)

    def start(self) -> None:
        """Begin an interval."""
        self._interval.begin()

    def stop(self) -> Reading:
        """End the interval; the energy is None."""
        wall_s, cpu_s = self._interval.end()
        return Reading(wall_s, cpu_s, None, "estimated", "none: energy was not metered", ())


class ReplayMeter:
    """Gives recorded readings, one per interval, in their order."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        """Make a meter from the readings to give."""
        self._readings = list(readings)
        self._interval = Interval(children=False)

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


def best_meter(watts_per_core: float | None = None, *, children: bool = True) -> Meter:
    """Return the best meter that this machine has: RAPL counters if they can be read, CPU time otherwise.

    RAPL counts the whole machine, so it is for the one meter of a session, not for trials side by side.

    Args:
        watts_per_core: Power of one busy hardware thread for the CPU-time meter, or None for its default.
        children: Count the CPU time of finished child processes too.

    Raises:
        InputError: If the power is negative.
    """
    fallback = CpuTimeMeter(watts_per_core, children=children)
    return RaplMeter(children=children) if rapl_probe().available else fallback


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
