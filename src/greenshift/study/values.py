"""What a study says while it runs and when it stops."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from greenshift.front import Nearest
from greenshift.records import Evaluation, Task
from greenshift.space import Scope
from greenshift.store import Consumption
from greenshift.study.warm import WarmStart

EventKind = Literal["begun", "started", "finished", "refused", "interrupted", "ended"]
StopReason = Literal["budget", "exhausted", "refused", "hopeless", "unprofitable", "interrupted"]


@dataclass(frozen=True)
class Progress:
    """Where a study stands, as totals over all its runs.

    Attributes:
        ok: Evaluations of the search that gave their objectives.
        failed: Evaluations of the search that failed.
        refused: Configurations refused before training because of a constraint.
        baselines: Baselines that have been trained, whatever came of it.
        running: Evaluations under way, baselines included.
        front_size: Points on the front.
        hypervolume: See `greenshift.front.front_hypervolume`.
        wall_s: Time of the search in s.
        energy_j: Energy of the search in J, or None if it is not metered.
    """

    ok: int = 0
    failed: int = 0
    refused: int = 0
    baselines: int = 0
    running: int = 0
    front_size: int = 0
    hypervolume: float = 0.0
    wall_s: float = 0.0
    energy_j: float | None = 0.0

    @property
    def finished(self) -> int:
        """Evaluations of the search that count against a budget of trials."""
        return self.ok + self.failed


@dataclass(frozen=True)
class Event:
    """Something that happened in a study.

    Attributes:
        kind: `begun` once at the start, `started` and `finished` for each evaluation, `refused` for each
            configuration that breaks a constraint, `interrupted` for each evaluation that a signal cut
            short, `ended` once at the end.
        progress: Where the study stands after it.
        task: What started, for `started`.
        evaluation: What came of it, for `finished`, `refused` and `interrupted`.
        note: What else there is to say, in words, for `begun`.
    """

    kind: EventKind
    progress: Progress
    task: Task | None = None
    evaluation: Evaluation | None = None
    note: str | None = None


@dataclass(frozen=True)
class StudySummary:
    """How a run of a study ended.

    Attributes:
        folder: The run folder.
        reason: Why it stopped: `budget` is used up, `exhausted` (the optimizer has nothing left to try),
            `refused` (too many configurations in a row broke a constraint), `hopeless` (nothing but
            failures), `unprofitable` (a joule of search is expected to save less than one; see
            `greenshift.study.marginal`), `interrupted` by a signal.
        detail: The same in words, for people.
        progress: Totals over all runs.
        consumption: What all runs consumed.
        front: The front, sorted by the first objective.
        limits: Upper bound per constrained objective, in its unit.
        warm_start: What the search began with.
        scope: What a full space searched, None for another one.
        nearest: If constraints left the front empty, the configuration that came closest.
    """

    folder: Path
    reason: StopReason
    detail: str
    progress: Progress
    consumption: Consumption
    front: tuple[Evaluation, ...] = ()
    limits: dict[str, float] = field(default_factory=dict)
    warm_start: WarmStart = field(default_factory=WarmStart)
    scope: Scope | None = None
    nearest: Nearest | None = None


class StudyInterrupted(KeyboardInterrupt):
    """A signal stopped the study; its store can be resumed (exit code 130).

    Attributes:
        summary: How far it got.
    """

    def __init__(self, summary: StudySummary) -> None:
        """Keep the summary."""
        super().__init__(summary.detail)
        self.summary = summary
