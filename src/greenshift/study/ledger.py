"""What a study consumes: this run by its own meter, earlier runs by what they wrote down."""

from collections.abc import Sequence

from greenshift.budget import Budget
from greenshift.energy import Meter, Reading, in_sequence
from greenshift.store import Consumption, add_up


class Ledger:
    """Meters one run from its construction on, in laps, so that there is a figure at any time."""

    def __init__(self, meter: Meter) -> None:
        """Start the meter.

        Args:
            meter: A meter of this process and of its workers, while they run and once they have ended, whose
                intervals may be as short as they like because they follow each other (`session_meter`).
        """
        self._meter = meter
        self._running = True
        self._laps: Reading | None = None
        self._earlier: list[Reading] = []
        meter.start()

    def include_earlier(self, readings: Sequence[Reading]) -> None:
        """Count what earlier runs of the study consumed."""
        self._earlier = list(readings)

    def run(self) -> Reading:
        """Return what this run has consumed so far, or until its end."""
        if self._running:
            self._end_lap()
            self._meter.start()
            self._running = True
        assert self._laps is not None
        return self._laps

    def end(self) -> None:
        """Stop the meter for good: it may hold counters that others wait for."""
        if self._running:
            self._end_lap()

    def _end_lap(self) -> None:
        lap = self._meter.stop()
        self._running = False
        self._laps = lap if self._laps is None else in_sequence(self._laps, lap)

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
