"""Times contenders in turns, so that a drift of the machine's speed cancels, and gives medians and ratios."""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

Call = Callable[[], object]


def take_turns(contenders: Mapping[str, Sequence[Call]], rounds: int, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of every round and contender.

    Args:
        contenders: Equal calls under each name, on copies of the data if it is to come from memory: they are rotated.
        rounds: How often everybody has a turn.
        repeats: Calls in a turn. The first of several warms the caches and is not timed; a single one is timed as it
            is, after everybody else's data has gone through the caches.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for name, calls in contenders.items():
        for call in calls:
            call()
        assert calls, name
    for turn in range(rounds):
        for name, calls in contenders.items():
            call = calls[turn % len(calls)]
            if repeats > 1:
                call()
            timed = max(repeats - 1, 1)
            started = time.perf_counter()
            for _ in range(timed):
                call()
            seconds[name].append((time.perf_counter() - started) / timed)
    return seconds


def medians_us(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Return the median of every contender in microseconds."""
    return {name: round(1e6 * statistics.median(values), 1) for name, values in seconds.items()}


def times_faster(seconds: Mapping[str, Sequence[float]], ours: str) -> dict[str, float]:
    """Return how many times longer than `ours` every other took: the median of the ratios of each round."""
    return {
        name: round(statistics.median(a / b for a, b in zip(values, seconds[ours], strict=True)), 2)
        for name, values in seconds.items()
        if name != ours
    }
