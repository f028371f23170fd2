"""Ask and tell, for optimizers that choose one evaluation after another."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from greenshift.optimize.problem import Problem
from greenshift.optimize.protocol import Proposal, Status
from greenshift.optimize.trials import Slot, Trials


class StepwiseOptimizer(ABC):
    """An optimizer that only has to say what to evaluate next, by what its trials tell."""

    def __init__(self, problem: Problem) -> None:
        """Start with no trials."""
        self._trials = Trials(problem)

    def ask(self, n: int = 1) -> list[Proposal]:
        """Return up to `n` new proposals; fewer if a finite space has been evaluated or is being so."""
        proposals: list[Proposal] = []
        while len(proposals) < n and (slot := self._next_slot()) is not None:
            proposals.append(self._trials.propose(*slot))
        return proposals

    def tell(
        self,
        *,
        trial: int,
        fidelity: float | None,
        objectives: Mapping[str, float] | None,
        cost_s: float,
        status: Status = "ok",
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        """Report one finished evaluation; one that is told twice counts once.

        Raises:
            InputError: See `Trials.tell`.
        """
        self._trials.tell(trial, fidelity, objectives, status, configuration, cost_s)

    @abstractmethod
    def _next_slot(self) -> Slot | None:
        """Return what to evaluate next, or None if nothing is left; what it returns is under way from then on."""
