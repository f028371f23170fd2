"""What a running search shows: one line that moves on a terminal, plain lines elsewhere."""

import time
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from greenshift.config import StudyConfig
from greenshift.quantities import format_duration, format_objective, format_quantity
from greenshift.records import Evaluation
from greenshift.study import Event, Progress

_PLAIN_EVERY_S = 10.0


class ProgressDisplay:
    """Shows a study's events while it runs.

    Args:
        config: The study; gives the budget to show.
        enabled: False shows nothing.
    """

    def __init__(self, config: StudyConfig, *, enabled: bool) -> None:
        self._budget = config.budget
        self._console = Console(stderr=True, highlight=False)
        self._enabled = enabled
        self._live = (
            Live(console=self._console, refresh_per_second=4, transient=True)
            if enabled and self._console.is_terminal
            else None
        )
        self._last_plain = 0.0

    def __enter__(self) -> Self:
        """Start to show."""
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave the terminal as it was."""
        if self._live is not None:
            self._live.stop()

    def show(self, event: Event) -> None:
        """Show one event."""
        if not self._enabled:
            return
        evaluation = event.evaluation
        if event.note is not None:
            self._console.print(event.note, markup=False, soft_wrap=True)
        if evaluation is not None and evaluation.outcome == "failed":
            self._console.print(f"{_name(evaluation)} failed: {evaluation.reason}", markup=False, soft_wrap=True)
        if self._live is not None:
            self._live.update(self._status(event))
        elif event.kind in ("begun", "ended") or time.monotonic() - self._last_plain > _PLAIN_EVERY_S:
            self._last_plain = time.monotonic()
            self._console.print(_summary(event.progress, self._budget), markup=False, soft_wrap=True)

    def _status(self, event: Event) -> Table:
        table = Table.grid(padding=(0, 1))
        table.add_row(Text(_summary(event.progress, self._budget)))
        evaluation = event.evaluation
        if evaluation is not None and evaluation.outcome == "ok":
            values = ", ".join(f"{name} {format_objective(name, v)}" for name, v in evaluation.objectives.items())
            table.add_row(Text(f"last: {_name(evaluation)}: {values}", style="dim"))
        return table


def _name(evaluation: Evaluation) -> str:
    return f"baseline {evaluation.label}" if evaluation.label else f"trial {evaluation.trial}"


def _summary(progress: Progress, budget: str) -> str:
    energy = "not metered" if progress.energy_j is None else format_quantity(progress.energy_j, "J")
    return (
        f"trials {progress.finished} ({progress.failed} failed, {progress.refused} refused)  "
        f"baselines {progress.baselines}  front {progress.front_size}  hypervolume {progress.hypervolume:.3f}  "
        f"time {format_duration(progress.wall_s)}  energy {energy}  budget {budget}"
    )
