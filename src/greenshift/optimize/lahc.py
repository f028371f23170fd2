"""Late acceptance hill climbing: a step is good if it beats what the search had a few steps ago.

Source: Burke and Bykov, "The Late Acceptance Hill-Climbing Heuristic" (European Journal of Operational Research
258, 2017), in its final form: any step that is not worse than the present solution is accepted too, and the
history only ever improves. The move and the history of 3 are those of SAFS (Loni et al., AutoML 2023): change
one gene and swap two.
"""

import copy
import itertools
from collections import deque
from typing import Any

import numpy as np
from ConfigSpace import Configuration as Sample
from ConfigSpace.hyperparameters import CategoricalHyperparameter
from ConfigSpace.util import get_one_exchange_neighbourhood

from greenshift.optimize.draws import distinct_draws
from greenshift.optimize.problem import Key, Problem, configuration_key
from greenshift.optimize.stepwise import StepwiseOptimizer
from greenshift.optimize.trials import Slot

_HISTORY = 3
_MOVES = 10
_WORST = (float("inf"),)


class LahcOptimizer(StepwiseOptimizer):
    """Climbs on the first objective, the others break ties; always at full fidelity.

    It starts from the best configuration of the warm start, or from one drawn at random. A move changes one
    hyperparameter (ConfigSpace's one-exchange neighbourhood: another choice, or a number near the old one) and
    swaps the values of two categorical ones with the same choices, where that is legal. Where ten moves in a row
    bring nothing new, a random configuration takes the place; nothing is evaluated twice.

    Steps are judged in the order in which they were made. While one is late, more are made from the solution that
    is known, as if the late one were rejected; so workers never wait. Every step has random numbers of its own, made
    from the seed and its number, so that a study whose evaluations are told again, in any order, goes on as if it
    had not stopped. A failed evaluation is worse than any other.
    """

    def __init__(self, problem: Problem) -> None:
        """Set up the moves and the sequence of draws for `problem.seed` on a copy of the space."""
        super().__init__(problem)
        self._space = copy.deepcopy(problem.space)
        self._seed = problem.seed
        self._full = None if problem.fidelity is None else float(problem.fidelity.maximum)
        self._draws = distinct_draws(problem)
        self._starts = max(1, len(problem.warm_start))
        self._made: set[Key] = set()
        self._late: deque[Key] = deque()
        self._judged = 0
        self._solution: Key | None = None
        self._cost: tuple[float, ...] = _WORST
        self._history: list[tuple[float, ...]] = []

    def _next_slot(self) -> Slot | None:
        key = self._next_key()
        return None if key is None else (key, self._full)

    def _next_key(self) -> Key | None:
        """Return the configuration of the next step that was not evaluated yet."""
        while True:
            while self._late and self._trials.is_settled(self._late[0], self._full):
                self._judge(self._late.popleft())
            key = self._step()
            if key is None:
                return None
            self._made.add(key)
            self._late.append(key)
            if not self._trials.is_settled(key, self._full):
                return key

    def _judge(self, key: Key) -> None:
        """Accept or reject a step that was evaluated."""
        outcome = self._trials.outcome(key, self._full)
        cost = _WORST if outcome is None else outcome
        starting = self._judged < self._starts
        place = (self._judged - self._starts) % _HISTORY
        if cost <= self._cost or (not starting and cost < self._history[place]):
            self._solution, self._cost = key, cost
        self._judged += 1
        if self._judged == self._starts:
            self._history = [self._cost] * _HISTORY
        elif not starting and self._cost < self._history[place]:
            self._history[place] = self._cost

    def _step(self) -> Key | None:
        """Return a configuration that no step had before, or None if a finite space has no more."""
        random = np.random.default_rng((self._seed, len(self._made)))
        if self._solution is not None and self._judged >= self._starts:
            for _ in range(_MOVES):
                key = self._moved(dict(self._solution), random)
                if key not in self._made:
                    return key
        return next((key for key in self._draws if key not in self._made), None)

    def _moved(self, values: dict[str, Any], random: np.random.Generator) -> Key:
        here = Sample(self._space, values=values)
        neighbours = get_one_exchange_neighbourhood(here, seed=int(random.integers(2**31)))
        changed = next(iter(neighbours), here)
        return configuration_key(self._swapped(dict(changed), random) or dict(changed))

    def _swapped(self, values: dict[str, Any], random: np.random.Generator) -> dict[str, Any] | None:
        """Swap two different values of alike hyperparameters; None if there are none, or it is not legal."""
        choices = {n: h.choices for n in values if isinstance(h := self._space[n], CategoricalHyperparameter)}
        pairs = [
            (one, other)
            for one, other in itertools.combinations(sorted(choices), 2)
            if choices[one] == choices[other] and values[one] != values[other]
        ]
        if not pairs:
            return None
        one, other = pairs[int(random.integers(len(pairs)))]
        swapped = {**values, one: values[other], other: values[one]}
        try:
            return dict(Sample(self._space, values=swapped))
        except ValueError:
            return None
