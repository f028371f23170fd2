"""Which fidelity an offer is for."""

import math
from dataclasses import dataclass

import numpy as np
import pytest

from greenshift.optimize.freezethaw.candidates import Candidates
from greenshift.optimize.freezethaw.choice import Chooser


@dataclass(frozen=True)
class FixedModel:
    """Gains by fidelity and a cost of 1 s per unit of fidelity."""

    gains: dict[float, float]

    @property
    def horizons(self):
        return tuple(self.gains)

    def gain(self, rows, _known, horizon):
        return np.full(len(rows), self.gains[horizon])

    def cost_s(self, _rows, _known, start, horizon):
        return horizon - start


def offered(gains, starts):
    count = len(starts)
    candidates = Candidates(tuple(range(count)), np.zeros((count, 1)), np.zeros((count, 0)), tuple(range(count)))
    chooser = Chooser(FixedModel(gains), 1.0, 0.0, None)
    return chooser.offers(candidates, np.array(starts, dtype=float))


def test_the_fidelity_with_the_most_gain_per_cost_decides():
    (offer,) = offered({1.0: 0.2, 9.0: 0.9}, [0])
    assert offer.score == pytest.approx(math.log(0.2))
    assert offer.gain_per_s == pytest.approx(0.2)
    (offer,) = offered({1.0: 0.05, 9.0: 0.9}, [0])
    assert offer.gain_per_s == pytest.approx(0.1)


def test_a_fidelity_that_was_reached_promises_nothing_more():
    fresh, paused = offered({1.0: 0.9, 9.0: 0.8}, [0, 1])
    assert fresh.gain_per_s == pytest.approx(0.9)
    assert paused.gain_per_s == pytest.approx(0.1)


def test_only_the_full_fidelity_counts_where_partial_results_are_no_solutions():
    (offer,) = offered({9.0: 0.9}, [0])
    assert offer.gain_per_s == pytest.approx(0.1)
