"""What the evaluations say: gains and costs that are to be expected of trainings that have not been made."""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from ConfigSpace import Configuration as Sample
from numpy.typing import NDArray
from scipy.special import log_ndtr, ndtr

from greenshift.optimize.fidelity import rungs
from greenshift.optimize.freezethaw.candidates import Candidates
from greenshift.optimize.freezethaw.costs import CostModel, Expense, fit_costs
from greenshift.optimize.freezethaw.encoding import Encoding
from greenshift.optimize.freezethaw.improvement import Belief, expected_improvement
from greenshift.optimize.freezethaw.quantities import Quantities
from greenshift.optimize.freezethaw.surrogate import Surrogate
from greenshift.optimize.problem import Key
from greenshift.optimize.protocol import Fidelity
from greenshift.optimize.trials import Outcome

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

_LN10 = math.log(10)


@dataclass(frozen=True)
class State:
    """A trial and how far it has come.

    Attributes:
        key: Its configuration.
        described: The same as a single candidate.
        told: Outcomes by fidelity; fidelity 1 where the problem has none.
        costs_s: What each of them cost, in s.
        pending: Fidelities that are being evaluated.
    """

    key: Key
    described: Candidates
    told: Mapping[float, Outcome]
    costs_s: Mapping[float, float]
    pending: tuple[float, ...]

    @property
    def sample(self) -> Sample:
        """The configuration as ConfigSpace's own."""
        return self.described.samples[0]

    @property
    def mark(self) -> Any:
        """Its `sample_key`."""
        return self.described.marks[0]

    @property
    def row(self) -> Vector:
        """The configuration's encoding."""
        return np.asarray(self.described.rows[0])

    @property
    def known(self) -> Vector:
        """What is known of it beforehand."""
        return np.asarray(self.described.known[0])

    @property
    def reached(self) -> float:
        """Highest fidelity that was told, 0 if none was."""
        return max(self.told, default=0.0)

    @property
    def has_failed(self) -> bool:
        """Whether an evaluation failed, at whatever fidelity."""
        return None in self.told.values()


class Model:
    """Surrogates of the uncertain objectives, the cost model and the front, all from the same evaluations."""

    def __init__(
        self, states: Sequence[State], quantities: Quantities, encoding: Encoding, fidelity: Fidelity | None, seed: int
    ) -> None:
        """Fit everything.

        Args:
            states: All trials; at least one has an outcome.
            quantities: What the objectives are.
            encoding: How the rows were made.
            fidelity: The problem's fidelity.
            seed: Seed of the surrogates.
        """
        self._quantities = quantities
        self._encoding = encoding
        self._fidelity = fidelity
        self._full = 1.0 if fidelity is None else fidelity.maximum
        self._surrogates = [self._surrogate(states, place, seed) for place in quantities.uncertain]
        self._success = (
            self._fit(states, lambda outcome: float(outcome is not None), seed) if _failures(states) else None
        )
        features = self._features(np.array([s.row for s in states]), np.array([s.known for s in states]))
        expenses = [expense for pair in zip(states, features, strict=True) for expense in _expenses(*pair)]
        self._costs: CostModel = fit_costs(expenses, features.shape[1])
        self.spent_s = sum(cost_s for state in states for cost_s in state.costs_s.values())
        scaled = self._scaled([o for state in states for o in state.told.values() if o is not None])
        self._reference = quantities.reference(scaled)
        self._front = np.vstack([self._solutions(states), self._expected(states)])

    @property
    def horizons(self) -> tuple[float, ...]:
        """Fidelities whose results are solutions, ascending: all rungs if partial ones can be used, or the full one."""
        if self._fidelity is None or not self._fidelity.partial:
            return (self._full,)
        return rungs(self._fidelity)

    def gain(self, rows: Matrix, known: Matrix, horizon: float) -> Vector:
        """Return the expected hypervolume improvement of candidates at a fidelity, limits considered, shape (n,)."""
        beliefs = self._beliefs(rows, known, horizon)
        gain = expected_improvement(self._front, self._reference, beliefs)
        if self._success is not None:
            success = self._success.believe(self._inputs(rows, horizon))
            assert success.deviation is not None
            gain = gain * ndtr((success.mean - 0.5) / success.deviation)  # least-squares classification
        for place in self._quantities.uncertain:
            limit = self._quantities.problem.limits.get(self._quantities.problem.objectives[place].name)
            if limit is not None:
                belief = beliefs[place]
                assert belief.deviation is not None
                bound = float(self._quantities.scaled(place, np.array([limit]))[0])
                bound = math.log(max(bound, 1e-300)) if belief.log else bound
                gain = gain * np.exp(log_ndtr((bound - belief.mean) / belief.deviation))
        return gain

    def cost_s(self, rows: Matrix, known: Matrix, start: Vector, horizon: float) -> Vector:
        """Return the predicted cost in s of bringing candidates from `start` to a higher fidelity, shape (n,)."""
        return self._costs.predict_s(self._features(rows, known), start, horizon)

    def _surrogate(self, states: Sequence[State], place: int, seed: int) -> Surrogate:
        return self._fit(states, lambda outcome: None if outcome is None else outcome[place], seed)

    def _fit(self, states: Sequence[State], value: Callable[[Outcome], float | None], seed: int) -> Surrogate:
        """Return a surrogate of what `value` makes of outcomes, less those of which it makes nothing."""
        told = [
            (self._input(state.row, at), found)
            for state in states
            for at, outcome in state.told.items()
            if (found := value(outcome)) is not None
        ]
        pending = [self._input(state.row, at) for state in states for at in state.pending]
        rows, values = (np.array(column) for column in zip(*told, strict=True))
        under_way = np.array(pending).reshape(len(pending), rows.shape[1])
        return Surrogate(rows, values, self._encoding.category_columns, under_way, seed)

    def _inputs(self, rows: Matrix, fidelity: float) -> Matrix:
        return np.hstack([np.full((len(rows), 1), self._log_fidelity(fidelity)), rows])

    def _input(self, row: Vector, fidelity: float) -> Vector:
        return np.concatenate([[self._log_fidelity(fidelity)], row])

    def _log_fidelity(self, value: float) -> float:
        """Return a fidelity between 0 for the minimum and 1 for the maximum, on a log scale."""
        if self._fidelity is None or self._fidelity.minimum == self._fidelity.maximum:
            return 1.0
        return 1 - math.log(self._full / value) / math.log(self._full / self._fidelity.minimum)

    def _features(self, rows: Matrix, known: Matrix) -> Matrix:
        logs = np.where(known > 0, np.log(np.maximum(known, 1e-300)), known)
        # What does not fit into a device costs it infinitely much, and tells nothing about the training's cost.
        return np.hstack([self._encoding.features(rows), np.nan_to_num(logs, nan=0.0, posinf=0.0, neginf=0.0)])

    def _beliefs(self, rows: Matrix, known: Matrix, fidelity: float) -> list[Belief]:
        """Return a belief for each objective at a fidelity, in the scale of the hypervolume."""
        objectives = self._quantities.problem.objectives
        inputs = self._inputs(rows, fidelity)
        surrogates = dict(zip(self._quantities.uncertain, self._surrogates, strict=True))
        beliefs = []
        for place, objective in enumerate(objectives):
            if place not in surrogates:
                column = known[:, self._quantities.known.index(objective.name)]
                beliefs.append(Belief(self._quantities.scaled(place, column)))
                continue
            belief = surrogates[place].believe(inputs)
            if objective.log and belief.log:
                assert belief.deviation is not None
                belief = Belief(belief.mean / _LN10, belief.deviation / _LN10)
            beliefs.append(belief)
        return beliefs

    def _scaled(self, outcomes: Sequence[Sequence[float]]) -> Matrix:
        count = len(self._quantities.problem.objectives)
        values = np.array(outcomes, dtype=float).reshape(-1, count)
        return np.stack([self._quantities.scaled(place, values[:, place]) for place in range(count)], axis=1)

    def _solutions(self, states: Sequence[State]) -> Matrix:
        """Return the points that count as found: those at full fidelity, or all if partial ones can be used too."""
        partial = self._fidelity is None or self._fidelity.partial
        return self._scaled(
            [
                outcome
                for state in states
                for at, outcome in state.told.items()
                if outcome is not None and (partial or at == self._full)
            ]
        )

    def _expected(self, states: Sequence[State]) -> Matrix:
        """Return where the trials under way are expected to end."""
        under_way = [state for state in states if state.pending]
        if not under_way:
            return np.zeros((0, len(self._quantities.problem.objectives)))
        rows = np.array([state.row for state in under_way])
        known = np.array([state.known for state in under_way])
        beliefs = self._beliefs(rows, known, self._full)
        return np.stack([np.exp(belief.mean) if belief.log else belief.mean for belief in beliefs], axis=1)


def _expenses(state: State, features: Vector) -> list[Expense]:
    """What a trial's evaluations say of costs; one that failed may have ended early, which says nothing of others."""
    return [
        Expense(features, start, end, state.costs_s[end])
        for start, end in pairwise([0.0, *sorted(state.told)])
        if state.costs_s[end] > 0 and state.told[end] is not None
    ]


def _failures(states: Sequence[State]) -> bool:
    return any(state.has_failed for state in states)
