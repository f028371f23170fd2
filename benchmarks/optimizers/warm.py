"""Warm starts: the front that a short search found on another problem of the same space."""

import functools
from pathlib import Path

import numpy as np

from greenshift.optimize import Configuration, make_optimizer
from greenshift.optimize.protocol import Proposal
from greenshift.pareto import non_dominated

from .registry import make_problem
from .simulator import Limits, simulate

EARLIER = Limits(cost=10.0)
_MOST = 8


@functools.lru_cache(maxsize=16)
def earlier_front(name: str, yahpo: Path | None, seed: int) -> tuple[Configuration, ...]:
    """Return up to eight configurations, spread along the front of an earlier freeze-thaw search.

    Args:
        name: Problem of the earlier search, which costs 10 full trainings that are not counted.
        yahpo: Folder of the LCBench surrogate.
        seed: Seed of the earlier search.
    """
    problem = make_problem(name, yahpo)
    inner = make_optimizer(
        "freezethaw",
        space=problem.space,
        objectives=problem.objectives,
        fidelity=problem.fidelity,
        known=problem.known,
        seed=seed,
    )
    proposed: dict[int, Configuration] = {}

    class Recorded:
        """The same optimizer; what it proposes is written down."""

        tell = staticmethod(inner.tell)

        def ask(self, n: int = 1) -> list[Proposal]:
            proposals = list(inner.ask(n))
            proposed.update((proposal.trial, proposal.configuration) for proposal in proposals)
            return proposals

    trace = simulate(Recorded(), problem, "resume", EARLIER)
    points = np.array([[item.objectives[o.name] for o in problem.objectives] for item in trace.observed])
    front = [item for item, free in zip(trace.observed, non_dominated(points), strict=True) if free]
    trials = list(dict.fromkeys(item.trial for item in sorted(front, key=lambda item: list(item.objectives.values()))))
    chosen = np.unique(np.linspace(0, len(trials) - 1, _MOST).round().astype(int))
    return tuple(proposed[trials[index]] for index in chosen)
