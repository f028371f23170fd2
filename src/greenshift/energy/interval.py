"""Elapsed time and CPU time of one metered interval."""

import resource
import time


class Interval:
    """A stopwatch that knows whether it runs."""

    def __init__(self, children: bool) -> None:
        """Make a stopped stopwatch.

        Args:
            children: Count the CPU time of finished child processes too.
        """
        self._children = children
        self._begun: tuple[float, float] | None = None

    def begin(self) -> None:
        """Start.

        Raises:
            RuntimeError: If it runs already.
        """
        if self._begun is not None:
            raise RuntimeError("meter: started twice without a stop")
        self._begun = (time.monotonic(), self._cpu_s())

    def end(self) -> tuple[float, float]:
        """Stop and return the elapsed seconds and the CPU seconds.

        Raises:
            RuntimeError: If it does not run.
        """
        if self._begun is None:
            raise RuntimeError("meter: stopped before it was started")
        wall_s, cpu_s = time.monotonic() - self._begun[0], self._cpu_s() - self._begun[1]
        self._begun = None
        return wall_s, cpu_s

    def _cpu_s(self) -> float:
        kinds = [resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN] if self._children else [resource.RUSAGE_SELF]
        usages = [resource.getrusage(kind) for kind in kinds]
        return sum(usage.ru_utime + usage.ru_stime for usage in usages)
