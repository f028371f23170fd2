"""Channels that go between epochs: when, how many, resumed at any point, with what is converted after the last cut."""

import dataclasses
from itertools import pairwise

import pytest
import torch

from greenshift.artifacts import load_artifact, save_artifact
from greenshift.compress import profile, prune_channels
from greenshift.compress.convert import weighted_layers
from greenshift.data import load_dataset
from greenshift.design import Design, Optimization, Pruning, Recipe
from greenshift.models import build_model
from greenshift.networks import Start, build_network, image_shape, profile_design, train_design
from greenshift.records import DataChoice
from greenshift.schemes import PowerOfTwo, Uniform
from greenshift.train.gradual import cutting_stages

DIGITS = DataChoice("digits", train_limit=200)
SHAPE = image_shape(DIGITS)
HALF = Pruning(0.5, "channels", "gradual")
DESIGN = Design("tiny_cnn", recipe=Recipe(6, 32, Optimization("SGD", 0.05)), pruning=HALF)


def macs(model):
    return profile(model.cpu(), SHAPE.input).macs


@pytest.mark.parametrize("name", ["resnet20", "vgg16", "mobilenetv2"])
def test_no_group_gets_channels_back_and_all_end_as_at_once(name):
    shape = (3, 32, 32)
    model = build_model(name, num_classes=10, in_channels=3, image_size=32, width=0.5)
    stages = cutting_stages(model, HALF, shape, 10)
    assert [(stage.begin, stage.end) for stage in stages] == [(0, 1), (1, 2), (2, 3), (3, 4), (4, 5), (5, 10)]
    assert stages[0].kept is None
    for before, after in pairwise(stages[1:]):
        assert all(now <= then for then, now in zip(before.kept, after.kept, strict=True))
    whole, planned = profile(model, shape).macs, []
    for stage in stages[1:]:
        prune_channels(model, HALF, shape, stage.kept)
        planned.append(1 - profile(model, shape).macs / whole)
    assert planned == sorted(planned)
    assert planned[0] >= 0.2, "the cubic schedule removes most of it early"
    once = build_model(name, num_classes=10, in_channels=3, image_size=32, width=0.5)
    prune_channels(once, HALF, shape)
    ends = [[layer.weight.shape for _, layer in weighted_layers(network)] for network in (model, once)]
    assert ends[0] == ends[1]


def test_with_a_single_epoch_all_goes_before_it():
    (stage,) = cutting_stages(build_network(Design("tiny_cnn"), SHAPE), HALF, SHAPE.input, 1)
    assert (stage.begin, stage.end) == (0, 1)
    assert stage.kept is not None
    one = dataclasses.replace(DESIGN, recipe=dataclasses.replace(DESIGN.recipe, epochs=1))
    model, _, _ = train_design(one, DIGITS, epochs=1, seed=0)
    assert macs(model) == profile_design(one, DIGITS).macs


@pytest.mark.parametrize(
    "schemes", [(), (("*", Uniform()),), (("*", PowerOfTwo(4)),)], ids=["float32", "int8", "shift"]
)
def test_a_training_ends_with_the_network_of_its_design(schemes, tmp_path):
    design = dataclasses.replace(DESIGN, schemes=schemes)
    sizes = {}
    model, _, curve = train_design(
        design, DIGITS, epochs=6, seed=0, start=Start(build_network(Design("tiny_cnn"), SHAPE).state_dict(), "here")
    )
    assert [epoch.epoch for epoch in curve] == [1, 2, 3, 4, 5, 6]
    assert curve[-1].train_loss < curve[0].train_loss
    for epochs in (1, 2, 3):
        sizes[epochs] = macs(train_design(design, DIGITS, epochs=epochs, seed=0)[0])
    assert sizes[1] > sizes[2] >= sizes[3] >= macs(model) == profile_design(design, DIGITS).macs
    save_artifact(tmp_path / "a.safetensors", model, design, load_dataset("digits"), {})
    read = load_artifact(tmp_path / "a.safetensors")
    assert read.design == design
    assert all(torch.equal(value, read.model.state_dict()[name]) for name, value in model.state_dict().items())
    assert {getattr(layer, "scheme", None) for _, layer in weighted_layers(model)} == {dict(schemes).get("*")}


@pytest.mark.parametrize("stop", [1, 2, 3, 4, 5])
def test_resumed_at_any_point_it_ends_with_the_same_weights(stop, tmp_path):
    design = dataclasses.replace(DESIGN, schemes=(("*", Uniform(4, 8, step="learned")),))
    start = Start(build_network(Design("tiny_cnn"), SHAPE).state_dict(), "here")
    whole, _, curve = train_design(design, DIGITS, epochs=6, seed=0, start=start)
    file = tmp_path / "c.safetensors"
    train_design(design, DIGITS, epochs=stop, seed=0, start=start, checkpoint=file)
    resumed, _, again = train_design(design, DIGITS, epochs=6, seed=0, start=start, checkpoint=file)
    assert [epoch.train_loss for epoch in again] == [epoch.train_loss for epoch in curve]
    for (name, expected), actual in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(expected, actual), name


def test_the_weights_at_the_cut_decide_which_channels_go():
    slow = Recipe(2, 32, Optimization("SGD", 1e-12, weight_decay=0.0))
    design = dataclasses.replace(DESIGN, recipe=slow)
    weights = build_network(Design("tiny_cnn"), SHAPE).state_dict()
    gradual, _, _ = train_design(design, DIGITS, epochs=2, seed=0, start=Start(weights, "here", 0))
    once = dataclasses.replace(design, pruning=dataclasses.replace(HALF, schedule="one-shot"))
    at_once, _, _ = train_design(once, DIGITS, epochs=2, seed=0, start=Start(weights, "here", 0))
    for (name, one), other in zip(gradual.state_dict().items(), at_once.state_dict().values(), strict=True):
        assert name.endswith(("running_mean", "running_var", "tracked")) or torch.allclose(one, other, atol=1e-6), name
    quick = dataclasses.replace(design, recipe=dataclasses.replace(slow, optimization=Optimization("SGD", 0.5)))
    torch.manual_seed(1)
    moved, _, _ = train_design(quick, DIGITS, epochs=2, seed=0, start=Start(weights, "here", 0))
    assert macs(moved) == macs(at_once)
