"""Pruning while training: the schedule is followed, resumed exactly, and ends where the design said."""

import dataclasses

import pytest
import torch

from greenshift.artifacts import load_artifact, save_artifact
from greenshift.compress import profile, sparsity_of
from greenshift.data import load_dataset
from greenshift.design import Design, Optimization, Pruning, Recipe
from greenshift.errors import InputError
from greenshift.networks import Start, build_network, image_shape, profile_design, train_design
from greenshift.records import DataChoice
from greenshift.schemes import Depth, Shift, Uniform
from greenshift.targets import cost, load_target
from greenshift.train import train

DIGITS = DataChoice("digits", train_limit=200)
RECIPE = Recipe(4, 32, Optimization("SGD", 0.05, 0.9, 1e-4, "cosine"))
DESIGN = Design("tiny_cnn", schemes=((Depth(99), Shift("Q", 4, 8, 8)),), recipe=RECIPE, pruning=Pruning(0.8))
PATTERN = Pruning(0.5, "2:4", keep_first=True)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


def share(model):
    masks = [value for name, value in model.state_dict().items() if name.endswith("pruning_mask")]
    return sum(int((~mask).sum()) for mask in masks) / sum(mask.numel() for mask in masks)


def designs():
    for scheme in (None, Shift("Q", 4, 8, 8), Shift("PS", 5, 8, 8), Uniform()):
        for pruning in (Pruning(0.8), PATTERN, Pruning(0.6, schedule="one-shot")):
            schemes = () if scheme is None else ((Depth(99), scheme),)
            yield dataclasses.replace(DESIGN, schemes=schemes, pruning=pruning)


@pytest.mark.parametrize("design", list(designs()))
def test_a_trained_network_has_the_sparsity_of_its_design(design):
    model, _, curve = train_design(design, DIGITS, epochs=4, seed=0)
    assert curve[-1].train_loss < curve[0].train_loss
    planned = {layer.name: layer for layer in profile_design(design, DIGITS).layers if layer.sparsity}
    found = {layer.name: layer for layer in profile(model.cpu(), image_shape(DIGITS).input).layers if layer.sparsity}
    assert planned.keys() == found.keys()
    if design.pruning.group is not None:
        assert planned == found
    total = sum(layer.weights for layer in planned.values())
    removed = [sum(layer.sparsity * layer.weights for layer in layers.values()) for layers in (planned, found)]
    assert removed[1] == pytest.approx(removed[0], abs=0.5 + 1e-6 * total)


def test_the_share_grows_over_the_first_half_and_stays():
    shares, masks = [], []
    for epochs in (1, 2, 3):
        model, _, _ = train_design(DESIGN, DIGITS, epochs=epochs, seed=0)
        shares.append(share(model))
        masks.append([value for name, value in model.state_dict().items() if name.endswith("pruning_mask")])
    assert shares == [pytest.approx(0.8 * 7 / 8, abs=1e-3), pytest.approx(0.8, abs=1e-3), shares[1]]
    assert all(torch.equal(one, other) for one, other in zip(masks[1], masks[2], strict=True))


@pytest.mark.parametrize("pruning", [Pruning(0.8), PATTERN, Pruning(0.6, schedule="one-shot")], ids=str)
def test_a_resumed_pruning_ends_with_the_same_weights(pruning, tmp_path):
    design, file = dataclasses.replace(DESIGN, pruning=pruning), tmp_path / "c.safetensors"
    whole, _, _ = train_design(design, DIGITS, epochs=3, seed=0)
    train_design(design, DIGITS, epochs=1, seed=0, checkpoint=file)
    resumed, _, _ = train_design(design, DIGITS, epochs=3, seed=0, checkpoint=file)
    for (name, expected), actual in zip(whole.state_dict().items(), resumed.state_dict().values(), strict=True):
        assert torch.equal(expected, actual), name


def test_an_artifact_brings_its_masks(tmp_path):
    model, training, _ = train_design(DESIGN, DIGITS, epochs=2, seed=0)
    save_artifact(tmp_path / "a.safetensors", model, DESIGN, load_dataset("digits"), {})
    artifact = load_artifact(tmp_path / "a.safetensors")
    assert artifact.design == DESIGN
    assert sparsity_of(artifact.model) == sparsity_of(model)
    # Training it further, without a schedule, brings nothing back.
    tuned = artifact.model.to(training.compute.device)
    train(tuned, dataclasses.replace(training, pruning=None), 1)
    for _, layer in tuned.named_modules():
        if hasattr(layer, "pruning_mask"):
            assert bool((layer.weight[~layer.pruning_mask] == 0).all())


def test_float_weights_can_be_pruned_from_the_start():
    weights = build_network(Design("tiny_cnn"), image_shape(DIGITS)).state_dict()
    model, _, _ = train_design(DESIGN, DIGITS, epochs=1, seed=0, start=Start(weights, "test"))
    assert share(model) == pytest.approx(0.7, abs=1e-3)


def test_targets_that_skip_zeros_profit_before_any_training():
    dense = dataclasses.replace(DESIGN, pruning=None)
    saves = {}
    for name in ("cortex-m0", "cpu-avx2"):
        target = load_target(name)
        energies = [cost(profile_design(design, DIGITS), target).energy_j for design in (DESIGN, dense)]
        saves[name] = energies[0] < energies[1]
    assert saves == {"cortex-m0": True, "cpu-avx2": False}


def test_a_design_that_cannot_be_pruned_is_refused_before_training():
    first = dataclasses.replace(DESIGN, pruning=Pruning(0.5, "2:4"))
    with pytest.raises(InputError, match=r"prune: .* inputs per output, too few for 2:4"):
        profile_design(first, DIGITS)
    stochastic = Shift("Q", 4, 8, 8, "stochastic", original=True)
    with pytest.raises(InputError, match="no weight of exactly zero"):
        profile_design(dataclasses.replace(DESIGN, schemes=((Depth(1), stochastic),)), DIGITS)
