"""Which candidate promises the most: expected gain over cost, searched for among random ones and their neighbours."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from ConfigSpace import Configuration as Sample
from numpy.typing import NDArray

from greenshift.optimize.freezethaw.beliefs import Model
from greenshift.optimize.freezethaw.candidates import Candidates, Source
from greenshift.pareto import non_dominated

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

# Steps of the local search, as shares of a number's range, and how many configurations it goes on from.
_DEVIATIONS = (0.2, 0.07)
_CENTRES = 5

# Candidates whose gain is looked at for lower fidelities too.
_SCREENED = 100


@dataclass(frozen=True)
class Offer:
    """A candidate with what it promises.

    Attributes:
        sample: The configuration.
        score: Logarithm of gain over cost, minus infinity if no gain is expected.
        gain_per_s: Expected hypervolume improvement over predicted cost.
    """

    sample: Sample
    score: float
    gain_per_s: float


@dataclass(frozen=True)
class Chooser:
    """Scores candidates.

    Attributes:
        model: Gains and costs.
        cost_exponent: Power of the cost that a gain is divided by.
        prior_weight: Weight of the prior.
        source: Makes candidates.
    """

    model: Model
    cost_exponent: float
    prior_weight: float
    source: Source

    def offers(self, candidates: Candidates, start: Vector) -> list[Offer]:
        """Return the offers of candidates that have reached the fidelities `start`, shape (n,), in their order.

        An offer is for the fidelity with the most gain per cost on the way to the full one. The lower ones are looked
        at only for the candidates that promise most at the full one, which saves most of the time.
        """
        if not len(candidates.samples):
            return []
        *lower, full = self.model.horizons
        scores, rates = self._scores(candidates, start, full)
        screened = np.argsort(-scores, kind="stable")[:_SCREENED]
        for horizon in lower:
            chosen = screened[start[screened] < horizon]
            found, found_rates = self._scores(candidates.take(chosen.tolist()), start[chosen], horizon)
            better = found > scores[chosen]
            scores[chosen[better]], rates[chosen[better]] = found[better], found_rates[better]
        if self.prior_weight:
            scores = scores + self.prior_weight * self.source.prior_score(candidates.samples)
        return [
            Offer(sample, float(score), float(rate))
            for sample, score, rate in zip(candidates.samples, scores, rates, strict=True)
        ]

    def _scores(self, candidates: Candidates, start: Vector, horizon: float) -> tuple[Vector, Vector]:
        """Return the scores and the gains per s of candidates that are brought from `start` to a fidelity."""
        gain = self.model.gain(candidates.rows, candidates.known, horizon)
        cost_s = np.maximum(self.model.cost_s(candidates.rows, candidates.known, start, horizon), 1e-12)
        with np.errstate(divide="ignore"):
            return np.log(gain) - self.cost_exponent * np.log(cost_s), gain / cost_s

    def best_new(
        self,
        fresh: Candidates,
        incumbents: Sequence[Sample],
        admit: Callable[[Candidates], Candidates],
        rng: np.random.Generator,
    ) -> Offer | None:
        """Return the best offer of a new configuration, after a local search around good ones.

        Args:
            fresh: Random candidates.
            incumbents: Configurations of the front, to look around.
            admit: Leaves out what may not be proposed.
            rng: Chooses neighbours.
        """
        offers = _top(self.offers(fresh, np.zeros(len(fresh.samples))))
        if len(incumbents) > _CENTRES:
            incumbents = [incumbents[i] for i in rng.choice(len(incumbents), _CENTRES, replace=False)]
        centres = [*(offer.sample for offer in offers), *incumbents]
        for deviation in _DEVIATIONS:
            near = admit(self.source.describe(self.source.neighbours(centres, deviation, rng)))
            offers = _top([*offers, *self.offers(near, np.zeros(len(near.samples)))])
            centres = [offer.sample for offer in offers]
        return offers[0] if offers else None


def _top(offers: Sequence[Offer]) -> list[Offer]:
    """Return the best offers that promise anything, best first."""
    promising = [offer for offer in offers if np.isfinite(offer.score)]
    return sorted(promising, key=lambda offer: -offer.score)[:_CENTRES]


def on_front(samples: Sequence[Sample], points: Matrix) -> list[Sample]:
    """Return the configurations whose points, shape (n, objectives), no other point dominates."""
    return [sample for sample, free in zip(samples, non_dominated(points), strict=True) if free]
