"""The paper's space: Table 1 as published, checked input, and designs from configurations."""

import dataclasses
import json

import pytest
from ConfigSpace.hyperparameters import CategoricalHyperparameter
from hypothesis import given, settings
from hypothesis import strategies as st

from greenshift.design import Design, Optimization, Recipe
from greenshift.errors import InputError
from greenshift.schemes import Depth, Shift
from greenshift.space import configuration_names, make_space, named_configuration, space_names

RANGES = {
    "batch_size": (32, 128, 128),
    "lr": (0.001, 0.1, 0.1),
    "momentum": (0, 0.9, 0.9),
    "epochs": (5, 100, 100),
    "weight_bits": (2, 8, 5),
    "act_integer_bits": (2, 32, 16),
    "act_fraction_bits": (2, 32, 16),
    "shift_depth": (0, 20, 20),
    "weight_decay": (1e-6, 1e-2, 1e-4),
}
CHOICES = {
    "optimizer": ({"SGD", "Adam", "Adagrad", "Adadelta", "RMSprop", "RAdam", "Ranger"}, "SGD"),
    "shift_type": ({"Q", "PS"}, "PS"),
    "rounding": ({"deterministic", "stochastic"}, "deterministic"),
}


def default(space):
    return dict(space.configspace.get_default_configuration())


def test_paper_space_is_table_1():
    space = make_space("paper", depth=20, fidelity=None).configspace
    assert set(space) == RANGES.keys() | CHOICES.keys()
    for name, (lower, upper, value) in RANGES.items():
        hyperparameter = space[name]
        assert (hyperparameter.lower, hyperparameter.upper, hyperparameter.default_value) == (lower, upper, value), name
        assert not hyperparameter.log, name
    for name, (choices, value) in CHOICES.items():
        assert isinstance(space[name], CategoricalHyperparameter)
        assert (set(space[name].choices), space[name].default_value) == (choices, value), name
    assert not space.conditions


@pytest.mark.parametrize("fidelity", ["epochs", "shift_depth", "epochs,shift_depth", "weight_bits,resolution"])
def test_a_fidelity_leaves_the_space(fidelity):
    space = make_space("paper", depth=20, fidelity=fidelity)
    gone = set(fidelity.split(",")) - {"resolution"}
    assert set(space.configspace) == (RANGES.keys() | CHOICES.keys()) - gone
    for name in gone:
        with pytest.raises(InputError, match=f"'{name}' is the fidelity"):
            space.validate({**default(space), name: 7})


def test_shift_depth_follows_the_network():
    space = make_space("paper", depth=53, fidelity=None).configspace
    assert (space["shift_depth"].upper, space["shift_depth"].default_value) == (53, 53)


def test_sampling_is_seeded():
    first, second, other = (make_space("paper", depth=20, fidelity=None, seed=seed).configspace for seed in (4, 4, 5))
    assert first.sample_configuration(5) == second.sample_configuration(5)
    assert first.sample_configuration(5) != other.sample_configuration(5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"lr": 0.2}, r"lr is 0\.2; allowed is a number from 0\.001 to 0\.1"),
        ({"lr": float("nan")}, "lr is nan; allowed"),
        ({"lr": "0.1"}, r"lr is '0\.1'; allowed"),
        ({"batch_size": 129}, "batch_size is 129; allowed is a whole number from 32 to 128"),
        ({"batch_size": 64.5}, r"batch_size is 64\.5; allowed is a whole number"),
        ({"batch_size": True}, "batch_size is True; allowed"),
        ({"shift_type": "q"}, "shift_type is 'q'; allowed is one of Q, PS"),
        ({"rounding": 1}, "rounding is 1; allowed is one of deterministic, stochastic"),
        ({"weight_bit": 4}, "unknown hyperparameter 'weight_bit'; did you mean 'weight_bits'"),
        ({"zzz": 4}, "unknown hyperparameter 'zzz'; known: act_fraction_bits"),
    ],
)
def test_validate_says_what_is_wrong(change, message):
    space = make_space("paper", depth=20, fidelity=None)
    with pytest.raises(InputError, match=message) as error:
        space.validate({**default(space), **change})
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", sorted(RANGES.keys() | CHOICES.keys()))
def test_validate_names_what_is_missing(name):
    space = make_space("paper", depth=20, fidelity=None)
    values = default(space)
    del values[name]
    with pytest.raises(InputError, match=f"'{name}' is missing"):
        space.validate(values)


def test_validate_returns_plain_values():
    space = make_space("paper", depth=20, fidelity="epochs")
    values = space.validate({**default(space), "batch_size": 64.0, "lr": 0.05, "momentum": 0})
    assert {type(value) for value in values.values()} == {int, float, str}
    assert (values["batch_size"], values["momentum"]) == (64, 0.0)
    assert json.loads(json.dumps(values)) == values


@given(
    seed=st.integers(0, 10_000),
    fidelity=st.sampled_from([None, "epochs", "shift_depth", "epochs,shift_depth", "data_fraction"]),
)
@settings(max_examples=60, deadline=None)
def test_every_sample_is_valid_and_makes_a_design_that_survives_json(seed, fidelity):
    space = make_space("paper", depth=20, fidelity=fidelity, seed=seed)
    configuration = space.validate(dict(space.configspace.sample_configuration()))
    shifted = {"shift_depth": 3.0}  # counts where the depth is the fidelity
    design = space.to_design(configuration, backbone="resnet20", quantities=shifted, epochs=None, base=Recipe())
    assert Design.from_json(json.loads(json.dumps(design.to_json()))) == design
    assert design.recipe.optimization.lr == configuration["lr"]
    assert design.recipe.batch_size == configuration["batch_size"]
    depth = 3 if "shift_depth" in (fidelity or "") else configuration["shift_depth"]
    assert [key for key, _ in design.schemes] == ([Depth(depth)] if depth else [])


def test_to_design_takes_the_rest_from_the_base():
    space = make_space("paper", depth=20, fidelity=None)
    base = Recipe(epochs=3, augment="crop-flip", optimization=Optimization(schedule="cosine", warmup=0.1))
    design = space.to_design(
        {**default(space), "epochs": 12}, backbone="resnet20", quantities={}, epochs=None, base=base
    )
    assert design == Design(
        backbone="resnet20",
        schemes=((Depth(20), Shift("PS", 5, 16, 16, "deterministic")),),
        recipe=Recipe(
            epochs=12,
            batch_size=128,
            augment="crop-flip",
            optimization=Optimization("SGD", 0.1, 0.9, 1e-4, schedule="cosine", warmup=0.1),
        ),
    )


def test_epochs_come_from_the_argument_then_the_configuration_then_the_base():
    space = make_space("paper", depth=20, fidelity="epochs")
    base = Recipe(epochs=3)

    def epochs(configuration, given_epochs, **quantities):
        design = space.to_design(configuration, backbone="x", quantities=quantities, epochs=given_epochs, base=base)
        return design.recipe.epochs

    assert epochs(default(space), None) == 3
    assert epochs({**default(space), "epochs": 200}, None) == 200
    assert epochs({**default(space), "epochs": 200}, 50) == 50
    assert epochs(default(space), 50, epochs=2.0) == 50


@pytest.mark.parametrize(
    ("fidelity", "quantities", "depth", "bits"),
    [
        ("shift_depth", {"shift_depth": 7.0}, 7, 5),
        ("shift_depth", {}, 20, 5),
        ("weight_bits", {"weight_bits": 3.0}, 20, 3),
        ("shift_depth,weight_bits", {"shift_depth": 7.0, "weight_bits": 3.0}, 7, 3),
        ("epochs,weight_bits", {"epochs": 2.0, "weight_bits": 2.0}, 20, 2),
        ("epochs,weight_bits", {}, 20, 8),
    ],
)
def test_a_fidelity_of_the_network_sets_its_layers_and_bits(fidelity, quantities, depth, bits):
    space = make_space("paper", depth=20, fidelity=fidelity)
    design = space.to_design(default(space), backbone="x", quantities=quantities, epochs=None, base=Recipe())
    ((key, scheme),) = design.schemes
    assert (key, scheme.weight_bits) == (Depth(depth), bits)


def test_shift_depth_0_shifts_nothing():
    space = make_space("paper", depth=20, fidelity=None)
    configuration = {**default(space), "shift_depth": 0}
    assert space.to_design(configuration, backbone="x", quantities={}, epochs=None, base=Recipe()).schemes == ()


def test_to_design_names_what_is_missing():
    space = make_space("paper", depth=20, fidelity=None)
    with pytest.raises(InputError, match="'shift_type' is missing"):
        space.to_design({"shift_depth": 3}, backbone="x", quantities={}, epochs=None, base=Recipe())


def test_named_configurations_are_the_papers():
    published = {
        "paper-default": {"weight_bits": 5, "act_integer_bits": 16, "act_fraction_bits": 16, "shift_depth": 20,
                          "shift_type": "PS", "optimizer": "SGD", "epochs": 200, "batch_size": 128, "lr": 0.1,
                          "momentum": 0.9, "rounding": "deterministic", "weight_decay": 1e-4},
        "paper-pos1": {"weight_bits": 4, "act_integer_bits": 4, "act_fraction_bits": 4, "shift_depth": 5,
                       "shift_type": "Q", "rounding": "stochastic", "optimizer": "Ranger", "epochs": 67},
        "paper-pos2": {"weight_bits": 7, "act_integer_bits": 29, "act_fraction_bits": 10, "shift_depth": 16,
                       "shift_type": "Q", "optimizer": "SGD", "epochs": 91},
    }  # fmt: skip
    assert configuration_names() == tuple(published)
    for name, values in published.items():
        assert {key: named_configuration(name, 20)[key] for key in values} == values


@pytest.mark.parametrize("fidelity", [None, "epochs", "shift_depth"])
@pytest.mark.parametrize("name", configuration_names())
def test_named_configurations_make_designs_in_every_study(name, fidelity):
    values = named_configuration(name, 20)
    space = make_space("paper", depth=20, fidelity=fidelity)
    design = space.to_design(values, backbone="resnet20", quantities={}, epochs=None, base=Recipe())
    assert design.recipe.epochs == values["epochs"]
    assert design.schemes[0][1] == Shift(
        values["shift_type"],
        values["weight_bits"],
        values["act_integer_bits"],
        values["act_fraction_bits"],
        values["rounding"],
    )


def test_only_the_papers_default_lies_outside_its_own_space():
    space = make_space("paper", depth=20, fidelity=None)
    with pytest.raises(InputError, match="epochs is 200; allowed is a whole number from 5 to 100"):
        space.validate(named_configuration("paper-default", 20))
    for name in ("paper-pos1", "paper-pos2"):
        assert space.validate(named_configuration(name, 20)) == named_configuration(name, 20)


def test_named_configurations_fit_shallow_networks():
    assert [named_configuration(name, 4)["shift_depth"] for name in configuration_names()] == [4, 4, 4]
    assert named_configuration("paper-default", 53)["shift_depth"] == 53


def test_callers_cannot_change_a_named_configuration():
    named_configuration("paper-default", 20)["lr"] = 5
    assert named_configuration("paper-default", 20)["lr"] == 0.1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "papers"}, "unknown space 'papers'; known: paper, full"),
        ({"fidelity": "lr"}, "fidelity: 'lr' is unknown; known: epochs, shift_depth"),
        ({"fidelity": "epochs,lr"}, "fidelity: 'lr' is unknown; known: epochs, shift_depth"),
        ({"depth": 0}, "at least 1, not 0"),
    ],
)
def test_make_space_refuses(arguments, message):
    with pytest.raises(InputError, match=message):
        make_space(**{"name": "paper", "depth": 20, "fidelity": None, **arguments})


def test_unknown_named_configuration():
    with pytest.raises(InputError, match="unknown name 'pos1'; known: paper-default, paper-pos1, paper-pos2"):
        named_configuration("pos1", 20)


def test_search_space_is_frozen():
    space = make_space("paper", depth=20, fidelity=None)
    assert space_names() == (space.name, "full")
    with pytest.raises(dataclasses.FrozenInstanceError):
        space.depth = 3
