"""The loop itself.

Up to `workers` evaluations are under way in a window. A result is recorded the moment it is there, but
told to the optimizer in the order of submission, one before each new proposal once the window is full. So
what is proposed depends on the seed and on the number of workers, never on timing.

A budget is checked before an evaluation starts, never within one: one of time or energy is overrun by
at most the evaluations under way.
"""

import dataclasses
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Executor, Future, wait
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from greenshift.accounts import AutoBudget
from greenshift.config import StudyConfig
from greenshift.energy import session_meter
from greenshift.errors import StudyError
from greenshift.executors import make_executor
from greenshift.fidelities import resource_of
from greenshift.records import Evaluation, Task
from greenshift.store import Store
from greenshift.study.books import Books
from greenshift.study.evaluator import Evaluator, evaluate_safely, replay_evaluator, torch_evaluator
from greenshift.study.flight import Flight, refusal
from greenshift.study.interrupts import Interrupts
from greenshift.study.ledger import Ledger
from greenshift.study.plan import Plan, make_plan
from greenshift.study.values import Event, StopReason, StudyInterrupted, StudySummary

MAX_REFUSALS = 1000


def run_study(
    config: StudyConfig,
    folder: Path,
    *,
    on_event: Callable[[Event], None],
    evaluator: Evaluator | None = None,
    auto: AutoBudget | None = None,
) -> StudySummary:
    """Run a study until its budget is used up, or go on with the one in the folder.

    Baselines come first, then evaluations that an earlier run left unfinished, then the optimizer's
    proposals. Configurations whose known cost breaks a constraint are recorded as `infeasible`, told to
    the optimizer as failed, and never trained. With one worker a study that was interrupted and goes on
    makes the same proposals as one that was not, if its optimizer does (`random` does).

    Args:
        config: What to do.
        folder: The run folder; it is made if it does not exist.
        on_event: Called after everything that happens; what it raises ends the study.
        evaluator: Functions that build, train and measure networks; the table's or the real ones if left out.
        auto: How the budget was found (`resolve_budget`); what that consumed is part of the study.

    Returns:
        Why the study stopped, its front and what it consumed.

    Raises:
        InputError: If something in `config` does not exist or fit, or the folder cannot be used.
        StudyError: If more than half of at least four trials failed; all of them are in the store.
        StudyInterrupted: If SIGINT or SIGTERM came; what had finished is in the store, and the same call
            goes on.
    """
    evaluator = evaluator or replay_evaluator(config)
    meter = session_meter if evaluator is None else evaluator.meter
    ledger = Ledger(meter(config.cpu_watts))
    with ExitStack() as stack:
        stack.callback(ledger.end)
        # A study that is there is checked before torch is imported, a new one begun once its input is checked.
        store = stack.enter_context(Store.create(folder, config)) if Store.exists(folder) else None
        plan = make_plan(config, evaluator or torch_evaluator(), {} if store is None else store.facts())
        if store is None:
            store = stack.enter_context(Store.create(folder, config))
        books = Books(plan, store, ledger, on_event)
        if auto is not None:
            books.enter_auto(auto)
        interrupts = stack.enter_context(Interrupts())
        stop = _Search(plan, store, books, interrupts).run()
        summary = books.summary(stop.reason, stop.detail)
    _raise_unless_sound(stop.reason, summary, books.standing.failure())
    return summary


def _raise_unless_sound(reason: StopReason, summary: StudySummary, failure: str | None) -> None:
    if reason == "interrupted":
        raise StudyInterrupted(summary)
    if failure is not None:
        raise StudyError(f"{failure}; all of them are in {summary.folder}")


@dataclass(frozen=True)
class _Stop:
    reason: StopReason
    detail: str


class _Search:
    """One run of one study."""

    def __init__(self, plan: Plan, store: Store, books: Books, interrupts: Interrupts) -> None:
        self._plan = plan
        self._store = store
        self._books = books
        self._interrupts = interrupts
        self._optimizer = plan.optimizer(books.planned_trials)
        self._executor: Executor = make_executor(plan.config.workers)
        self._window: deque[Flight] = deque()
        self._due: deque[Task] = deque()
        self._refusals = 0

    def run(self) -> _Stop:
        """Go on until something stops the study; the store says how it ended, however it ends."""
        state = "failed"
        history = self._books.begin()
        try:
            self._resume(history)
            stop = self._loop()
            state = "interrupted" if stop.reason == "interrupted" else "finished"
        finally:
            self._executor.shutdown(wait=False, cancel_futures=True)
            self._books.end(state)
        return stop

    def _resume(self, history: list[Evaluation]) -> None:
        """Tell the optimizer what is known, and find what is due before it is asked."""
        for evaluation in history:
            self._tell(evaluation)
        trained = {e.label for e in history if e.role == "baseline" and e.outcome != "interrupted"}
        self._due.extend(task for task in self._plan.baseline_tasks() if task.label not in trained)
        for claim in self._store.orphans():
            if claim.label is None:
                fidelity = resource_of(claim.fidelity) or None
                self._due.append(self._plan.trial_task(claim.trial, claim.configuration, fidelity))
        self._books.say("begun", 0)

    def _loop(self) -> _Stop:
        stop: _Stop | None = None
        while True:
            if stop is None and not self._interrupts.requested:
                stop = self._fill()
            if stop is not None and not self._window:
                return stop
            if self._interrupts.requested:
                self._cut_short()
                return _Stop("interrupted", "stopped by a signal; the same command goes on")
            if self._window:
                self._collect()

    # ---- what comes next

    def _fill(self) -> _Stop | None:
        """Start evaluations until the window is full; return why the study ends, if it does."""
        while len(self._window) < self._plan.config.workers and not self._interrupts.requested:
            resumed = bool(self._due)
            following = self._next_due() if resumed else self._next_proposed()
            if not isinstance(following, Task):
                return following
            self._submit(following, resumed)
        return None

    def _next_due(self) -> Task | _Stop:
        trials = 0 if self._due[0].label is not None else self._trials()
        detail = self._books.used_up(trials)
        return self._due.popleft() if detail is None else _Stop("budget", detail)

    def _next_proposed(self) -> Task | _Stop | None:
        """Return the next proposal that keeps the constraints, or None if results must come first."""
        if any(flight.resumed and flight.task.label is None for flight in self._window):
            return None  # the optimizer does not know that trial yet and could propose it again
        while not self._interrupts.requested:
            detail = self._books.used_up(self._trials())
            if detail is not None:
                return _Stop("budget", detail)
            if self._books.standing.is_hopeless:
                return _Stop("hopeless", "not one trial succeeded")
            unprofitable = self._books.unprofitable(self._optimizer)
            if unprofitable is not None:
                return _Stop("unprofitable", unprofitable)
            proposals = self._optimizer.ask(1)
            if not proposals:
                return None if self._window else _Stop("exhausted", "the optimizer has nothing left to try")
            proposal = proposals[0]
            task = self._plan.trial_task(proposal.trial, proposal.configuration, proposal.fidelity)
            if not self._refuses(task):
                self._refusals = 0
                return task
            self._refusals += 1
            if self._refusals >= MAX_REFUSALS:
                return _Stop("refused", f"{MAX_REFUSALS} configurations in a row broke a constraint")
        return None

    def _refuses(self, task: Task) -> bool:
        """Record and tell a proposal whose known cost breaks a constraint."""
        if not self._plan.limits:
            return False
        spent = self._plan.cost(self._plan.design(task.configuration))
        refused = refusal(task, spent, self._plan.limits)
        if refused is None:
            return False
        self._books.enter("refused", refused, self._running())
        self._tell(refused)
        return True

    def _running(self) -> int:
        return sum(flight.evaluation is None for flight in self._window)

    def _trials(self) -> int:
        under_way = sum(flight.task.label is None and flight.evaluation is None for flight in self._window)
        return self._books.standing.finished + under_way

    # ---- from submission to result

    def _submit(self, task: Task, resumed: bool) -> None:
        path = self._store.checkpoint_path(task.trial, task.design.digest)
        task = dataclasses.replace(task, checkpoint=str(path))
        self._store.claim(task)
        flight = Flight(task, Future(), time.time(), resumed)
        self._window.append(flight)
        self._books.say("started", self._running(), task=task)
        try:
            with self._interrupts.at_once():
                flight.future = self._executor.submit(
                    evaluate_safely, self._plan.evaluator, task, self._plan.config.cpu_watts
                )
        except KeyboardInterrupt:
            return  # it came before the evaluation did; the flight is cut short like any other

    def _collect(self) -> None:
        """Record what is there, wait if the window's first is not among it, and tell that one."""
        if self._window[0].evaluation is None:
            under_way = [flight.future for flight in self._window if flight.evaluation is None]
            try:
                with self._interrupts.at_once():
                    wait(under_way, return_when=FIRST_COMPLETED)
            except KeyboardInterrupt:
                return
        for flight in self._window:
            if flight.evaluation is None and flight.future.done():
                self._settle(flight)
        first = self._window[0].evaluation
        if first is not None:  # one only: the next is told after the next proposal, whenever it was ready
            self._tell(first)
            self._window.popleft()

    def _settle(self, flight: Flight) -> None:
        """Record what came of an evaluation."""
        evaluation = flight.evaluation = flight.result(stopping=self._interrupts.requested)
        if evaluation.outcome == "interrupted":
            self._interrupts.requested = True  # also if the interruption came from elsewhere
            self._books.enter("interrupted", evaluation, self._running())
            return
        if evaluation.outcome != "ok" or not flight.task.can_go_on:
            self._store.checkpoint_path(flight.task.trial, flight.task.design.digest).unlink(missing_ok=True)
        self._books.enter("finished", evaluation, self._running())

    def _cut_short(self) -> None:
        """Stop what is under way; keep what made it."""
        self._executor.shutdown(wait=False, cancel_futures=True)
        for flight in self._window:
            if flight.evaluation is None:
                self._settle(flight)

    def _tell(self, evaluation: Evaluation) -> None:
        if evaluation.role == "baseline" or evaluation.outcome == "interrupted":
            return
        ok = evaluation.outcome == "ok"
        self._optimizer.tell(
            trial=evaluation.trial,
            fidelity=resource_of(evaluation.fidelity) or None,
            objectives=evaluation.objectives if ok else None,
            cost_s=evaluation.reading.wall_s,
            status="ok" if ok else "failed",
            configuration=evaluation.configuration,
        )
