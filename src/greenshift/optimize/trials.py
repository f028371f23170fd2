"""The memory of an optimizer: which trial is which configuration, what is under way and what came of it."""

from collections.abc import Mapping
from typing import Any

from greenshift.errors import InputError
from greenshift.optimize.fidelity import proposed_fidelity
from greenshift.optimize.problem import Key, Problem, configuration_key, objective_values, told_configuration
from greenshift.optimize.protocol import Proposal, Status

Slot = tuple[Key, float | None]  # a configuration and a fidelity, as proposals carry it
Outcome = tuple[float, ...] | None  # the objectives in order; None for an evaluation that failed


class Trials:
    """Numbers configurations in the order in which they become known and keeps their outcomes by fidelity.

    A study without a fidelity has one rung, None.
    """

    def __init__(self, problem: Problem) -> None:
        """Start with an empty memory."""
        self._problem = problem
        self._numbers: dict[Key, int] = {}
        self._keys: dict[int, Key] = {}
        self._next = 0
        self._pending: dict[Key, float | None] = {}
        self._outcomes: dict[Key, dict[float | None, Outcome]] = {}
        self._costs_s: dict[Slot, float] = {}

    def propose(self, key: Key, fidelity: float | None) -> Proposal:
        """Return a proposal for a configuration, which is under way from now on."""
        if key not in self._numbers:
            self._enter(self._next, key)
        self._pending[key] = fidelity
        return Proposal(self._numbers[key], dict(key), fidelity)

    def tell(
        self,
        trial: int,
        fidelity: float | None,
        objectives: Mapping[str, float] | None,
        status: Status,
        configuration: Mapping[str, Any] | None,
        cost_s: float,
    ) -> None:
        """Keep the outcome of an evaluation and what it cost; one that is told twice counts once.

        Raises:
            InputError: If the trial is unknown and `configuration` is missing or not in the space, if the
                trial is known with another configuration, or if an objective is missing.
        """
        outcome = objective_values(self._problem.objectives, objectives, status)
        if trial not in self._keys or configuration is not None:
            key = configuration_key(told_configuration(self._problem, trial, configuration))
            if self._keys.get(trial, key) != key:
                raise InputError(
                    f"tell: trial {trial} is another configuration here; tell pending trials before asking"
                )
            self._enter(trial, key)
        key, rung = self._keys[trial], self._rung(fidelity)
        self._outcomes.setdefault(key, {}).setdefault(rung, outcome)
        self._costs_s.setdefault((key, rung), cost_s)
        if key in self._pending and self._pending[key] == rung:
            del self._pending[key]

    def configurations(self) -> tuple[Key, ...]:
        """Return the configurations in the order of their trial numbers."""
        return tuple(sorted(self._numbers, key=self._numbers.__getitem__))

    def outcomes(self, key: Key) -> Mapping[float | None, Outcome]:
        """Return what came of a configuration, by fidelity."""
        return self._outcomes.get(key, {})

    def cost_s(self, key: Key, fidelity: float | None) -> float:
        """Return the seconds that a told evaluation took."""
        return self._costs_s[key, fidelity]

    def pending(self, key: Key) -> tuple[float | None, ...]:
        """Return the fidelity at which a configuration is being evaluated, nothing if it is not."""
        return (self._pending[key],) if key in self._pending else ()

    def is_pending(self, key: Key) -> bool:
        """Return whether an evaluation of a configuration is under way, at whatever fidelity."""
        return key in self._pending

    def is_settled(self, key: Key, rung: float | None) -> bool:
        """Return whether a configuration was evaluated at a rung or above it."""
        return self._settling(key, rung) is not None

    def outcome(self, key: Key, rung: float | None) -> Outcome:
        """Return what came of a settled configuration at a rung, or at the nearest one above that was told."""
        settling = self._settling(key, rung)
        return None if settling is None else settling[0]

    def has_failed(self, key: Key) -> bool:
        """Return whether an evaluation of a configuration failed, at whatever fidelity."""
        return None in self._outcomes.get(key, {}).values()

    def _settling(self, key: Key, rung: float | None) -> tuple[Outcome] | None:
        told = self._outcomes.get(key, {})
        if rung in told:
            return (told[rung],)
        above = [value for value in told if value is not None and rung is not None and value > rung]
        return (told[min(above)],) if above else None

    def _enter(self, trial: int, key: Key) -> None:
        self._keys[trial] = key
        self._numbers.setdefault(key, trial)
        self._next = max(self._next, trial + 1)

    def _rung(self, value: float | None) -> float | None:
        """Return a told fidelity as proposals carry it; full if it is not given, None if the study has none."""
        fidelity = self._problem.fidelity
        if fidelity is None:
            return None
        return proposed_fidelity(fidelity, fidelity.maximum if value is None else value)
