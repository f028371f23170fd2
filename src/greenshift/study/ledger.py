"""What a study consumes: this run by its own meter, earlier runs by what they wrote down."""

from collections.abc import Sequence
from dataclasses import replace

from greenshift.config import Budget
from greenshift.energy import Meter, Reading
from greenshift.store import Consumption, add_up


class Ledger:
    """Meters one run from its construction on, in laps, so that there is a figure at any time."""

    def __init__(self, meter: Meter) -> None:
        """Start the meter.

        Args:
            meter: A meter of this process and of its finished children, or of the whole machine.
        """
        self._meter = meter
        self._laps: Reading | None = None
        self._workers: list[Reading] = []
        self._earlier: list[Reading] = []
        meter.start()

    def include_earlier(self, readings: Sequence[Reading]) -> None:
        """Count what earlier runs of the study consumed."""
        self._earlier = list(readings)

    def add_worker(self, reading: Reading) -> None:
        """Count what a worker process consumed, which a meter of finished children sees at its end only."""
        self._workers.append(reading)

    def forget_workers(self) -> None:
        """The workers have ended, so this process's meter sees all that they consumed."""
        self._workers.clear()

    def run(self) -> Reading:
        """Return what this run has consumed so far."""
        lap = self._meter.stop()
        self._meter.start()
        self._laps = lap if self._laps is None else _joined(self._laps, lap)
        if self._laps.provenance == "measured":  # a counter of the machine has seen the workers already
            return self._laps
        return replace(
            self._laps,
            cpu_s=_sum([self._laps.cpu_s, *(reading.cpu_s for reading in self._workers)]),
            energy_j=_sum([self._laps.energy_j, *(reading.energy_j for reading in self._workers)]),
        )

    def total(self) -> Consumption:
        """Return what all runs have consumed so far."""
        return add_up([*self._earlier, self.run()])


def used_up(budget: Budget, trials: int, consumed: Consumption) -> str | None:
    """Return in words which part of a budget is used up, or None while nothing is.

    Args:
        budget: The totals that may be used.
        trials: Trials that have finished or are under way; 0 to leave that part of the budget aside.
        consumed: What all runs consumed.
    """
    if budget.trials is not None and trials >= budget.trials:
        return f"the budget of {budget.trials} trial{'s' if budget.trials > 1 else ''} is used up"
    if budget.seconds is not None and consumed.wall_s >= budget.seconds:
        return f"the budget of {budget.seconds:g} s is used up"
    if budget.energy_j is not None and consumed.energy_j is not None and consumed.energy_j >= budget.energy_j:
        return f"the budget of {budget.energy_j:g} J is used up"
    return None


def _joined(first: Reading, second: Reading) -> Reading:
    return replace(
        first,
        wall_s=first.wall_s + second.wall_s,
        cpu_s=_sum([first.cpu_s, second.cpu_s]),
        energy_j=_sum([first.energy_j, second.energy_j]),
    )


def _sum(values: Sequence[float | None]) -> float | None:
    return None if None in values else sum(value for value in values if value is not None)
