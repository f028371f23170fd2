"""Values of many configurations at once are those of each by itself."""

import pytest
from ConfigSpace import (
    Categorical,
    Configuration,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    Float,
    Integer,
    OrdinalHyperparameter,
)
from ConfigSpace.util import get_one_exchange_neighbourhood

from greenshift.objectives import Objective
from greenshift.optimize.freezethaw.candidates import Source, plain_configurations
from greenshift.optimize.freezethaw.encoding import make_encoding
from greenshift.optimize.freezethaw.quantities import Quantities
from greenshift.optimize.problem import Problem, plain_configuration


def mixed_space():
    space = ConfigurationSpace(seed=1)
    kind = Categorical("kind", ["plain", "shift"])
    bits = Integer("bits", (2, 8))
    space.add(kind, bits, EqualsCondition(bits, kind, "shift"))
    space.add(Constant("fixed", 3), Integer("units", (64, 1024), log=True), Float("rate", (1e-5, 1e-1), log=True))
    space.add(Categorical("flag", [True, False]), Float("share", (0.1, 0.99)), Categorical("either", [1, "none", 2.5]))
    space.add(OrdinalHyperparameter("size", ["s", "m", "l"]), OrdinalHyperparameter("lr", [0.003, 0.02, 0.1]))
    return space


def test_configurations_at_once_are_those_one_by_one():
    space = mixed_space()
    samples = [*space.sample_configuration(200), space.get_default_configuration()]
    at_once = plain_configurations(space, samples)
    one_by_one = [plain_configuration(sample) for sample in samples]
    assert any("bits" in values for values in at_once)
    assert any("bits" not in values for values in at_once)
    assert [list(values.items()) for values in at_once] == [list(values.items()) for values in one_by_one]
    assert [[type(v) for v in c.values()] for c in at_once] == [[type(v) for v in c.values()] for c in one_by_one]
    assert plain_configurations(space, []) == []


def test_what_is_known_is_asked_once_for_each_configuration():
    space = mixed_space()
    asked = []

    def known(configuration):
        asked.append(configuration)
        return {"size": float(configuration["units"])}

    problem = Problem(space, (Objective("error", ""), Objective("size", "B", known=True)), known=known)
    source = Source(problem, make_encoding(space), Quantities.of(problem))
    samples = space.sample_configuration(20)
    described = source.describe([*samples, *samples])
    assert described.known[:, 0].tolist() == [float(sample["units"]) for sample in [*samples, *samples]]
    source.describe(samples)
    assert len(asked) == 20


class FixedSeed:
    """In place of a generator, for one seed that is known to be unlucky."""

    def integers(self, _most):
        return 1588


def test_a_number_with_hardly_more_values_than_neighbours_is_no_trap():
    space = ConfigurationSpace(seed=1)
    space.add(Integer("depth", (0, 5)))
    centre = Configuration(space, values={"depth": 5})
    with pytest.raises(ValueError, match="Failed to find enough neighbors"):
        list(get_one_exchange_neighbourhood(centre, seed=1588, num_neighbors=4, stdev=0.07))
    problem = Problem(space, (Objective("error", ""),), None, None, 0)
    source = Source(problem, make_encoding(space), Quantities.of(problem))
    found = source.neighbours([centre], 0.07, FixedSeed())
    assert found
    assert all(neighbour["depth"] in range(5) for neighbour in found)
