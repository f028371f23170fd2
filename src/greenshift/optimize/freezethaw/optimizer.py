"""Pareto freeze-thaw: which training to begin or to take up again, for the most hypervolume per second.

Every step either begins a new configuration or goes on with one that was paused, for one rung. It takes whichever
promises the most expected hypervolume improvement per predicted cost, at whichever fidelity that is: the full one, or
a lower one where partly trained networks count as well. The idea of pausing and resuming trainings is Swersky, Snoek
and Adams' (2014, arXiv 1406.3896); that objectives known before training enter exactly, and the closed form for it,
see `improvement`.
"""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenshift.optimize.brackets import Bracket
from greenshift.optimize.draws import distinct_draws
from greenshift.optimize.fidelity import rungs
from greenshift.optimize.freezethaw.beliefs import Model, State
from greenshift.optimize.freezethaw.candidates import Candidates, Source, joined
from greenshift.optimize.freezethaw.choice import Chooser, on_front
from greenshift.optimize.freezethaw.encoding import make_encoding
from greenshift.optimize.freezethaw.quantities import Quantities
from greenshift.optimize.problem import Key, Problem, configuration_key
from greenshift.optimize.stepwise import StepwiseOptimizer
from greenshift.optimize.trials import Slot

Vector = NDArray[np.float64]


@dataclass(frozen=True)
class Settings:
    """Choices of the method, and what an ablation switches off.

    Attributes:
        initial: Random configurations of the first bracket of successive halving, before the model is asked.
        floor: Share of random proposals, so that neither a wrong model nor a wrong prior can lock the search.
        cost_exponent: Power of the predicted cost that the expected gain is divided by at first.
        cooling: Full trainings after which that power has gone down to zero, so that what is expensive gets
            its turn; 0 to keep it.
        prior_trials: Trials after which a prior counts half.
    """

    initial: int = 12
    floor: float = 0.05
    cost_exponent: float = 1.0
    cooling: float = 40.0
    prior_trials: int = 10


class FreezeThawOptimizer(StepwiseOptimizer):
    """The method behind the ask/tell protocol.

    What is proposed depends on the seed, on what was told and on what is under way, not on the order: a search that
    is resumed by telling its evaluations again goes on as if it had not stopped.
    """

    def __init__(self, problem: Problem, settings: Settings | None = None) -> None:
        """Set up the search of a problem."""
        super().__init__(problem)
        self._problem = problem
        self._settings = settings or Settings()
        self._rungs: tuple[float | None, ...] = (None,) if problem.fidelity is None else rungs(problem.fidelity)
        self._quantities = Quantities.of(problem)
        self._encoding = make_encoding(problem.space)
        self._source = Source(problem, self._encoding, self._quantities)
        self._draws = distinct_draws(problem)
        self._described: dict[Key, Candidates] = {}
        self._opening: tuple[Bracket, Iterator[Key]] | None = None
        self._gain_per_s: float | None = None

    def expected_gain_per_s(self) -> float | None:
        """Return the hypervolume per second of cost that the last proposal promised, or None before the model's first.

        The hypervolume is that of the objectives as they are, those that are `log` as their decadic logarithm.
        """
        return self._gain_per_s

    def _next_slot(self) -> Slot | None:
        states = self._states()
        step = sum(len(state.told) + len(state.pending) for state in states)
        rng = np.random.default_rng([self._problem.seed, step])
        if (slot := self._next_of_opening()) is not None:
            return slot
        seen = {state.mark for state in states}
        fresh = self._admit(self._source.pool(step), seen)
        chosen = None
        if rng.random() >= self._settings.floor and any(o for state in states for o in state.told.values()):
            chosen = self._most_promising(states, fresh, seen, rng)
        return chosen or self._random(fresh, states, rng) or self._unfinished(states)

    def _states(self) -> list[State]:
        states = []
        for key in self._trials.configurations():
            if key not in self._described:
                self._described[key] = self._source.describe([self._source.sample(dict(key))])
            outcomes = self._trials.outcomes(key)
            states.append(
                State(
                    key,
                    self._described[key],
                    told={_number(at): outcome for at, outcome in outcomes.items()},
                    costs_s={_number(at): self._trials.cost_s(key, at) for at in outcomes},
                    pending=tuple(map(_number, self._trials.pending(key))),
                )
            )
        return states

    def _next_of_opening(self) -> Slot | None:
        """Return the next evaluation of a first bracket of successive halving: a warm start, then spread-out ones."""
        if self._opening is None:
            first = self._first_configurations()
            eta = 1 if self._problem.fidelity is None else self._problem.fidelity.eta
            sizes = [max(1, len(first) // eta**level) for level in range(len(self._rungs))]
            self._opening = Bracket(self._rungs, sizes), iter(first)
        bracket, draws = self._opening
        return bracket.next_slot(draws, self._trials)

    def _first_configurations(self) -> list[Key]:
        """Return the warm start, the default and, from the first pool, whatever lies farthest from those before it."""
        default = self._problem.space.get_default_configuration()
        chosen = self._source.describe([*map(self._source.sample, self._problem.warm_start), default])
        chosen = self._admit(chosen, set())
        pool = self._admit(self._source.pool(0), set(chosen.marks))
        count = max(self._settings.initial, len(chosen.samples) + self._settings.initial // 3)
        for _ in range(min(count - len(chosen.samples), len(pool.samples))):
            distances = np.square(pool.rows[:, None, :] - chosen.rows[None, :, :]).sum(-1).min(1, initial=np.inf)
            chosen = joined([chosen, pool.take([int(distances.argmax())])])
        return list(dict.fromkeys(configuration_key(sample) for sample in chosen.samples))

    def _admit(self, candidates: Candidates, seen: Collection[Any]) -> Candidates:
        """Return candidates once each, less those that were proposed or break a limit."""
        distinct = {mark: index for index, mark in enumerate(candidates.marks) if mark not in seen}
        feasible = self._quantities.feasible(candidates.known)
        return candidates.take([index for index in distinct.values() if feasible[index]])

    def _random(self, fresh: Candidates, states: Sequence[State], rng: np.random.Generator) -> Slot | None:
        """Return a new random configuration at the lowest rung, None if there is none."""
        if len(fresh.samples):
            return configuration_key(fresh.samples[int(rng.integers(len(fresh.samples)))]), self._rungs[0]
        seen = {state.key for state in states}
        key = next((key for key in self._draws if key not in seen), None)
        return None if key is None else (key, self._rungs[0])

    def _unfinished(self, states: Sequence[State]) -> Slot | None:
        """Return the next rung of any trial that can go on."""
        return next((self._next_rung(state) for state in states if self._can_go_on(state)), None)

    def _can_go_on(self, state: State) -> bool:
        return not state.pending and not state.has_failed and state.reached < _number(self._rungs[-1])

    def _next_rung(self, state: State) -> Slot:
        return state.key, next(rung for rung in self._rungs if _number(rung) > state.reached)

    def _most_promising(
        self, states: Sequence[State], fresh: Candidates, seen: Collection[Any], rng: np.random.Generator
    ) -> Slot | None:
        """Return what promises the most gain per cost, None if nothing promises any."""
        model = Model(states, self._quantities, self._encoding, self._problem.fidelity, self._problem.seed)
        chooser = Chooser(model, self._cost_exponent(model), self._prior_weight(len(states)), self._source)
        told = [state for state in states if any(state.told.values())]
        incumbents = on_front(
            [state.sample for state in told],
            np.array([np.min([o for o in state.told.values() if o is not None], axis=0) for state in told]),
        )
        new = chooser.best_new(fresh, incumbents, lambda near: self._admit(near, seen), rng)
        paused = [state for state in states if self._can_go_on(state) and state.told]
        reached = np.array([state.reached for state in paused])
        going_on = chooser.offers(joined([state.described for state in paused]), reached) if paused else []
        best = max(going_on, key=lambda offer: offer.score, default=None)
        if best is not None and np.isfinite(best.score) and (new is None or best.score >= new.score):
            self._gain_per_s = best.gain_per_s
            return self._next_rung(paused[going_on.index(best)])
        self._gain_per_s = 0.0 if new is None else new.gain_per_s
        return None if new is None else (configuration_key(new.sample), self._rungs[0])

    def _cost_exponent(self, model: Model) -> float:
        """Return the power of the cost, which goes down to zero with what has been spent."""
        if not self._settings.cooling:
            return self._settings.cost_exponent
        pool = self._source.pool(0)
        nothing = np.zeros(len(pool.rows))
        full_s = float(np.median(model.cost_s(pool.rows, pool.known, nothing, model.horizons[-1])))
        return self._settings.cost_exponent * max(0.0, 1 - model.spent_s / (self._settings.cooling * full_s))

    def _prior_weight(self, trials: int) -> float:
        """Return the weight of the prior, which goes down with the trials (Hvarfner et al. 2022, piBO)."""
        if not self._problem.prior:
            return 0.0
        return self._settings.prior_trials / (self._settings.prior_trials + trials)


def _number(fidelity: float | None) -> float:
    return 1.0 if fidelity is None else fidelity
