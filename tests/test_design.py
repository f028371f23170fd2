"""A design is data: the same after a trip through JSON, with a digest that tells designs apart."""

import dataclasses
import json

import pytest
from hypothesis import given

from greenshift.activations import Activation
from greenshift.design import Design, Distillation, Optimization, Pruning, Recipe
from greenshift.errors import InputError
from greenshift.schemes import Depth, Shift
from value_strategies import designs

FULL = Design("resnet20", 0.5, ((Depth(5), Shift("Q", 4, 8, 8)), ("fc", Shift())), Recipe(10, 64))


@given(designs)
def test_json_gives_the_same_design(design):
    again = Design.from_json(json.loads(json.dumps(design.to_json())))
    assert again == design
    assert again.digest == design.digest


@given(designs, designs)
def test_digests_differ_as_designs_do(one, other):
    assert (one.digest == other.digest) == (one == other)
    assert len(one.digest) == 12


def test_the_digest_does_not_change_between_versions_by_accident():
    """Stores name checkpoints by it."""
    assert Design("resnet20").digest == "2e43dca60e6b"
    assert FULL.digest == "f637dcb741a8"


@pytest.mark.parametrize(
    "changed",
    [
        dataclasses.replace(FULL, width=0.25),
        dataclasses.replace(FULL, backbone="resnet32"),
        dataclasses.replace(FULL, schemes=FULL.schemes[::-1]),
        dataclasses.replace(FULL, pruning=Pruning(0.5)),
        dataclasses.replace(FULL, depth=0.5),
        dataclasses.replace(FULL, blocks="separable"),
        dataclasses.replace(FULL, resolution=16),
        dataclasses.replace(FULL, pruning=Pruning(0.5, "2:4")),
        dataclasses.replace(FULL, pruning=Pruning(0.5, "channels", "one-shot")),
        dataclasses.replace(FULL, activations=(("*", Activation("swish")),)),
        dataclasses.replace(FULL, activations=(("*", Activation("swish", trained=True)),)),
        dataclasses.replace(FULL, recipe=dataclasses.replace(FULL.recipe, epochs=11)),
        dataclasses.replace(FULL, schemes=((Depth(5, "input"), Shift("Q", 4, 8, 8)), FULL.schemes[1])),
    ],
)
def test_every_part_counts_in_the_digest(changed):
    assert changed.digest != FULL.digest


def test_designs_are_hashable():
    assert len({FULL, dataclasses.replace(FULL), Design("resnet20")}) == 2


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"name": "Adamax"}, "'Adamax'"),
        ({"schedule": "linear"}, "'linear'"),
        ({"lr": 0}, "lr"),
        ({"lr": -1}, "lr"),
        ({"momentum": 1}, "momentum"),
        ({"momentum": -0.1}, "momentum"),
        ({"warmup": 1}, "warmup"),
    ],
)
def test_optimizations_outside_their_range(fields, message):
    with pytest.raises(InputError, match=message):
        Optimization(**fields)


@pytest.mark.parametrize("fields", [{"epochs": 0}, {"batch_size": 0}, {"augment": "mixup"}])
def test_recipes_outside_their_range(fields):
    with pytest.raises(InputError, match=next(iter(fields))):
        Recipe(**fields)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"sparsity": 0}, "above 0 and below 1, not 0"),
        ({"sparsity": 1}, "above 0 and below 1, not 1"),
        ({"sparsity": 0.5, "schedule": "linear"}, "'linear'"),
        ({"sparsity": 0.5, "pattern": "filters"}, "N:M with N below M, not 'filters'"),
        ({"sparsity": 0.5, "pattern": "4:2"}, "N:M with N below M, not '4:2'"),
        ({"sparsity": 0.5, "pattern": "0:4"}, "N:M with N below M, not '0:4'"),
        ({"sparsity": 0.5, "scope": "filter"}, "scope is 'global' or 'layer', not 'filter'"),
        ({"sparsity": 0.5, "pattern": "2:4", "scope": "layer"}, "2:4 is the same in every layer anyway"),
        ({"sparsity": 0.9, "pattern": "2:4"}, "2:4 is a sparsity of 0.5, not 0.9"),
    ],
)
def test_prunings_outside_their_range(fields, message):
    with pytest.raises(InputError, match=message):
        Pruning(**fields)


def test_the_gradual_schedule_is_zhu_and_guptas():
    """Equation 1 with an initial sparsity of 0: 1 - (1 - t)^3, t over the first half of the training."""
    ramps = [Pruning(0.9).ramp(done) for done in (0, 0.125, 0.25, 0.375, 0.5, 0.75, 1)]
    assert ramps == [0, 37 / 64, 7 / 8, 63 / 64, 1, 1, 1]
    assert Pruning(0.9, schedule="one-shot").ramp(0) == 1


def test_channels_are_cut_and_weights_are_masked():
    channels, weights = Pruning(0.5, "channels", "one-shot"), Pruning(0.5)
    cut, masked = (dataclasses.replace(FULL, pruning=pruning) for pruning in (channels, weights))
    assert (cut.channel_pruning, cut.weight_pruning) == (channels, None)
    assert (masked.channel_pruning, masked.weight_pruning) == (None, weights)
    assert channels.group is None


def test_json_without_pruning_is_that_of_older_designs():
    assert "pruning" not in FULL.to_json()
    assert Design.from_json(FULL.to_json()).pruning is None
    data = dataclasses.replace(FULL, pruning=Pruning(0.5)).to_json()
    data["pruning"]["granularity"] = "filter"
    with pytest.raises(InputError, match="granularity"):
        Design.from_json(data)


def test_json_leaves_out_what_came_later_where_it_is_at_its_default():
    data = dataclasses.replace(FULL, pruning=Pruning(0.5)).to_json()
    assert "scope" not in data["pruning"]
    assert "activations" not in data
    data["activations"] = [{"modules": "*", "name": "mish"}]
    with pytest.raises(InputError, match="activation 'mish' is unknown; known: relu, relu6"):
        Design.from_json(data)
    data["activations"] = [{"modules": 3, "name": "elu"}]
    with pytest.raises(InputError, match="modules is a name or a glob, not 3"):
        Design.from_json(data)
    data["activations"] = [{"name": "elu"}]
    with pytest.raises(InputError, match="modules"):
        Design.from_json(data)


@pytest.mark.parametrize("missing", ["backbone", "width", "schemes", "recipe"])
def test_json_that_lacks_something(missing):
    data = FULL.to_json()
    del data[missing]
    with pytest.raises(InputError, match=missing):
        Design.from_json(data)


def test_json_with_a_key_nobody_knows():
    data = FULL.to_json()
    data["recipe"]["warm_restart"] = True
    with pytest.raises(InputError, match="warm_restart"):
        Design.from_json(data)


def test_reading_leaves_the_data_alone():
    data = FULL.to_json()
    before = json.dumps(data)
    Design.from_json(data)
    assert json.dumps(data) == before


def test_distillation_is_part_of_a_design_and_absent_from_one_without():
    distilled = dataclasses.replace(FULL, recipe=dataclasses.replace(FULL.recipe, distillation=Distillation(2.0, 0.9)))
    assert distilled.to_json()["recipe"]["distillation"] == {"temperature": 2.0, "weight": 0.9}
    assert distilled.digest != FULL.digest
    assert "distillation" not in FULL.to_json()["recipe"]
    assert Distillation() == Distillation(4.0, 0.5)


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"temperature": 0.0}, "temperature must be a number above 0, not 0.0"),
        ({"temperature": float("inf")}, "temperature"),
        ({"weight": -0.1}, r"weight must be in \[0, 1\], not -0.1"),
        ({"weight": 1.5}, "weight"),
    ],
)
def test_distillation_out_of_range_is_refused(fields, message):
    with pytest.raises(InputError, match=message):
        Distillation(**fields)


def test_an_unknown_field_of_distillation_is_refused():
    data = FULL.to_json()
    data["recipe"]["distillation"] = {"temperature": 4.0, "alpha": 0.5}
    with pytest.raises(InputError, match="alpha"):
        Design.from_json(data)


def test_a_layer_key_that_is_no_text():
    data = FULL.to_json()
    data["schemes"] = [{"layers": 3, "scheme": "ternary"}]
    with pytest.raises(InputError, match="design: "):
        Design.from_json(data)
