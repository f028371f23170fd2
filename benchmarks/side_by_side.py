"""Times contenders in turns, so that a drift of the machine's speed cancels, and gives medians and ratios.

Processor time of the thread, not wall time: other processes may be running.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence

Call = Callable[[], object]


def take_turns(contenders: Mapping[str, Sequence[Call]], rounds: int, repeats: int) -> dict[str, list[float]]:
    """Return the processor seconds of every round and contender, one thread each.

    Args:
        contenders: Equal calls under each name, on copies of the data if it is to come from memory.
        rounds: How often everybody has a turn.
        repeats: Calls of a turn that are timed. Before them comes one that is not, on another copy if there are
            several: it warms everything but the data.
    """
    seconds: dict[str, list[float]] = {name: [] for name in contenders}
    for turn in range(rounds):
        for name, calls in contenders.items():
            calls[turn % len(calls)]()
            call = calls[(turn + 1) % len(calls)]
            started = time.thread_time()
            for _ in range(repeats):
                call()
            seconds[name].append((time.thread_time() - started) / repeats)
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
