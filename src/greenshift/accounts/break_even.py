"""When a search has paid for itself: energy spent before the first inference over energy saved by each."""

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenshift.accounts.stages import cost_amount
from greenshift.amounts import Amount, Fleet
from greenshift.front import REFERENCE_BASELINE
from greenshift.records import Evaluation

DRAWS = 10_000
SEED = 0

# Assumption: of the variance of one cost model's logarithmic error half is the same for all networks on a
# target (clock, supply, active power), and half is each network's own (its kernels, its memory traffic).
COMMON_SHARE = 0.5

_Z95 = 1.6448536269514722  # 95 % point of the normal distribution: a factor spans 9 draws in 10
_LOW, _HIGH = 0.05, 0.95


@dataclass(frozen=True)
class Reference:
    """A network that could be shipped without a search.

    Attributes:
        label: Name of the baseline.
        energy: Modelled energy of one inference.
        training_j: Energy of its own training, which shipping it would have taken; 0 if it was not trained.
        error: Validation error as a share, or None if it is not known.
    """

    label: str
    energy: Amount
    training_j: float = 0.0
    error: float | None = None


@dataclass(frozen=True)
class Payback:
    """How often something has to be used until it has paid for itself.

    Attributes:
        inferences: Central estimate; infinite if nothing is saved, None if the energy spent is unknown.
        interval: From the 5 % to the 95 % point, either may be infinite; None if the energy spent is unknown.
        probability: That a use saves anything, so that it pays back at some time.
    """

    inferences: float | None
    interval: tuple[float, float] | None
    probability: float


@dataclass(frozen=True)
class BreakEven:
    """How many inferences pay for the search, if one front point is shipped instead of one baseline.

    Attributes:
        trial: The front point.
        baseline: Label of the baseline.
        saved_j: Energy saved per inference on the target, in J; zero or negative if nothing is saved.
        error_difference: Error of the front point less that of the baseline, as a share, or None if either
            is not known.
        payback: The number of inferences with its interval.
    """

    trial: int
    baseline: str
    saved_j: float
    error_difference: float | None
    payback: Payback

    @property
    def inferences(self) -> float | None:
        """Inferences until the energy is paid back, infinite if nothing is saved, None if it is not known."""
        return self.payback.inferences

    @property
    def verdict(self) -> str:
        """`pays back`, `does not pay back` or `unknown`."""
        if self.inferences is None:
            return "unknown"
        return "pays back" if math.isfinite(self.inferences) else "does not pay back"

    def to_json(self, fleet: Fleet | None = None) -> dict[str, Any]:
        """Return the break-even as a JSON object; None stands for infinite, the verdict tells it from unknown."""
        interval = self.payback.interval
        data: dict[str, Any] = {
            "trial": self.trial,
            "baseline": self.baseline,
            "inferences": _finite(self.inferences),
            "interval": None if interval is None else [_finite(bound) for bound in interval],
            "probability": self.payback.probability,
            "verdict": self.verdict,
            "saved_j": self.saved_j,
            "error_difference": self.error_difference,
        }
        if fleet is not None:
            times = [_finite(fleet_time_s(bound, fleet)) for bound in interval or ()]
            data |= {"time_s": _finite(fleet_time_s(self.inferences, fleet)), "time_interval_s": times or None}
        return data


def break_even(upfront: Amount | None, dearer: Amount, cheaper: Amount) -> Payback:
    """Return after how many inferences an expense has paid for itself: N = E_upfront / (e_dearer - e_cheaper).

    The interval comes from a seeded Monte Carlo over log-normal errors whose factors span 9 draws in 10.
    Both inferences are of one cost model: `COMMON_SHARE` of the smaller variance is one error for both,
    which scales what is saved but cannot turn its sign.

    Args:
        upfront: Energy spent before the first inference, or None if it is not known.
        dearer: Energy of one inference without the expense.
        cheaper: Energy of one inference after it.
    """
    saved_j = dearer.energy_j - cheaper.energy_j
    saved = saved_draws(dearer, cheaper)
    probability = float(np.mean(saved > 0))
    if upfront is None:
        return Payback(None if saved_j > 0 else math.inf, None, probability)
    spent = upfront.energy_j * np.exp(_sigma(upfront.factor) * _normal()[3])
    counts = np.where(saved > 0, spent / np.where(saved > 0, saved, 1.0), np.inf)
    low, high = np.quantile(counts, (_LOW, _HIGH), method="inverted_cdf")
    return Payback(upfront.energy_j / saved_j if saved_j > 0 else math.inf, (float(low), float(high)), probability)


def saved_draws(dearer: Amount, cheaper: Amount) -> NDArray[np.float64]:
    """Return draws of the energy that one inference saves in J, negative where it costs more."""
    sigmas = _sigma(dearer.factor), _sigma(cheaper.factor)
    common = math.sqrt(COMMON_SHARE) * min(sigmas)
    shared, *own = _normal()[:3]
    energies = [
        amount.energy_j * np.exp(common * shared + math.sqrt(sigma**2 - common**2) * draw)
        for amount, sigma, draw in zip((dearer, cheaper), sigmas, own, strict=True)
    ]
    difference: NDArray[np.float64] = energies[0] - energies[1]
    return difference


def saved_interval(dearer: Amount, cheaper: Amount) -> tuple[float, float]:
    """Return the 5 % and the 95 % point of what one inference saves in J, at least 0."""
    low, high = np.quantile(saved_draws(dearer, cheaper), (_LOW, _HIGH), method="inverted_cdf")
    return max(0.0, float(low)), max(0.0, float(high))


def references(evaluations: Iterable[Evaluation], known: Mapping[str, float] | None = None) -> list[Reference]:
    """Return the networks to hold a front against: the finished baselines, and float32 in any case.

    Args:
        evaluations: The study's evaluations.
        known: Cost of the untrained float32 network (`Store.facts()["float32"]`), which stands in where no
            float32 baseline was trained, with the cost model's uncertainty for the other networks.
    """
    history = list(evaluations)
    found = [
        Reference(e.label, energy, e.reading.energy_j or 0.0, e.objectives.get("error"))
        for e in history
        if e.label is not None and e.outcome == "ok" and (energy := cost_amount(e)) is not None
    ]
    factors = [amount.factor for e in history if (amount := cost_amount(e)) is not None]
    if known and factors and REFERENCE_BASELINE not in [reference.label for reference in found]:
        found.insert(0, Reference(REFERENCE_BASELINE, Amount(known["energy_j"], max(factors))))
    return found


def break_evens(
    front: Sequence[Evaluation],
    against: Iterable[Reference],
    upfront: Amount | None,
    labels: Collection[str] | None = None,
) -> tuple[BreakEven, ...]:
    """Return the break-even of every front point against every baseline.

    A baseline's own training is taken off what was spent: shipping it would have cost that too.

    Args:
        front: Front points; those without a cost on the target are left out.
        against: The baselines.
        upfront: Energy before the first inference, or None if it is not known (`Account.upfront`).
        labels: Only these baselines, all if left out.
    """
    chosen = [reference for reference in against if labels is None or reference.label in labels]
    return tuple(
        _against(point, energy, reference, upfront)
        for point in front
        if (energy := cost_amount(point)) is not None
        for reference in chosen
    )


def fleet_time_s(inferences: float | None, fleet: Fleet) -> float | None:
    """Return how long a fleet takes for so many inferences, in s."""
    return None if inferences is None else inferences / fleet.inferences_per_s


def _against(point: Evaluation, energy: Amount, reference: Reference, upfront: Amount | None) -> BreakEven:
    error = point.objectives.get("error")
    difference = None if error is None or reference.error is None else error - reference.error
    extra = None if upfront is None else Amount(max(0.0, upfront.energy_j - reference.training_j), upfront.factor)
    payback = break_even(extra, reference.energy, energy)
    return BreakEven(point.trial, reference.label, reference.energy.energy_j - energy.energy_j, difference, payback)


def _sigma(factor: float) -> float:
    """Standard deviation of the logarithm of what is known within a factor 9 times in 10."""
    return math.log(factor) / _Z95


@lru_cache(maxsize=1)
def _normal() -> NDArray[np.float64]:
    """The same draws for every comparison, so that front points differ by themselves and not by chance."""
    return np.random.default_rng(SEED).standard_normal((4, DRAWS))


def _finite(value: float | None) -> float | None:
    return value if value is not None and math.isfinite(value) else None
