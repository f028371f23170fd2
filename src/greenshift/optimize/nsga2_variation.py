"""NSGA-II's operators, which are pymoo's, on the configurations of a ConfigSpace.

A genome has one gene per hyperparameter, active or not: a number in ConfigSpace's own vector for numeric
and ordinal ones, so that scales and steps are the space's, and a choice for categorical ones. What is
inactive is inherited all the same, as in nature, and left out of the configuration.
"""

import copy
from dataclasses import dataclass
from typing import Any

import numpy as np
from ConfigSpace import Configuration, ConfigurationSpace
from ConfigSpace.exceptions import ForbiddenValueError
from ConfigSpace.hyperparameters import (
    CategoricalHyperparameter,
    Constant,
    Hyperparameter,
    OrdinalHyperparameter,
)
from ConfigSpace.util import deactivate_inactive_hyperparameters
from pymoo.algorithms.moo.nsga2 import NSGA2, binary_tournament
from pymoo.core.mixed import MixedVariableMating
from pymoo.core.population import Population
from pymoo.core.problem import Problem as Variables
from pymoo.core.variable import Choice, Real
from pymoo.operators.crossover.sbx import SBX
from pymoo.operators.crossover.ux import UX
from pymoo.operators.mutation.pm import PM
from pymoo.operators.mutation.rm import ChoiceRandomMutation
from pymoo.operators.selection.tournament import TournamentSelection
from pymoo.operators.survival.rank_and_crowding import RankAndCrowding

from greenshift.optimize.problem import Key, configuration_key

Genome = dict[str, Any]


@dataclass(frozen=True)
class Member:
    """A configuration with the genome it came from."""

    key: Key
    genome: Genome


class Variation:
    """Survival, mating and mutation with NSGA-II's settings.

    Binary tournaments by dominance, then crowding distance; simulated binary crossover (index 15) and
    polynomial mutation (index 20) of numbers, uniform crossover and random mutation of choices; each gene
    mutates with the probability 1 / number of genes.
    """

    def __init__(self, space: ConfigurationSpace, objectives: int) -> None:
        """Set up the operators for a copy of `space`."""
        self._space = copy.deepcopy(space)
        genes = {name: _gene(h) for name, h in self._space.items() if not isinstance(h, Constant)}
        share = 1 / max(len(genes), 1)
        self._variables = Variables(vars=genes, n_obj=objectives)
        self._algorithm = NSGA2()  # the tournament asks it for its rule and its random numbers
        self._survival = RankAndCrowding()
        self._mating = MixedVariableMating(
            selection=TournamentSelection(func_comp=binary_tournament),
            crossover={Real: SBX(eta=15, prob=0.9), Choice: UX()},
            mutation={Real: PM(eta=20, prob_var=share), Choice: ChoiceRandomMutation(prob_var=share)},
            eliminate_duplicates=None,
        )

    def member(self, key: Key, random: np.random.Generator) -> Member:
        """Return a configuration from elsewhere as a member; genes that it does not use are drawn."""
        values = dict(key)
        genome = {}
        for name, gene in self._variables.vars.items():
            drawn = gene.sample(random_state=random)
            genome[name] = self._space[name].to_vector(values[name]) if name in values else drawn
        return Member(key, genome)

    def survivors(
        self, members: list[Member], outcomes: list[tuple[float, ...]], count: int, random: np.random.Generator
    ) -> Population:
        """Return the `count` best members by front and crowding distance, with what a tournament compares."""
        population = Population.new("X", [member.genome for member in members], "F", np.array(outcomes))
        for individual, member in zip(population, members, strict=True):
            individual.set("member", member)
        return self._survival.do(self._variables, population, n_survive=count, random_state=random)

    def children(self, parents: Population, random: np.random.Generator) -> list[Member]:
        """Return the legal ones of two children of parents that win a tournament."""
        if not self._variables.vars:
            return []
        self._algorithm.random_state = random
        born = self._mating.do(self._variables, parents, 2, random_state=random, algorithm=self._algorithm)
        found = ((child.X, self._configuration(child.X)) for child in born)
        return [Member(configuration_key(values), genome) for genome, values in found if values is not None]

    def _configuration(self, genome: Genome) -> Configuration | None:
        """Return what a genome stands for, or None if the space forbids it."""
        values = {name: _value(h, genome.get(name)) for name, h in self._space.items()}
        try:
            return deactivate_inactive_hyperparameters(values, self._space)
        except ForbiddenValueError:
            return None


def _gene(hyperparameter: Hyperparameter[Any, Any]) -> Real | Choice:
    if isinstance(hyperparameter, CategoricalHyperparameter):
        return Choice(options=list(range(len(hyperparameter.choices))))
    return Real(bounds=(float(hyperparameter.lower_vectorized), float(hyperparameter.upper_vectorized)))


def _value(hyperparameter: Hyperparameter[Any, Any], gene: Any) -> Any:
    if isinstance(hyperparameter, Constant):
        return hyperparameter.value
    discrete = isinstance(hyperparameter, CategoricalHyperparameter | OrdinalHyperparameter)
    return hyperparameter.to_value(round(gene) if discrete else float(gene))
