"""Runs one optimizer on one problem in simulated time.

The clock knows evaluations only; the seconds that an optimizer thinks are reported beside it.
"""

import dataclasses
import heapq
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from greenshift.optimize import Optimizer, Proposal

from .problem import BenchmarkProblem, Front

Rule = Literal["resume", "restart"]
RULES: tuple[Rule, ...] = ("resume", "restart")


@dataclass(frozen=True)
class Limits:
    """When a run ends and how many evaluations run at once.

    Attributes:
        cost: Cost in full trainings; an evaluation that ends later does not count.
        workers: Evaluations at the same time; cost is elapsed time times workers, so idle ones are paid for.
        evaluations: The most evaluations that a run makes.
    """

    cost: float = 40.0
    workers: int = 1
    evaluations: int = 2000


@dataclass(frozen=True)
class Observed:
    """One finished evaluation.

    Attributes:
        trial: The optimizer's trial number.
        fidelity: The fidelity reached, or None.
        objectives: What was told.
        resume: Full trainings that it cost when the trial went on from its last fidelity.
        restart: Full trainings that it cost from nothing.
        at: Cost of the run when it ended.
    """

    trial: int
    fidelity: float | None
    objectives: Mapping[str, float]
    resume: float
    restart: float
    at: float


@dataclass(frozen=True)
class Trace:
    """What happened in one run.

    Attributes:
        observed: Finished evaluations in the order in which they ended.
        ask_s: Wall seconds of each ask.
        ask_cpu_s: Processor seconds of each ask, which other programs on the machine hardly change.
        tell_s: Wall seconds of all tells.
        ended: `cost`, `evaluations`, or `exhausted` if the optimizer had nothing left to propose.
    """

    observed: tuple[Observed, ...]
    ask_s: tuple[float, ...]
    ask_cpu_s: tuple[float, ...]
    tell_s: float
    ended: str


@dataclass(frozen=True)
class Step:
    """An evaluation that made the hypervolume grow.

    Attributes:
        cost: Cost of the run when it ended.
        hypervolume: Hypervolume from then on.
        objectives: What it found, in order.
    """

    cost: float
    hypervolume: float
    objectives: tuple[float, ...]


class _Clock:
    """Evaluations under way, and what each costs under a rule."""

    def __init__(self, problem: BenchmarkProblem, rule: Rule, workers: int) -> None:
        self._problem, self._rule, self._workers = problem, rule, workers
        self._reached: dict[int, float] = {}
        self._running: list[tuple[float, int, Proposal, float, float]] = []
        self._started = 0
        self.now = 0.0

    def __len__(self) -> int:
        return len(self._running)

    def start(self, proposal: Proposal) -> None:
        full = self._problem.cost_s(proposal.configuration, proposal.fidelity) / self._problem.full_cost_s
        before = self._reached.get(proposal.trial, 0.0)
        resumed = max(0.0, full - before)
        self._reached[proposal.trial] = max(full, before)
        paid = resumed if self._rule == "resume" else full
        ends = self.now + paid * self._workers
        heapq.heappush(self._running, (ends, self._started, proposal, resumed, full))
        self._started += 1

    def finish(self) -> tuple[Proposal, Observed]:
        self.now, _, proposal, resumed, full = heapq.heappop(self._running)
        objectives = self._problem.evaluate(proposal.configuration, proposal.fidelity)
        return proposal, Observed(proposal.trial, proposal.fidelity, objectives, resumed, full, self.now)


def simulate(optimizer: Optimizer, problem: BenchmarkProblem, rule: Rule, limits: Limits) -> Trace:
    """Run until the simulated cost reaches the limit.

    Args:
        optimizer: Asked and told; told the seconds that an evaluation costs under `rule`.
        problem: Gives objectives and costs.
        rule: `resume` if continuing a trial costs only the rest, `restart` if it costs all again.
        limits: When to end.
    """
    clock = _Clock(problem, rule, limits.workers)
    observed: list[Observed] = []
    asks: list[tuple[float, float]] = []
    tell_s = 0.0
    ended = "evaluations"
    while len(observed) < limits.evaluations:
        _fill(clock, optimizer, limits.workers, asks)
        if not len(clock):
            ended = "exhausted"
            break
        proposal, result = clock.finish()
        if result.at > limits.cost:
            ended = "cost"
            break
        begun = time.perf_counter()
        optimizer.tell(
            trial=proposal.trial,
            fidelity=proposal.fidelity,
            objectives=result.objectives,
            cost_s=(result.resume if rule == "resume" else result.restart) * problem.full_cost_s,
        )
        tell_s += time.perf_counter() - begun
        observed.append(result)
    return Trace(tuple(observed), tuple(wall for wall, _ in asks), tuple(cpu for _, cpu in asks), tell_s, ended)


def _fill(clock: _Clock, optimizer: Optimizer, workers: int, asks: list[tuple[float, float]]) -> None:
    """Ask until all workers are busy or the optimizer has nothing to propose for now."""
    while len(clock) < workers:
        wall, cpu = time.perf_counter(), time.process_time()
        proposals = optimizer.ask(1)
        asks.append((time.perf_counter() - wall, time.process_time() - cpu))
        if not proposals:
            return
        clock.start(proposals[0])


def restarted(trace: Trace, limits: Limits) -> Trace:
    """Return what a run under `resume` would have been under `restart`, for optimizers that ignore costs.

    The same proposals in the same order cost at least as much, so the run under `resume` is long enough.
    Valid for one worker only: with several, costs change the order of results. The seconds of the asks stay
    those of the whole run.
    """
    assert limits.workers == 1
    kept: list[Observed] = []
    now = 0.0
    for item in trace.observed:
        now += item.restart
        if now > limits.cost:
            return dataclasses.replace(trace, observed=tuple(kept), ended="cost")
        kept.append(dataclasses.replace(item, at=now))
    return dataclasses.replace(trace, observed=tuple(kept))


def volume_curve(problem: BenchmarkProblem, trace: Trace) -> list[Step]:
    """Return the evaluations that made the hypervolume grow.

    Every fidelity counts where the problem says so: a partly trained network can be shipped too.
    """
    front = Front(problem)
    return [
        Step(item.at, front.hypervolume, tuple(item.objectives[objective.name] for objective in problem.objectives))
        for item in trace.observed
        if problem.counts(item.fidelity) and front.add(item.objectives)
    ]
