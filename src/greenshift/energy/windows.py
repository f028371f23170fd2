"""CPU time of something short: run often enough to fill windows that a clock can tell apart."""

import math
import time
from collections.abc import Callable


def cpu_windows(run: Callable[[], object], windows: int, window_s: float) -> list[float]:
    """Return the CPU time of one run in s, as the mean of each of some windows, after a warm-up.

    Time of the one thread that runs it: what neighbours take of the core does not count.

    Args:
        run: What to time.
        windows: How many.
        window_s: Length that a window should have.
    """
    run()
    count, elapsed_s = 1, _window(run, 1)
    while elapsed_s < window_s:
        count = max(count + 1, math.ceil(count * min(10.0, 1.2 * window_s / max(elapsed_s, 1e-9))))
        elapsed_s = _window(run, count)
    return [_window(run, count) / count for _ in range(windows)]


def _window(run: Callable[[], object], count: int) -> float:
    begin = time.thread_time()
    for _ in range(count):
        run()
    return time.thread_time() - begin
