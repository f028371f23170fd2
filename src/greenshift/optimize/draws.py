"""The random configurations of a seed: one sequence, whatever is told."""

import copy
from collections.abc import Iterator

from ConfigSpace import ConfigurationSpace

from greenshift.optimize.problem import Key, Problem, configuration_key

_BATCH = 32
_PATIENCE = 30


def distinct_draws(problem: Problem) -> Iterator[Key]:
    """Return configurations drawn from the space's own distribution, each once, in an order fixed by the seed.

    A finite space counts as exhausted when thirty times as many draws in a row as there are known
    configurations brought nothing new: the chance to miss one of n equally likely ones is about e^-30.

    Args:
        problem: Gives the space, of which a copy is drawn from, and the seed.
    """
    space = copy.deepcopy(problem.space)
    space.seed(problem.seed)
    return _draw(space)


def _draw(space: ConfigurationSpace) -> Iterator[Key]:
    drawn: set[Key] = set()
    repeats = 0
    while repeats <= _PATIENCE * (len(drawn) + _BATCH):
        for sample in space.sample_configuration(size=_BATCH):
            key = configuration_key(sample)
            repeats = repeats + 1 if key in drawn else 0
            if key not in drawn:
                drawn.add(key)
                yield key
