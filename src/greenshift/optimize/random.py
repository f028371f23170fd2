"""Random search: the baseline that every optimizer has to beat."""

from collections.abc import Mapping
from typing import Any

from greenshift.optimize.draws import distinct_draws
from greenshift.optimize.problem import Key, Problem, configuration_key, objective_values, told_configuration
from greenshift.optimize.protocol import Proposal, Status


class RandomOptimizer:
    """Draws configurations from the space's own distribution, each once, always at full fidelity.

    The draws are one fixed sequence per seed, after the warm start if there is one, and results do not change
    it: the next proposal is the first draw that was neither proposed nor told. So a resumed study that re-tells
    its evaluations, in any order, goes on as if it had not stopped.
    """

    def __init__(self, problem: Problem) -> None:
        """Set up the sequence of draws for `problem.seed` on a copy of the space."""
        self._problem = problem
        self._draws = distinct_draws(problem)
        self._seen: set[Key] = set()
        self._trials: set[int] = set()
        self._next_trial = 0

    def ask(self, n: int = 1) -> list[Proposal]:
        """Return up to `n` new proposals; fewer if the space has no more configurations."""
        fidelity = None if self._problem.fidelity is None else float(self._problem.fidelity.maximum)
        proposals: list[Proposal] = []
        while len(proposals) < n and (key := next(self._draws, None)) is not None:
            if key not in self._seen:
                proposals.append(Proposal(self._next_trial, dict(key), fidelity))
                self._note(self._next_trial, key)
        return proposals

    def tell(
        self,
        *,
        trial: int,
        fidelity: float | None,  # noqa: ARG002 - the protocol's argument; a draw does not depend on it
        objectives: Mapping[str, float] | None,
        cost_s: float,  # noqa: ARG002 - likewise
        status: Status = "ok",
        configuration: Mapping[str, Any] | None = None,
    ) -> None:
        """Take note of an evaluation; only which configurations were tried matters.

        Raises:
            InputError: If the trial is unknown and `configuration` is missing or not in the space, or an
                objective is missing.
        """
        objective_values(self._problem.objectives, objectives, status)
        if trial in self._trials:
            return
        self._note(trial, configuration_key(told_configuration(self._problem, trial, configuration)))

    def _note(self, trial: int, key: Key) -> None:
        self._trials.add(trial)
        self._seen.add(key)
        self._next_trial = max(self._next_trial, trial + 1)
