"""Rows: numbers in 0..1, categories that are only equal or not, conditions that are told apart."""

import numpy as np
from ConfigSpace import Categorical, ConfigurationSpace, Constant, EqualsCondition, Float, Integer
from ConfigSpace.hyperparameters import OrdinalHyperparameter

from greenshift.optimize.freezethaw.encoding import make_encoding


def space():
    made = ConfigurationSpace(seed=1)
    kind = Categorical("kind", ["a", "b", "c"])
    rate = Float("rate", (1e-4, 1.0), log=True)
    depth = Integer("depth", (0, 10), default=5)
    made.add(kind, rate, depth, OrdinalHyperparameter("size", ["s", "m", "l"]), Constant("version", 1))
    made.add(EqualsCondition(depth, kind, "a"))
    return made


def sample(**values):
    from ConfigSpace import Configuration

    return Configuration(space(), values={"rate": 0.01, "size": "m", "version": 1, **values})


def test_numbers_come_first_and_lie_between_0_and_1():
    encoding = make_encoding(space())
    rows = encoding.rows(space().sample_configuration(200))
    numbers = rows[:, : rows.shape[1] - encoding.category_columns]
    assert rows.shape == (200, 5)  # depth, rate, size; kind; whether depth is active
    assert numbers.min() >= 0
    assert numbers.max() <= 1
    assert np.allclose(encoding.rows([sample(kind="b")])[0], [0.5, 0.5, 0.5, 1, 0])


def test_an_inactive_number_is_its_default_and_said_to_be_inactive():
    encoding = make_encoding(space())
    with_depth, without = encoding.rows([sample(kind="a", depth=5), sample(kind="b")])
    assert with_depth[0] == without[0]
    assert with_depth[-1] != without[-1]


def test_features_give_each_category_a_column():
    encoding = make_encoding(space())
    rows = encoding.rows([sample(kind="a", depth=5), sample(kind="b"), sample(kind="c")])
    features = encoding.features(rows)
    assert features.shape == (3, 4 + 4)  # three categories and one for inactive
    assert features[:, 4:7].tolist() == np.eye(3).tolist()


def test_an_empty_space_of_columns_still_has_rows():
    constant = ConfigurationSpace()
    constant.add(Constant("version", 1))
    assert make_encoding(constant).rows(constant.sample_configuration(2)).shape == (2, 0)
