"""The books of a run: what came of every evaluation and what was consumed, in the store and for the listener."""

from collections.abc import Callable

from greenshift.accounts.auto import FACT as AUTO_FACT
from greenshift.accounts.auto import AutoBudget
from greenshift.accounts.setting import record_setting
from greenshift.errors import InputError
from greenshift.front import nearest
from greenshift.optimize import Optimizer
from greenshift.records import Evaluation, Task
from greenshift.store import Store
from greenshift.study.ledger import Ledger, used_up
from greenshift.study.marginal import MarginalReturn, forecast
from greenshift.study.plan import Plan
from greenshift.study.standing import Standing
from greenshift.study.values import Event, EventKind, StopReason, StudySummary
from greenshift.study.weights import weight_facts, weight_notes

STOPPED_FACT = "stopped"


class Books:
    """Keeps store, ledger and standing in step, and tells a listener what happens."""

    def __init__(self, plan: Plan, store: Store, ledger: Ledger, on_event: Callable[[Event], None]) -> None:
        """Begin with empty books; `begin` reads those of earlier runs."""
        self.standing = Standing(plan.objectives, plan.float32)
        self._plan = plan
        self._store = store
        self._ledger = ledger
        self._on_event = on_event
        judged = plan.config.stop_when_unprofitable
        self._marginal = MarginalReturn(plan.config, plan.float32) if judged else None
        # Kept from the first run on: what an optimizer plans with may not change when the budget grows.
        self.planned_trials: int | None = store.facts().get("planned_trials", plan.budget.trials)

    def enter_auto(self, auto: AutoBudget) -> None:
        """Count what finding the budget consumed, once, and keep the budget for later runs."""
        if auto.probe is not None:
            self._store.record_probe(self._plan.config, auto.probe)
        self._store.set_facts({AUTO_FACT: auto.to_json()})

    def begin(self) -> list[Evaluation]:
        """Begin this run's row in the store and return what earlier runs evaluated, in the order of its start.

        Raises:
            InputError: If energy cannot be metered and the budget limits it or the search is to stop by it.
        """
        self._ledger.include_earlier([session.reading for session in self._store.sessions() if session.reading])
        needed_by = "budget" if self._plan.budget.energy_j is not None else "stop_when_unprofitable"
        needed = self._plan.budget.energy_j is not None or self._marginal is not None
        if needed and self._ledger.run().energy_j is None:
            raise InputError(f"{needed_by}: energy cannot be metered on this machine; limit trials or seconds")
        self._store.begin_session(self._plan.config)
        self._store.set_facts(
            {
                "float32": self._plan.float32,
                "limits": self._plan.limits,
                "planned_trials": self.planned_trials,
                STOPPED_FACT: None,
                "techniques": None if self._plan.scope is None else self._plan.scope.to_json(),
                "warm_start": self._plan.warm_start.to_json(),
                **weight_facts({"teacher": self._plan.teacher, "init": self._plan.init}),
                **record_setting(),
            }
        )
        history = self._store.evaluations(order="start")
        for evaluation in history:
            self._add(evaluation)
        return history

    def enter(self, kind: EventKind, evaluation: Evaluation, running: int) -> None:
        """Record what came of an evaluation.

        Args:
            kind: What to call it.
            evaluation: The evaluation.
            running: Evaluations that are still under way.
        """
        self._store.record(evaluation)
        self._add(evaluation)
        self.say(kind, running, evaluation=evaluation)

    def say(
        self, kind: EventKind, running: int, *, task: Task | None = None, evaluation: Evaluation | None = None
    ) -> None:
        """Write down what the run has consumed, so that little is lost if it is killed, and tell the listener."""
        self._store.update_session(self._ledger.run())
        progress = self.standing.progress(running, self._ledger.total())
        note = self._first_note() if kind == "begun" else None
        self._on_event(Event(kind, progress, task=task, evaluation=evaluation, note=note))

    def _first_note(self) -> str | None:
        notes = [str(self._plan.warm_start)] if self._plan.warm_start.configurations else []
        notes += [str(self._plan.scope)] if self._plan.scope is not None else []
        return "; ".join([*notes, *weight_notes(self._plan.teacher, self._plan.init)]) or None

    def _add(self, evaluation: Evaluation) -> None:
        self.standing.add(evaluation)
        if self._marginal is not None:
            self._marginal.add(evaluation)

    def unprofitable(self, optimizer: Optimizer) -> str | None:
        """Return in words why more search would not pay, None if it may or if that was not asked."""
        if self._marginal is None:
            return None
        return self._marginal.verdict(forecast(optimizer, self._plan.objectives))

    def used_up(self, trials: int) -> str | None:
        """Return in words which part of the budget is used up; `trials` as for `ledger.used_up`."""
        return used_up(self._plan.budget, trials, self._ledger.total())

    def end(self, state: str) -> None:
        """End this run's row in the store, once its worker processes have ended."""
        self._store.update_session(self._ledger.run(), state)

    def summary(self, reason: StopReason, detail: str) -> StudySummary:
        """Write down how the run ended, return it, and tell the listener."""
        self._store.set_facts({STOPPED_FACT: {"reason": reason, "detail": detail}})
        consumed = self._store.consumed()
        progress = self.standing.progress(0, consumed)
        self._on_event(Event("ended", progress))
        front = tuple(self.standing.front)
        return StudySummary(
            folder=self._store.folder,
            reason=reason,
            detail=detail,
            progress=progress,
            consumption=consumed,
            front=front,
            limits=self._plan.limits,
            warm_start=self._plan.warm_start,
            scope=self._plan.scope,
            nearest=None if front else nearest(self._store.evaluations(), self._plan.limits),
        )
