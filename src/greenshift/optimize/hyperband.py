"""Random multi-objective Hyperband: random configurations, of which the best fronts are trained for longer.

Brackets and rungs are those of Li et al., "Hyperband" (JMLR 18, 2018), with the numbers SMAC3 uses. Promotion
is by non-dominated sorting of the objectives as they are at the rung, ties by crowding distance: Schmucker
et al., "Multi-objective Asynchronous Successive Halving" (arXiv 2106.12639) found that rules that look at the
whole front beat scalarisation.
"""

from collections.abc import Iterator

from greenshift.optimize.brackets import Bracket, bracket_sizes
from greenshift.optimize.draws import distinct_draws
from greenshift.optimize.fidelity import rungs
from greenshift.optimize.problem import Key, Problem
from greenshift.optimize.stepwise import StepwiseOptimizer
from greenshift.optimize.trials import Slot


class HyperbandOptimizer(StepwiseOptimizer):
    """Goes through the brackets again and again, with new random configurations each time.

    A rung is decided when all its evaluations are told. Until then the next bracket goes on, so that workers
    never wait. What is proposed depends only on which evaluations were told and which are under way: the
    oldest bracket with something to evaluate comes first. So a study whose evaluations are told again, in
    any order, goes on as if it had not stopped, with any number of workers.

    A warm start is the beginning of the first rung. Failed evaluations are never promoted. When a finite space
    has no new configurations, what is left of it follows at full fidelity. Without a fidelity this is random
    search. Configurations that were told at a higher fidelity than a rung asks for count there with that result.
    """

    def __init__(self, problem: Problem) -> None:
        """Set up the brackets and the sequence of draws for `problem.seed`."""
        super().__init__(problem)
        fidelity = problem.fidelity
        self._rungs: tuple[float | None, ...] = (None,) if fidelity is None else rungs(fidelity)
        self._sizes = bracket_sizes(1 if fidelity is None else fidelity.eta, len(self._rungs))
        self._drawn: list[Key] = []
        self._draws = self._draw(distinct_draws(problem))
        self._open: list[Bracket] = []
        self._opened = 0

    def _next_slot(self) -> Slot | None:
        for bracket in self._open:
            if (slot := bracket.next_slot(self._draws, self._trials)) is not None:
                return slot
        self._open = [bracket for bracket in self._open if not bracket.is_finished]
        while True:
            sizes = self._sizes[self._opened % len(self._sizes)]
            bracket = Bracket(self._rungs[-len(sizes) :], sizes)
            known = len(self._drawn)
            slot = bracket.next_slot(self._draws, self._trials)
            if len(self._drawn) == known:
                return self._next_of_rest()
            self._opened += 1
            self._open.append(bracket)
            if slot is not None:
                return slot

    def _next_of_rest(self) -> Slot | None:
        """Return a configuration that stopped below full fidelity, once there are no new ones."""
        full = self._rungs[-1]
        for key in self._drawn:
            if not (self._trials.is_settled(key, full) or self._trials.is_pending(key) or self._trials.has_failed(key)):
                return key, full
        return None

    def _draw(self, draws: Iterator[Key]) -> Iterator[Key]:
        for key in draws:
            self._drawn.append(key)
            yield key
