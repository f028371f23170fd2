"""The full space: its size, its default, its conditions, and designs that really build."""

import dataclasses
import json
import re

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from full_samples import EVERYTHING, float_profile, full_space, scope
from greenshift.activations import ACTIVATIONS, Activation
from greenshift.compress.activations import activation_of
from greenshift.compress.handlers import storage_of
from greenshift.design import Design, Distillation, Pruning, Recipe
from greenshift.errors import InputError
from greenshift.models import model_names
from greenshift.networks import ImageShape, build_network, profile_design
from greenshift.records import DataChoice
from greenshift.schemes import Binary, PowerOfTwo, Ternary, Uniform
from greenshift.space import make_space
from greenshift.space.scheme_choices import CHOICES
from greenshift.space.techniques import TECHNIQUES, parameters


def designed(space, configuration, **base):
    return space.to_design(
        space.complete(configuration), backbone="resnet20", quantities={}, epochs=None, base=Recipe(**base)
    )


@pytest.mark.parametrize("model", ["resnet20", "vgg16", "mobilenetv2"])
def test_at_most_forty_parameters_are_active(model):
    space = full_space(model, **EVERYTHING).configspace
    counts = [len(dict(sample)) for sample in space.sample_configuration(300)]
    groups, pruning, activation, distillation, compact, training = 5, 4, 2, 3, 4, 5
    assert 20 < max(counts) <= 3 * groups + pruning + activation + distillation + compact + training <= 40
    assert len(dict(space.get_default_configuration())) < 24


def test_default_is_int8_everywhere():
    space = full_space(**EVERYTHING)
    design = designed(space, {})
    assert design.schemes == (("*", Uniform(8, 8)),)
    assert (design.pruning, design.activations, design.recipe.distillation) == (None, (), Distillation(4.0, 0.5))
    assert (design.width, design.depth, design.blocks, design.resolution) == (1.0, 1.0, "dense", None)
    assert designed(full_space(), {}).recipe.distillation is None


def test_a_search_begins_with_every_technique_by_itself():
    space = full_space(**EVERYTHING)
    designs = [designed(space, start) for start in space.starts]
    assert all(space.validate(space.complete(start)) == space.complete(start) for start in space.starts)
    assert len(set(designs)) == len(designs) == 1 + len(CHOICES) - 1 + 2
    assert designed(space, {}) not in designs, "the default comes by itself"
    assert designs[0].schemes == (("*", Uniform(8, 8)),)
    of_schemes = designs[1 : len(CHOICES)]
    by_stage = [dict(design.schemes).get("layer2.*") for design in of_schemes]
    assert by_stage.count(None) == 1, "one of them leaves the stages float"
    assert {type(scheme) for scheme in by_stage} == {Uniform, PowerOfTwo, Ternary, Binary, type(None)}
    assert all(dict(design.schemes)["conv1"] == Uniform(8, 8) for design in of_schemes)
    assert [design.pruning and design.pruning.pattern for design in designs[-2:]] == ["unstructured", "channels"]
    assert {design.width for design in designs[:-1]} == {0.5}, "in a small network"
    assert {design.depth for design in designs[:-1]} == {0.33}
    assert designs[-1].width == 1.0, "channels go from the whole network"


def test_what_is_not_searched_does_not_begin():
    small = {"width": 0.5, "depth": 0.33, "resolution_multiplier": 0.5}
    assert full_space(techniques=("compact",)).starts == (small,)
    stages = {"scheme_stage1", "scheme_stage2", "scheme_stage3"}
    assert full_space(techniques=("uniform",), target="cpu-vnni").starts[-1].keys() == stages


def test_a_search_for_activations_of_one_float_network_begins_with_each_everywhere():
    space = full_space(techniques=("activation", "prune"))
    designs = [designed(space, start) for start in space.starts]
    pruned = [design for design in designs if design.activations]
    assert [dict(design.activations)["*"].name for design in pruned] == list(ACTIVATIONS[1:])
    assert all(design.pruning.pattern == "unstructured" for design in pruned)
    assert all(space.validate(space.complete(start)) == space.complete(start) for start in space.starts)
    alone = full_space(techniques=("activation",))
    assert all(designed(alone, start).pruning is None for start in alone.starts)
    assert len(alone.starts) == len(ACTIVATIONS) - 1
    for others in (("uniform",), ("compact",)):
        space = full_space(techniques=("activation", *others))
        assert not any(designed(space, start).activations for start in space.starts)


def test_every_group_has_its_own_scheme():
    configuration = {
        "scheme_stem": "float",
        "scheme_stage1": "lowbit",
        "lowbit_bits_stage1": 3,
        "act_bits_stage1": 5,
        "scheme_stage2": "shift",
        "act_bits_stage2": 7,
        "scheme_stage3": "ternary",
        "scheme_head": "binary",
        "prune": "on",
        "prune_pattern": "2:4",
        "width": 0.5,
        "optimizer": "Adam",
        "lr": 0.003,
    }
    design = designed(full_space(**EVERYTHING), configuration, epochs=7, augment="crop")
    assert design.schemes == (
        ("layer1.*", Uniform(3, 5, step="learned")),
        ("layer2.*", PowerOfTwo(4, 7, step="learned")),
        ("layer3.*", Ternary(8)),
        ("linear", Binary(8)),
    )
    assert design.pruning == Pruning(0.5, "2:4", keep_first=True, keep_last=True)
    assert design.width == 0.5
    assert (design.recipe.epochs, design.recipe.augment) == (7, "crop")
    assert (design.recipe.optimization.name, design.recipe.optimization.lr) == ("Adam", 0.003)


def test_shift_has_a_second_term_from_five_bits_on():
    space = full_space(**EVERYTHING)
    for bits, terms in ((2, 1), (4, 1), (5, 2), (7, 2)):
        design = designed(space, {"scheme_stem": "shift", "shift_bits_stem": bits})
        assert design.schemes[0] == ("conv1", PowerOfTwo(bits, 8, terms, step="learned"))


def test_distillation_can_be_off_though_there_is_a_teacher():
    space = full_space(**EVERYTHING)
    assert designed(space, {"distill": "off"}, distillation=Distillation()).recipe.distillation is None
    with pytest.raises(InputError, match=r"'temperature' is not used with .* distill == 'on'; remove it"):
        space.validate({**space.complete({"distill": "off"}), "temperature": 2.0})


def test_without_the_technique_a_teacher_teaches_every_trial():
    space = full_space(teacher="t", techniques=("uniform",))
    assert designed(space, {}, distillation=Distillation(3.0)).recipe.distillation == Distillation(3.0)


@given(seed=st.integers(0, 10_000), model=st.sampled_from(["tiny_cnn", "resnet20", "mobilenetv2"]))
@settings(max_examples=40, deadline=None)
def test_every_sample_is_valid_and_its_design_can_be_profiled(seed, model):
    data = "digits" if model == "tiny_cnn" else "cifar10"
    space = full_space(model, data, seed=seed, **EVERYTHING)
    configuration = space.validate(dict(space.configspace.sample_configuration()))
    assert json.loads(json.dumps(configuration)) == configuration
    assert space.complete(configuration) == configuration
    design = space.to_design(configuration, backbone=model, quantities={}, epochs=None, base=Recipe())
    assert Design.from_json(json.loads(json.dumps(design.to_json()))) == design
    profile_design(design, DataChoice(data))


def test_a_mixture_builds_and_runs():
    space = full_space("tiny_cnn", "digits", **EVERYTHING)
    schemes = dict(zip(("stem", "stage1", "stage2", "stage3", "head"), CHOICES, strict=False))
    values = space.complete({f"scheme_{group}": scheme for group, scheme in schemes.items()})
    design = space.to_design(values, backbone="tiny_cnn", quantities={}, epochs=None, base=Recipe())
    assert [type(scheme).__name__ for _, scheme in design.schemes] == [
        "Uniform",
        "Uniform",
        "PowerOfTwo",
        "Ternary",
        "Binary",
    ]
    network = build_network(design, ImageShape(10, 1, 8))
    assert network(torch.zeros(2, 1, 8, 8)).shape == (2, 10)


@pytest.mark.parametrize(
    ("model", "fields", "configuration", "message"),
    [
        (
            "resnet20",
            {"techniques": ("binary", "prune")},
            {"scheme_stage2": "binary", "prune": "on"},
            "'prune' is not used .*: binary weights have no zero, .* cannot be pruned; .*; remove it",
        ),
        (
            "resnet20",
            EVERYTHING,
            {"scheme_stage3": "sign", "prune": "on"},
            "'prune' is not used .*: binary weights have no zero",
        ),
        (
            "resnet20",
            EVERYTHING,
            {"prune": "on", "prune_pattern": "2:4", "blocks": "separable"},
            "'prune_pattern' is not used .* the blocks are not separable, which have layers of one input; remove it",
        ),
        (
            "resnet20",
            EVERYTHING,
            {"prune_channels": 0.5, "width": 0.5},
            "'(width|depth|blocks)' is not used .*: a network that loses channels is full-width otherwise",
        ),
        (
            "resnet20",
            EVERYTHING,
            {"resolution_multiplier": 0.5},
            "'resolution_multiplier' is not used .*: a teacher and what learns from it see images of the data's own",
        ),
        (
            "mobilenetv2",
            {"target": "cortex-m0"},
            {"prune": "on", "prune_pattern": "2:4"},
            "prune_pattern cannot be '2:4': it needs 4 inputs per output, and a layer of stage1 has 1 input per output",
        ),
        (
            "resnet20",
            {"target": "gpu-a100"},
            {"scheme_stem": "binary"},
            "scheme_stem cannot be 'binary': .* 8-bit activations and no popcount kernel; choose another value",
        ),
        ("resnet20", {}, {"lowbit_bits_stem": 3}, "unknown hyperparameter 'lowbit_bits_stem'"),
        ("resnet20", EVERYTHING, {"lowbit_bits_stem": 3}, "'lowbit_bits_stem' is not used .* scheme_stem == 'lowbit'"),
        ("resnet20", {}, {"width": 0.3}, r"width is 0\.3; allowed is one of 0\.25, 0\.375, 0\.5"),
        (
            "resnet20",
            {},
            {"scheme_head": "int4"},
            "scheme_head is 'int4'; allowed is one of int8, shift, ternary, binary",
        ),
        ("resnet20", {}, {"shift_depth": 3}, "unknown hyperparameter 'shift_depth'"),
    ],
)
def test_conflicting_mixtures_get_one_clear_line(model, fields, configuration, message):
    space = full_space(model, **fields)
    with pytest.raises(InputError, match=message) as error:
        space.validate({**space.complete({}), **configuration})
    assert "\n" not in str(error.value)


def test_channels_are_pruned_from_the_whole_network():
    space = full_space(**EVERYTHING)
    design = designed(space, {"prune_channels": 0.5, "scheme_stage1": "binary", "distill": "off"})
    assert design.pruning == Pruning(0.5, "channels", "one-shot", keep_first=True, keep_last=True)
    before, after = (profile_design(d, DataChoice("cifar10")).macs for d in (Design("resnet20"), design))
    assert 0.4 < after / before <= 0.5


def test_every_stage_has_its_own_activation():
    space = full_space(**EVERYTHING)
    assert designed(space, {}).activations == ()
    for scales in ("fixed", "trained"):
        trained = scales == "trained"
        one = {"activation_stage1": "swish", "activation_stage3": "gelu", "activation_scales": scales}
        assert designed(space, one).activations == (
            ("relu", Activation("swish", trained)),
            ("layer1.*", Activation("swish", trained)),
            ("layer3.*", Activation("gelu", trained)),
        )
        every = {f"activation_stage{stage}": "swish" for stage in (1, 2, 3)}
        design = designed(space, {**every, "activation_scales": scales})
        assert design.activations == (("*", Activation("swish", trained)),)
    with pytest.raises(InputError, match="'activation_scales' is not used"):
        space.validate({**space.complete({}), "activation_scales": "trained"})


@pytest.mark.parametrize(("model", "data"), [("resnet20", "cifar10"), ("vgg16", "cifar10"), ("tiny_cnn", "digits")])
@pytest.mark.parametrize("form", [{}, {"depth": 0.67}, {"blocks": "separable"}])
def test_the_activations_of_a_stage_are_where_it_is_in_every_form(model, data, form):
    space = full_space(model, data, **EVERYTHING)
    functions = {"activation_stage1": "tanh", "activation_stage2": "elu", "activation_stage3": "gelu"}
    asked = {name: value for name, value in {**form, **functions}.items() if name in space.configspace}
    design = space.to_design(space.complete(asked), backbone=model, quantities={}, epochs=None, base=Recipe())
    shape = ImageShape(10, 1, 8) if data == "digits" else ImageShape(10, 3, 32)
    network = build_network(dataclasses.replace(design, schemes=()), shape)
    names = [found.name for module in network.modules() if (found := activation_of(module)) is not None]
    assert list(dict.fromkeys(names)) == [asked[name] for name in functions if name in asked], "in this order"
    assert names == sorted(names, key=["tanh", "elu", "gelu"].index)


@pytest.mark.parametrize(
    ("model", "data", "form"),
    [
        ("resnet20", "cifar10", {"width": 0.5, "depth": 0.33, "blocks": "bottleneck"}),
        ("vgg16", "cifar10", {"depth": 0.67, "blocks": "separable"}),
        ("tiny_cnn", "digits", {"width": 0.25, "blocks": "separable"}),
        ("mobilenetv2", "cifar10", {"depth": 0.33}),
    ],
)
def test_groups_hold_in_every_form(model, data, form):
    """Every layer of a smaller network has its group's scheme, whatever its name has become."""
    space = full_space(model, data, **EVERYTHING)
    schemes = {"stem": "int8", "stage1": "shift", "stage2": "ternary", "stage3": "binary", "head": "int8"}
    values = space.complete(form | {f"scheme_{group}": scheme for group, scheme in schemes.items()})
    design = space.to_design(values, backbone=model, quantities={}, epochs=None, base=Recipe())
    layers = [layer for layer in profile_design(design, DataChoice(data)).layers if layer.weights]
    kinds = [(layer.arithmetic, layer.weight_bits) for layer in layers]
    assert kinds[0] == kinds[-1] == ("int", 8)
    assert dict.fromkeys(kinds[1:-1]) == dict.fromkeys([("shift", 4), ("shift", 2), ("shift", 1)]), "in this order"


def test_separable_blocks_are_pruned_unstructured():
    space = full_space(**EVERYTHING)
    design = designed(space, {"blocks": "separable", "prune": "on", "prune_pattern": "2:4", "sparsity": 0.6})
    assert design.pruning == Pruning(0.6, keep_first=True, keep_last=True)


def test_smaller_images():
    space = full_space(**EVERYTHING)
    assert designed(space, {"distill": "off", "resolution_multiplier": 0.75}).resolution == 24
    assert designed(space, {"distill": "off"}).resolution is None


def test_relu_is_the_own_function_of_every_built_in_network():
    """The registry knows no torch; the networks say whether it is right."""
    for name in model_names():
        shape = ImageShape(10, 3, 32)
        found = {activation_of(module) for module in build_network(Design(name), shape).modules()} - {None}
        assert found <= {Activation("relu")}


def test_two_four_needs_inputs_at_the_narrowest_width():
    """ResNet20 at a quarter of its width has four channels; MobileNetV2's depthwise layers have one input each."""
    assert scope("resnet20", target="cortex-m0").patterns == ("unstructured", "2:4")
    assert scope("mobilenetv2", target="cortex-m0").patterns == ("unstructured",)


def test_no_combination_is_forbidden():
    assert not full_space(**EVERYTHING).configspace.forbidden_clauses


def test_make_space_refuses():
    with pytest.raises(InputError, match="space full: it is laid out for a network"):
        make_space("full", depth=20, fidelity=None)
    with pytest.raises(
        InputError,
        match="'shift_depth' is unknown in space full, where layers have schemes",
    ):
        make_space("full", depth=20, fidelity="shift_depth", scope=scope())


@pytest.mark.parametrize("name", TECHNIQUES)
def test_a_techniques_parameters_are_the_spaces(name):
    listed = {re.sub("GROUP$", "stage1", key) for key in parameters(name)}
    assert listed <= set(full_space(**EVERYTHING).configspace)
    assert bool(listed) == (name != "fuse")
    assert TECHNIQUES[name].summary
    assert TECHNIQUES[name].sources


@pytest.mark.parametrize("name", CHOICES)
def test_what_a_target_is_asked_is_how_the_scheme_is_stored(name):
    """The registry knows no torch; the layers say whether it is right."""
    choice = CHOICES[name]
    own = [] if choice.parameter is None else [choice.parameter("g")]
    for stored, bits in (
        (choice.stored, {p.name: p.default_value for p in own}),
        (choice.most or choice.stored, {p.name: p.upper for p in own}),
    ):
        storage = storage_of(choice.scheme({"act_bits_g": 8, **bits}, "g"))
        assert stored == (storage.arithmetic, storage.weight_bits, storage.act_bits, storage.weight_levels)


def test_profile_names_are_the_layers_names():
    assert {layer for group in scope("tiny_cnn", "digits").groups for layer in group.layers} == {
        layer.name for layer in float_profile("tiny_cnn", "digits").layers if layer.macs
    }
