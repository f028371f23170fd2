"""NSGA-II (Deb et al., IEEE TEC 2002) with pymoo's operators: evolution at full fidelity."""

from typing import Any

import numpy as np

from greenshift.optimize.draws import distinct_draws
from greenshift.optimize.nsga2_variation import Member, Variation
from greenshift.optimize.problem import Key, Problem
from greenshift.optimize.stepwise import StepwiseOptimizer
from greenshift.optimize.trials import Slot

_PLANNED_TRIALS = 200
_GENERATIONS = 10
_SMALLEST, _LARGEST = 8, 50
_MATINGS = 10


class Nsga2Optimizer(StepwiseOptimizer):
    """Evolves a population; the first generation is the warm start and what is drawn at random.

    A generation has a tenth of the planned trials (200 if that is not given), but from 8 to 50 members. Its
    parents are the best of everything before it. While results of a generation are late, its parents have
    further children, which belong to the next generation; so workers never wait. Failed evaluations have no
    children. Where ten matings in a row bring nothing new, a random configuration takes the place.

    Every member has random numbers of its own, made from the seed and how many there were before it. So a
    study whose evaluations are told again, in any order, goes on as if it had not stopped. Configurations
    that this search would not have proposed are never proposed again, but have no children.
    """

    def __init__(self, problem: Problem) -> None:
        """Set up the operators and the sequence of draws for `problem.seed`."""
        super().__init__(problem)
        planned = problem.max_trials or _PLANNED_TRIALS
        self._size = max(_SMALLEST, min(_LARGEST, planned // _GENERATIONS))
        self._due = max(self._size, len(problem.warm_start))
        self._full = None if problem.fidelity is None else float(problem.fidelity.maximum)
        self._seed = problem.seed
        self._variation = Variation(problem.space, len(problem.objectives))
        self._draws = distinct_draws(problem)
        self._born: set[Key] = set()
        self._passed_over: list[Member] = []
        self._generation: list[Member] = []
        self._visited = 0
        self._elders: list[Member] = []
        self._parents: Any = None

    def _next_slot(self) -> Slot | None:
        key = self._next_key()
        return None if key is None else (key, self._full)

    def _next_key(self) -> Key | None:
        while True:
            while self._visited < len(self._generation):
                key = self._generation[self._visited].key
                self._visited += 1
                if not self._is_settled(key) and not self._trials.is_pending(key):
                    return key
            if len(self._generation) >= self._due and all(
                self._is_settled(member.key) for member in self._generation[: self._due]
            ):
                self._end_generation()
            elif (member := self._birth()) is not None:
                self._generation.append(member)
            else:
                return None

    def _end_generation(self) -> None:
        """Choose the parents of the next generation, which begins with the children born while this one was late.

        When a study is told again, such children are known by having been evaluated. One more is born to see
        that there are no others; it is passed over, told again or not, so that both ways stay the same.
        """
        while (member := self._birth()) is not None and self._is_settled(member.key):
            self._generation.append(member)
        if member is not None:
            self._passed_over.append(member)
        grown, self._generation = self._generation[: self._due], self._generation[self._due :]
        self._due = self._size
        self._visited = 0
        known = [
            (member, outcome)
            for member in [*self._elders, *grown]
            if (outcome := self._trials.outcome(member.key, self._full)) is not None
        ]
        if known:
            members, outcomes = (list(column) for column in zip(*known, strict=True))
            self._parents = self._variation.survivors(members, outcomes, self._size, self._random(1))
            self._elders = [individual.get("member") for individual in self._parents]

    def _birth(self) -> Member | None:
        """Return a member that there was not before, or None if a finite space has no more."""
        random = self._random()
        if len(self._elders) > 1:
            for _ in range(_MATINGS):
                for child in self._variation.children(self._parents, random):
                    if child.key not in self._born:
                        self._born.add(child.key)
                        return child
        for key in self._draws:
            if key not in self._born:
                self._born.add(key)
                return self._variation.member(key, random)
        return self._passed_over.pop(0) if self._passed_over else None

    def _is_settled(self, key: Key) -> bool:
        return self._trials.is_settled(key, self._full)

    def _random(self, purpose: int = 0) -> np.random.Generator:
        return np.random.default_rng((self._seed, len(self._born), purpose))
