"""A thread that looks at something again and again while an interval runs."""

import threading
from collections.abc import Callable


class Watch:
    """Calls a function at once, every so many seconds, and a last time when it ends; never twice at a time."""

    def __init__(self, look: Callable[[], None], period_s: float, name: str) -> None:
        """Prepare a watch that does not run.

        Args:
            look: What to call.
            period_s: Seconds between two calls.
            name: Name of the thread.
        """
        self._look = look
        self._period_s = period_s
        self._name = name
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._thread: threading.Thread | None = None

    def begin(self) -> None:
        """Look, and go on looking."""
        self._call()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(self._ended,), name=self._name, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Look for the last time; the thread has ended when this returns."""
        self._ended.set()
        if self._thread is not None:
            self._thread.join()
        self._call()

    def _run(self, ended: threading.Event) -> None:
        while not ended.wait(self._period_s):
            self._call()

    def _call(self) -> None:
        with self._lock:
            self._look()
