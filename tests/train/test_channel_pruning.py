"""Networks without some of their channels, through training, files, distillation and packing."""

import dataclasses

import numpy as np
import pytest
import torch
from packing_models import images, normalised, packed, raw, settled

from greenshift.artifacts import load_artifact, load_teacher, save_artifact
from greenshift.compress import profile
from greenshift.data import load_dataset
from greenshift.deploy.packing import simulate
from greenshift.deploy.packing.layers import codes
from greenshift.deploy.reference import run_reference
from greenshift.deploy.validity import check
from greenshift.design import Design, Distillation, Optimization, Pruning, Recipe
from greenshift.networks import ImageShape, Start, build_network, image_shape, profile_design, train_design
from greenshift.records import DataChoice
from greenshift.schemes import Binary, Depth, Shift, Ternary, Uniform
from greenshift.targets import cost, load_target

DIGITS = DataChoice("digits", train_limit=200)
HALF = Pruning(0.5, "channels", "one-shot")
DESIGN = Design("tiny_cnn", recipe=Recipe(4, 32, Optimization("SGD", 0.05)), pruning=HALF)
SCHEMES = {
    "float32": (),
    "int8": (("*", Uniform()),),
    "Q4": ((Depth(99), Shift("Q", 4, 8, 8)),),
    "ternary": (("*", Ternary()),),
    "binary": (("*", Binary()),),
}


@pytest.mark.parametrize("schemes", SCHEMES.values(), ids=SCHEMES)
def test_a_cut_network_trains_and_is_read_back(schemes, tmp_path):
    design = dataclasses.replace(DESIGN, schemes=schemes)
    model, _, curve = train_design(design, DIGITS, epochs=4, seed=0)
    assert curve[-1].train_loss < curve[0].train_loss
    found, planned = profile(model.cpu(), image_shape(DIGITS).input), profile_design(design, DIGITS)
    assert found.macs == planned.macs
    assert found.size_bytes == planned.size_bytes
    save_artifact(tmp_path / "a.safetensors", model, design, load_dataset("digits"), {})
    artifact = load_artifact(tmp_path / "a.safetensors")
    assert artifact.design == design
    read = artifact.model.state_dict()
    assert all(torch.equal(value, read[name]) for name, value in model.state_dict().items())


def test_given_weights_decide_which_channels_stay():
    shape = image_shape(DIGITS)
    weights = build_network(Design("tiny_cnn"), shape).state_dict()
    float_weights = {name: value.clone() for name, value in weights.items()}
    slow = dataclasses.replace(DESIGN.recipe, optimization=Optimization("SGD", 1e-12, weight_decay=0.0))
    design = dataclasses.replace(DESIGN, recipe=slow)
    model, _, _ = train_design(design, DIGITS, epochs=1, seed=0, start=Start(weights, "here", 0))
    first, whole = model.cpu().state_dict()["0.0.weight"], float_weights["0.0.weight"]
    kept = [row for row in whole if any(torch.allclose(row, other) for other in first)]
    assert len(kept) == len(first) < len(whole)
    assert all(torch.equal(value, float_weights[name]) for name, value in weights.items())


def test_a_resumed_training_ends_with_the_same_weights(tmp_path):
    file = tmp_path / "c.safetensors"
    whole, _, _ = train_design(DESIGN, DIGITS, epochs=2, seed=0)
    train_design(DESIGN, DIGITS, epochs=1, seed=0, checkpoint=file)
    resumed, _, _ = train_design(DESIGN, DIGITS, epochs=2, seed=0, checkpoint=file)
    for (name, expected), actual in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(expected, actual), name


def test_a_cut_network_teaches_and_learns(tmp_path):
    shape, path = image_shape(DIGITS), tmp_path / "t.safetensors"
    save_artifact(path, build_network(DESIGN, shape), DESIGN, load_dataset("digits"), {})
    teacher = load_teacher(path, shape)
    recipe = dataclasses.replace(DESIGN.recipe, distillation=Distillation(4.0, 0.5))
    design = dataclasses.replace(DESIGN, recipe=recipe)
    _, _, curve = train_design(design, DIGITS, epochs=2, seed=0, teacher=teacher)
    assert curve[-1].train_loss < curve[0].train_loss


@pytest.mark.parametrize("scheme", ["float32", "int8", "Q4"])
@pytest.mark.parametrize(("name", "width"), [("resnet20", 0.5), ("mobilenetv2", 0.25), ("googlenet", 0.25)])
def test_cut_networks_pack_as_others_do(name, width, scheme):
    design = Design(name, width=width, schemes=SCHEMES[scheme], pruning=HALF)
    x = images(4, size=16)
    torch.manual_seed(0)
    model = settled(build_network(design, ImageShape(10, 3, 16)), x)
    network, _ = packed(model, x)
    check(network)
    with torch.no_grad():
        wanted, found = model(normalised(x)), simulate(network)(x)
    np.testing.assert_array_equal(found.numpy(), run_reference(network, raw(x)))
    # Random MobileNets lose as much to 8-bit sums where nothing is cut; a wrong layer would leave nothing.
    assert float(torch.corrcoef(torch.stack([wanted.flatten(), found.flatten()]))[0, 1]) > 0.75
    layers = {key: value for key, value in model.named_modules() if isinstance(value, torch.nn.Conv2d)}
    convolutions = [step for step in network.convolutions if step.name in layers]
    assert len(convolutions) == len(layers)
    for step in convolutions:
        values = codes(layers[step.name], step.name, allow_rounding=False).values.abs()
        if scheme != "float32":  # float layers get their integers only here
            np.testing.assert_array_equal(np.abs(step.weight), values.permute(0, 2, 3, 1).numpy())


def test_every_target_profits_from_a_smaller_network():
    dense = dataclasses.replace(DESIGN, pruning=None)
    for name in ("cortex-m0", "cpu-avx2", "asic-45nm"):
        cut, whole = (cost(profile_design(design, DIGITS), load_target(name)) for design in (DESIGN, dense))
        assert cut.energy_j < whole.energy_j, name
