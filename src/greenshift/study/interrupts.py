"""SIGINT and SIGTERM while a study runs: at once in an evaluation, in between never halfway."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Interrupts:
    """Takes both signals for the length of a `with` block.

    A signal is remembered in `requested`. Inside `at_once()` it raises KeyboardInterrupt as well; anywhere
    else the work in hand, such as recording a result, is finished first. Python delivers signals to the
    main thread only, so a study that runs in another thread leaves them alone.
    """

    def __init__(self) -> None:
        """Nothing is requested yet."""
        self.requested = False
        self._may_raise = False
        self._previous: dict[signal.Signals, Any] = {}

    def __enter__(self) -> Self:
        """Take the signals."""
        if threading.current_thread() is threading.main_thread():
            self._previous = {number: signal.signal(number, self._handle) for number in _SIGNALS}
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Give the signals back."""
        for number, handler in self._previous.items():
            signal.signal(number, handler)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Let a signal, also one that has come already, raise KeyboardInterrupt inside the block."""
        self._may_raise = True
        try:
            if self.requested:
                raise KeyboardInterrupt
            yield
        finally:
            self._may_raise = False

    def _handle(self, number: int, frame: FrameType | None) -> None:  # noqa: ARG002 - a handler's signature
        self.requested = True
        if self._may_raise:
            self._may_raise = False  # a second signal must not cut the clean-up short
            raise KeyboardInterrupt
