"""What repeated measurements say: their median, and how sure it is."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass

# Fewer values have no interval of 95 % between their extremes.
MIN_REPEATS = 6
_TAIL = 0.025


@dataclass(frozen=True)
class Repeats:
    """A median with its 95 % confidence interval.

    Attributes:
        median: The middle value, which stragglers do not move.
        low: Lower end of the interval.
        high: Upper end of the interval.
        count: Number of values.
    """

    median: float
    low: float
    high: float
    count: int

    @property
    def half_width(self) -> float:
        """Half of the interval's width as a share of the median; infinite without a median to compare it with."""
        return (self.high - self.low) / 2 / self.median if self.median > 0 else math.inf

    def scaled(self, low: float, high: float) -> tuple[float, float]:
        """Return the interval with its ends multiplied, for an uncertainty that repeating does not remove."""
        return self.low * low, self.high * high


def repeats(values: Sequence[float]) -> Repeats | None:
    """Summarise repeated measurements without assuming how they are distributed.

    The interval lies between two order statistics, by the sign test: the number of values below the true
    median is binomial with p = 1/2 (Conover, Practical Nonparametric Statistics, section 3.2). Where
    measuring goes on until the interval is narrow enough, 95 % is nominal.

    Args:
        values: One value per repeat.

    Returns:
        The summary, or None for fewer than `MIN_REPEATS` values.
    """
    count = len(values)
    if count < MIN_REPEATS:
        return None
    ordered = sorted(values)
    below, tail = -1, 0.0  # the largest rank that leaves no more than the tail outside
    while (more := tail + math.comb(count, below + 1) / 2**count) <= _TAIL:
        below, tail = below + 1, more
    return Repeats(statistics.median(ordered), ordered[below], ordered[count - 1 - below], count)
