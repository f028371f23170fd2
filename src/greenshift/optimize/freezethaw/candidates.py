"""Where the next proposal may come from: random configurations of the space and neighbours of good ones."""

import copy
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from ConfigSpace import Configuration as Sample
from ConfigSpace import ConfigurationSpace
from ConfigSpace.hyperparameters import CategoricalHyperparameter, FloatHyperparameter, OrdinalHyperparameter
from ConfigSpace.hyperparameters.hp_components import ROUND_PLACES
from ConfigSpace.util import deactivate_inactive_hyperparameters, get_one_exchange_neighbourhood
from numpy.typing import NDArray

from greenshift.optimize.freezethaw.encoding import Encoding
from greenshift.optimize.freezethaw.quantities import Quantities
from greenshift.optimize.problem import Problem, plain_configuration
from greenshift.optimize.protocol import Configuration

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

POOL = 500
# Steps for which one pool serves: drawing it, and working out what is known of its members, takes time.
BLOCK = 16
_NEIGHBOURS = 4
_KEPT_POOLS = 4
_PRIOR_DEVIATION = 0.2


@dataclass(frozen=True)
class Candidates:
    """Configurations with what is known of them before any evaluation.

    Attributes:
        samples: The configurations.
        rows: Their encoding, shape (n, columns).
        known: Quantities known beforehand, shape (n, quantities).
        marks: What tells them apart, see `sample_key`.
    """

    samples: tuple[Sample, ...]
    rows: Matrix
    known: Matrix
    marks: tuple[Any, ...]

    def take(self, indices: Sequence[int] | NDArray[np.intp]) -> "Candidates":
        """Return some of them, in the order of `indices`."""
        chosen = np.asarray(indices, dtype=int)
        return Candidates(
            tuple(self.samples[i] for i in chosen),
            self.rows[chosen],
            self.known[chosen],
            tuple(self.marks[i] for i in chosen),
        )


def joined(parts: Sequence[Candidates]) -> Candidates:
    """Return all candidates of at least one part, in order."""
    return Candidates(
        tuple(sample for part in parts for sample in part.samples),
        np.vstack([part.rows for part in parts]),
        np.vstack([part.known for part in parts]),
        tuple(mark for part in parts for mark in part.marks),
    )


class Source:
    """Makes candidates. What it makes depends on the problem, its seed and the step only."""

    def __init__(self, problem: Problem, encoding: Encoding, quantities: Quantities) -> None:
        """Prepare to draw.

        Args:
            problem: Gives the space, of which a copy is drawn from, the seed and the prior.
            encoding: How configurations become rows.
            quantities: What is known of a configuration; asked once for each.
        """
        self._space = copy.deepcopy(problem.space)
        self._seed = problem.seed
        self._prior = problem.prior
        self._encoding = encoding
        self._quantities = quantities
        self._cache: dict[Any, tuple[float, ...]] = {}
        self._pools: dict[int, Candidates] = {}

    def describe(self, samples: Iterable[Sample]) -> Candidates:
        """Return configurations with their rows and what is known of them."""
        chosen = tuple(samples)
        marks = tuple(map(sample_key, chosen))
        new = {mark: sample for mark, sample in zip(marks, chosen, strict=True) if mark not in self._cache}
        for mark, configuration in zip(new, plain_configurations(self._space, tuple(new.values())), strict=True):
            self._cache[mark] = tuple(self._quantities.known_values(configuration))
        known = np.array([self._cache[mark] for mark in marks], dtype=float)
        known = known.reshape(len(chosen), len(self._quantities.known))
        return Candidates(chosen, self._encoding.rows(chosen), known, marks)

    def sample(self, configuration: Mapping[str, Any]) -> Sample:
        """Return a legal configuration as ConfigSpace's own."""
        return Sample(self._space, values=dict(configuration))

    def pool(self, step: int) -> Candidates:
        """Return the random candidates of a step; with a prior every fifth of them follows it."""
        block = step // BLOCK
        if block not in self._pools:
            self._space.seed(int(np.random.default_rng([self._seed, block]).integers(2**31)))
            samples = list(self._space.sample_configuration(POOL))
            if self._prior:
                samples[::5] = [self._following_prior(sample) for sample in samples[::5]]
            self._pools = dict(list(self._pools.items())[1 - _KEPT_POOLS :])
            self._pools[block] = self.describe({sample_key(sample): sample for sample in samples}.values())
        return self._pools[block]

    def neighbours(self, centres: Iterable[Sample], deviation: float, rng: np.random.Generator) -> list[Sample]:
        """Return configurations that differ from a centre in one hyperparameter.

        Args:
            centres: Configurations.
            deviation: Standard deviation of a number's step, as a share of its range.
            rng: Chooses the steps.
        """
        found: list[Sample] = []
        for centre in centres:
            found += _neighbourhood(centre, int(rng.integers(2**31)), deviation)
        return found

    def prior_score(self, samples: Sequence[Sample]) -> Vector:
        """Return the logarithm, up to a constant, of how well configurations follow the prior, shape (n,).

        A number is believed to be normal around its value with a fifth of its range as standard deviation; another
        category is e squared times less likely.
        """
        scores = np.zeros(len(samples))
        vectors = np.array([sample.get_array() for sample in samples])
        for index, (name, hyperparameter) in enumerate(self._space.items()):
            if name in (self._prior or {}):
                away = vectors[:, index] - float(hyperparameter.to_vector((self._prior or {})[name]))
                if isinstance(hyperparameter, CategoricalHyperparameter):
                    scores -= np.where(away == 0, 0.0, 2.0)
                else:
                    span = 1
                    if isinstance(hyperparameter, OrdinalHyperparameter):
                        span = max(len(hyperparameter.sequence) - 1, 1)
                    scores -= np.nan_to_num(away / span, nan=1.0) ** 2 / (2 * _PRIOR_DEVIATION**2)
        return scores

    def _following_prior(self, sample: Sample) -> Sample:
        values = {**plain_configuration(self._space.get_default_configuration()), **dict(sample), **(self._prior or {})}
        try:
            return deactivate_inactive_hyperparameters(values, self._space)
        except ValueError:  # a forbidden combination: the draw stays as it was
            return sample


def _neighbourhood(centre: Sample, seed: int, deviation: float) -> list[Sample]:
    """Return the neighbours of a configuration, fewer of each number where ConfigSpace does not find as many.

    It draws until it has as many different values of a number as it was asked for, and gives up with a ValueError
    now and then where there are hardly more.
    """
    for count in range(_NEIGHBOURS, 0, -1):
        try:
            return list(get_one_exchange_neighbourhood(centre, seed=seed, num_neighbors=count, stdev=deviation))
        except ValueError:
            continue
    return []


def plain_configurations(space: ConfigurationSpace, samples: Sequence[Sample]) -> list[Configuration]:
    """Return what `plain_configuration` makes of each, a hyperparameter at a time, which is many times faster."""
    vectors = np.array([sample.get_array() for sample in samples], dtype=float).reshape(len(samples), len(space))
    plain: list[Configuration] = [{} for _ in samples]
    for name in sorted(space):
        hyperparameter, column = space[name], vectors[:, space.index_of[name]]
        active = np.flatnonzero(np.isfinite(column))
        if not len(active):
            continue
        values = np.asarray(hyperparameter.to_value(column[active]))
        if isinstance(hyperparameter, FloatHyperparameter):
            values = np.round(values, ROUND_PLACES)  # as ConfigSpace does when asked for a single value
        for place, value in zip(active, values.tolist(), strict=True):
            plain[place][name] = value
    return plain


def sample_key(sample: Sample) -> Any:
    """Return what makes two of ConfigSpace's configurations the same one, faster than by their values."""
    return sample.get_array().round(9).tobytes()
