"""Compact designs from end to end: what they cost, that they learn, and that their files give them back."""

import dataclasses
import json

import pytest
import torch
from PIL import Image

from greenshift.artifacts import load_artifact, load_teacher
from greenshift.compress.profiling import profile
from greenshift.deploy.file import read_network
from greenshift.deploy.packing.artifact import pack_artifact
from greenshift.design import Design, Distillation, Optimization, Recipe
from greenshift.errors import InputError
from greenshift.evaluate import evaluate
from greenshift.final import checkpoint_error, retrain
from greenshift.networks import Start, build_network, image_shape, load_splits, profile_design, train_design
from greenshift.records import DataChoice, Task, WeightFile, file_sha256
from greenshift.schemes import Uniform
from greenshift.targets import cost, load_target

CIFAR = DataChoice("cifar10")
DIGITS = DataChoice("digits", train_limit=200)
RECIPE = Recipe(3, 16, Optimization("Adam", lr=0.01))
SIZES = {16: 32 * 32, 32: 16 * 16, 64: 8 * 8}  # channels and pixels of ResNet20's stages


def resnet_macs(conv, blocks=3):
    """Stem, classifier, and the stages, whose convolutions take `conv(inputs, outputs, pixels in, pixels out)`."""
    total, inputs, pixels_in = 3 * 16 * 9 * 32 * 32 + 64 * 10, 16, 32 * 32
    for outputs, pixels in SIZES.items():
        total += conv(inputs, outputs, pixels_in, pixels)
        total += (2 * blocks - 1) * conv(outputs, outputs, pixels, pixels)
        inputs, pixels_in = outputs, pixels
    return total


def dense(inputs, outputs, _, pixels):
    return 9 * inputs * outputs * pixels


def separable(inputs, outputs, _, pixels):
    return (9 * inputs + inputs * outputs) * pixels


def bottleneck(inputs, outputs, pixels_in, pixels):
    inner = outputs // 4
    return inputs * inner * pixels_in + (9 * inner * inner + inner * outputs) * pixels


@pytest.mark.parametrize(
    ("changes", "expected", "told"),
    [
        ({}, resnet_macs(dense), 40_551_040),
        ({"depth": 0.5}, resnet_macs(dense, 2), 26_395_264),
        ({"depth": 0.1}, resnet_macs(dense, 1), 12_239_488),
        ({"depth": 2.0}, resnet_macs(dense, 6), 83_018_368),
        ({"blocks": "separable"}, resnet_macs(separable), 6_392_448),
        ({"blocks": "bottleneck"}, resnet_macs(bottleneck), 5_587_584),
        ({"depth": 0.5, "blocks": "separable"}, resnet_macs(separable, 2), 4_303_488),
        ({"resolution": 16}, (40_551_040 - 640) // 4 + 640, 10_138_240),
        ({"resolution": 24}, (40_551_040 - 640) * 9 // 16 + 640, 22_810_240),
        ({"resolution": 32}, 40_551_040, 40_551_040),
    ],
    ids=str,
)
def test_multiply_accumulates_of_resnet20_are_exact(changes, expected, told):
    found = profile_design(Design("resnet20", **changes), CIFAR)
    assert found.macs == expected == told


@pytest.mark.parametrize(
    "changes", [{"depth": 2.0}, {"blocks": "separable"}, {"blocks": "bottleneck", "width": 0.5}, {"resolution": 16}]
)
def test_a_profile_without_weights_is_that_of_the_network(changes):
    design = Design("resnet20", schemes=(("layer1.*", Uniform(4, 8)),), **changes)
    shape = image_shape(CIFAR, design.resolution)
    built, planned = profile(build_network(design, shape), shape.input), profile_design(design, CIFAR)
    assert [layer for layer in built.layers if layer.macs] == [layer for layer in planned.layers if layer.macs]
    assert built.input_shape == planned.input_shape == shape.input


def test_schemes_reach_the_parts_of_a_block_by_name():
    design = Design("resnet20", schemes=(("*.pointwise", Uniform(8, 8)),), blocks="separable")
    layers = {layer.name: layer.arithmetic for layer in profile_design(design, CIFAR).layers if layer.macs}
    assert layers["layer1.0.conv1.pointwise"] == "int"
    assert layers["layer1.0.conv1.depthwise"] == layers["conv1"] == "float"


@pytest.mark.parametrize(
    "changes",
    [
        *({"depth": 2.0}, {"blocks": "separable"}, {"blocks": "bottleneck"}),
        {"blocks": "separable", "schemes": (("*", Uniform(8, 8)),)},
    ],
    ids=str,
)
def test_training_lowers_the_loss(changes):
    design = Design("tiny_cnn", recipe=RECIPE, **changes)
    _, _, curve = train_design(design, DIGITS, epochs=3, seed=0)
    assert curve[-1].train_loss < 0.8 * curve[0].train_loss


@pytest.mark.parametrize("blocks", ["separable", "bottleneck"])
def test_float_weights_start_what_is_still_there(blocks):
    start = build_network(Design("tiny_cnn"), image_shape(DIGITS)).state_dict()
    recipe = Recipe(1, 32, Optimization("SGD", lr=1e-12, weight_decay=0.0))
    design = Design("tiny_cnn", blocks=blocks, recipe=recipe)
    model, _, _ = train_design(design, DIGITS, epochs=1, seed=5, start=Start(start, "here"))
    kept = [name for name in model.state_dict() if name in start and name.endswith("weight")]
    assert {"0.0.weight", "7.weight"} & set(kept), kept
    assert all(torch.allclose(model.state_dict()[name], start[name], atol=1e-6) for name in kept)
    assert "2.0.weight" not in model.state_dict()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two classes of 16x16 images, bright above or bright below."""
    root = tmp_path_factory.mktemp("images")
    generator = torch.Generator().manual_seed(0)
    for part, count in (("train", 40), ("test", 10)):
        for label in ("above", "below"):
            (root / part / label).mkdir(parents=True)
            for index in range(count):
                pixels = torch.randint(0, 120, (16, 16, 3), generator=generator)
                pixels[:8] += 120 * (label == "above")
                pixels[8:] += 120 * (label == "below")
                Image.fromarray(pixels.byte().numpy()).save(root / part / label / f"{index}.png")
    return DataChoice(f"{root}@16", validation_share=0.25)


SMALL = Design("tiny_cnn", schemes=(("*", Uniform(8, 8)),), recipe=RECIPE, resolution=8)


@pytest.fixture(scope="module")
def shipped(folder, tmp_path_factory):
    path = tmp_path_factory.mktemp("final") / "small.safetensors"
    return retrain(SMALL, folder, [0], path, epochs=3)


def test_a_small_resolution_is_that_of_all_images(folder):
    dataset, splits = load_splits(folder, 8)
    assert dataset.image_size == 8
    assert {images.images.shape[-1] for images in (splits.train, splits.validation, splits.test)} == {8}
    whole = load_splits(folder)[1]
    assert torch.equal(whole.train.labels, splits.train.labels), "the same images"
    assert whole.train.images.shape[-1] == 16


def test_a_network_of_small_images_is_trained_saved_and_tested(shipped, folder):
    assert shipped.test_errors[0] <= 0.2
    found = load_artifact(shipped.artifact)
    assert found.design == SMALL
    assert found.description["shape"] == [3, 8, 8]
    error, count = checkpoint_error(shipped.artifact, None, folder, threads=1)
    assert count == 20
    assert error == pytest.approx(shipped.test_errors[0], abs=0.051)


def test_it_is_packed_for_small_images(shipped, tmp_path):
    found = pack_artifact(shipped.artifact, tmp_path / "a.packed", 32, test=True)
    network = read_network(tmp_path / "a.packed")
    assert network.input.shape == (8, 8, 3)
    assert network.description["design"]["resolution"] == 8
    assert network.description["artifact"]["shape"] == [3, 8, 8]
    assert found.tested.images == 20
    assert found.tested.packed_error <= 0.25


def test_a_trial_at_a_small_resolution_is_evaluated(folder):
    objectives = ("error", "latency_s")
    task = Task(
        0, {}, design=SMALL, epochs=1, data=folder, objectives=objectives, target="cortex-m4", seed=0, fidelity={}
    )
    found = evaluate(task)
    assert found.outcome == "ok", found.reason
    modelled = [
        cost(profile_design(dataclasses.replace(SMALL, resolution=side), folder), load_target("cortex-m4")).latency_s
        for side in (8, 16)
    ]
    assert found.objectives["latency_s"] == modelled[0] < modelled[1]


def test_a_teacher_of_another_resolution_is_refused(shipped, folder, tmp_path):
    path = shipped.artifact
    with pytest.raises(InputError, match="takes images of 8 pixels a side, and the student's have 16") as caught:
        load_teacher(path, image_shape(folder))
    assert "\n" not in str(caught.value)
    teacher = WeightFile(str(path), None, file_sha256(str(path), "teacher"))
    taught = dataclasses.replace(SMALL, recipe=dataclasses.replace(RECIPE, distillation=Distillation()))
    assert retrain(taught, folder, [1], tmp_path / "b.safetensors", epochs=1, teacher=teacher).test_errors


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"depth": 0.0}, "depth must be a number above 0, not 0"),
        ({"depth": float("inf")}, "depth must be a number above 0, not inf"),
        ({"blocks": "sparse"}, "blocks 'sparse' is unknown; known: dense, separable, bottleneck"),
        ({"resolution": 0}, "resolution must be a whole number of pixels above 0, not 0"),
        ({"resolution": 16.0}, "resolution must be a whole number"),
    ],
)
def test_values_out_of_range_are_refused(changes, message):
    with pytest.raises(InputError, match=message) as caught:
        Design("resnet20", **changes)
    assert "\n" not in str(caught.value)
    with pytest.raises(InputError, match=message):
        Design.from_json({**Design("resnet20").to_json(), **changes})


@pytest.mark.parametrize(
    ("design", "message"),
    [
        (Design("resnet20", resolution=33), "resolution of 33 is above that of cifar10, whose images have 32 pixels"),
        (Design("resnet20", resolution=7), "image_size must be at least 8 pixels, not 7"),
        (Design("timm:resnet18", depth=0.5), "networks from elsewhere have no depth multiplier; use depth 1"),
        (Design("mine:net", depth=2), "networks from elsewhere have no depth multiplier"),
        (Design("mobilenetv2", blocks="separable"), "no dense 3x3 convolution but the first"),
    ],
    ids=str,
)
def test_designs_that_cannot_be_built_are_refused(design, message):
    with pytest.raises(InputError, match=message) as caught:
        profile_design(design, CIFAR)
    assert "\n" not in str(caught.value)


def test_defaults_are_left_out_of_the_json_form():
    assert not {"depth", "blocks", "resolution"} & Design("resnet20").to_json().keys()
    design = Design("resnet20", depth=0.5, blocks="separable", resolution=24)
    data = json.loads(json.dumps(design.to_json()))
    assert (data["depth"], data["blocks"], data["resolution"]) == (0.5, "separable", 24)
    assert Design.from_json(data) == design
    digests = {d.digest for d in (design, Design("resnet20"), *(Design("resnet20", depth=d) for d in (0.5, 2)))}
    assert len(digests) == 4


@pytest.mark.parametrize("changes", [{"depth": "1"}, {"depth": True}, {"resolution": True}], ids=str)
def test_numbers_of_another_kind_are_refused(changes):
    with pytest.raises(InputError, match="must be a"):
        Design("resnet20", **changes)
