"""Successive halving: many short evaluations, of which the best go on for longer."""

import math
from collections.abc import Iterator

from greenshift.optimize.problem import Key
from greenshift.optimize.ranking import best
from greenshift.optimize.trials import Slot, Trials


def bracket_sizes(eta: int, rung_count: int) -> list[list[int]]:
    """Return how many configurations each rung of each bracket has, most rungs first.

    With s + 1 rungs in all, the bracket of k + 1 rungs starts with ceil(eta^k (s + 1) / (k + 1))
    configurations (Hyperband, algorithm 1, for a budget of s + 1 full evaluations a bracket).
    """
    return [
        [math.ceil(eta**k * rung_count / (k + 1)) // eta**level for level in range(k + 1)]
        for k in reversed(range(rung_count))
    ]


class Bracket:
    """One run of successive halving."""

    def __init__(self, fidelities: tuple[float | None, ...], sizes: list[int]) -> None:
        self._fidelities = fidelities
        self._sizes = sizes
        self._level = 0
        self._members: list[Key] = []
        self._visited = 0

    @property
    def is_finished(self) -> bool:
        """Whether the last rung is decided."""
        return self._level == len(self._sizes)

    def next_slot(self, draws: Iterator[Key], trials: Trials) -> Slot | None:
        """Return the next evaluation of the current rung, or None while it is under way or when all is done."""
        while not self.is_finished:
            rung = self._fidelities[self._level]
            while (key := self._next_member(draws)) is not None:
                if not trials.is_settled(key, rung) and not trials.is_pending(key):
                    return key, rung
            if not all(trials.is_settled(key, rung) for key in self._members):
                return None
            self._promote(trials)
        return None

    def _next_member(self, draws: Iterator[Key]) -> Key | None:
        """Return the next configuration of the current rung; those of the first one are drawn when needed."""
        if self._level == 0 and self._visited == len(self._members) < self._sizes[0]:
            self._members.extend(key for key in (next(draws, None),) if key is not None)
        if self._visited == len(self._members):
            return None
        self._visited += 1
        return self._members[self._visited - 1]

    def _promote(self, trials: Trials) -> None:
        rung = self._fidelities[self._level]
        self._level += 1
        self._visited = 0
        if self.is_finished:
            return
        outcomes = [(key, outcome) for key in self._members if (outcome := trials.outcome(key, rung)) is not None]
        chosen = best([outcome for _, outcome in outcomes], self._sizes[self._level]) if outcomes else []
        self._members = [outcomes[index][0] for index in chosen]
