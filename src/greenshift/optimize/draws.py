"""The random configurations of a seed: one sequence, whatever is told."""

import copy
from collections.abc import Iterable, Iterator

from ConfigSpace import ConfigurationSpace

from greenshift.optimize.problem import Key, Problem, configuration_key

_BATCH = 32
_PATIENCE = 30


def distinct_draws(problem: Problem) -> Iterator[Key]:
    """Return the problem's warm start, then configurations drawn from the space's own distribution, each once.

    The order is fixed by the seed.
    A finite space counts as exhausted when thirty times as many draws in a row as there are known
    configurations brought nothing new: the chance to miss one of n equally likely ones is about e^-30.

    Args:
        problem: Gives the space, of which a copy is drawn from, the seed and the warm start.
    """
    space = copy.deepcopy(problem.space)
    space.seed(problem.seed)
    return _draw(space, dict.fromkeys(map(configuration_key, problem.warm_start)))


def _draw(space: ConfigurationSpace, first: Iterable[Key]) -> Iterator[Key]:
    yield from first
    drawn = set(first)
    repeats = 0
    while repeats <= _PATIENCE * (len(drawn) + _BATCH):
        for sample in space.sample_configuration(size=_BATCH):
            key = configuration_key(sample)
            repeats = repeats + 1 if key in drawn else 0
            if key not in drawn:
                drawn.add(key)
                yield key
