"""From a design to a network: shapes, profiles, baselines, and training that repeats itself."""

import dataclasses

import pytest
import torch

from greenshift import networks
from greenshift.compress.shift import ShiftConv2d, ShiftLinear
from greenshift.design import Design, Optimization, Recipe
from greenshift.errors import InputError
from greenshift.networks import (
    Start,
    apply_schemes,
    build_network,
    epochs_range,
    image_shape,
    load_splits,
    profile_design,
    train_design,
    weighted_layers,
)
from greenshift.records import DataChoice
from greenshift.schemes import Depth, Shift, Uniform
from greenshift.train import calibrate_network

DIGITS = DataChoice("digits", train_limit=200)
RECIPE = Recipe(epochs=2, batch_size=32, optimization=Optimization("SGD", lr=0.05))
SHIFTED = Design("tiny_cnn", schemes=((Depth(99), Shift("Q", 4, 8, 8)),), recipe=RECIPE)


@pytest.fixture(autouse=True)
def _one_thread():
    torch.set_num_threads(1)


@pytest.mark.parametrize(
    ("name", "classes", "shape"),
    [
        ("digits", 10, (1, 8, 8)),
        ("fashion-mnist", 10, (1, 28, 28)),
        ("cifar10", 10, (3, 32, 32)),
        ("cifar100", 100, (3, 32, 32)),
    ],
)
def test_known_datasets_need_no_files(name, classes, shape):
    found = image_shape(DataChoice(name, folder=None))
    assert (found.num_classes, found.input) == (classes, shape)


def test_the_known_shape_of_digits_is_that_of_its_images():
    dataset, _ = load_splits(DIGITS)
    found = image_shape(DIGITS)
    assert (dataset.num_classes, dataset.in_channels, dataset.image_size) == dataclasses.astuple(found)


def test_an_unknown_dataset_is_refused():
    with pytest.raises(InputError, match="'mnist-1d'"):
        image_shape(DataChoice("mnist-1d"))


def test_a_profile_needs_no_weights_and_no_recipe():
    layers = profile_design(SHIFTED, DIGITS)
    assert profile_design(dataclasses.replace(SHIFTED, recipe=Recipe(epochs=9)), DIGITS) == layers
    weighted = [layer for layer in layers.layers if layer.macs]
    assert len(weighted) == weighted_layers("tiny_cnn", DIGITS)
    assert {layer.arithmetic for layer in weighted} == {"shift"}
    assert {layer.weight_bits for layer in weighted} == {4}


@pytest.mark.parametrize(("backbone", "count"), [("resnet20", 20), ("resnet56", 56), ("vgg16", 14)])
def test_layers_that_can_be_shifted(backbone, count):
    assert weighted_layers(backbone, DataChoice("cifar10")) == count


@pytest.mark.parametrize("depth", [0, 1, 3])
def test_a_depth_shifts_so_many_convolutions_from_the_output(depth):
    schemes = ((Depth(depth), Shift("Q", 4, 8, 8)),) if depth else ()
    layers = [layer for layer in profile_design(Design("tiny_cnn", schemes=schemes), DIGITS).layers if layer.macs]
    shifted = [layer.arithmetic == "shift" for layer in layers]
    assert shifted == sorted(shifted), "the shifted ones come last"
    assert sum(layer.arithmetic == "shift" and layer.kind == "conv" for layer in layers) == depth


def test_the_profile_is_that_of_the_network_that_is_built():
    network = build_network(SHIFTED, image_shape(DIGITS))
    modules = [m for m in network.modules() if isinstance(m, ShiftConv2d | ShiftLinear)]
    layers = [layer for layer in profile_design(SHIFTED, DIGITS).layers if layer.macs]
    assert len(modules) == len(layers)
    assert sum(m.weight.numel() for m in modules) == sum(layer.weights for layer in layers)


def test_a_narrower_network_costs_less():
    whole, half = (profile_design(Design("tiny_cnn", width=width), DIGITS) for width in (1.0, 0.5))
    assert half.macs < 0.5 * whole.macs
    assert half.size_bytes < 0.5 * whole.size_bytes


def test_schemes_leave_the_float_network_alone():
    float_network = build_network(Design("tiny_cnn"), image_shape(DIGITS))
    before = {name: value.clone() for name, value in float_network.state_dict().items()}
    shifted = apply_schemes(float_network, SHIFTED, image_shape(DIGITS))
    assert shifted is not float_network
    assert apply_schemes(float_network, Design("tiny_cnn"), image_shape(DIGITS)) is float_network
    after = float_network.state_dict()
    assert before.keys() == after.keys()
    assert all(torch.equal(value, after[name]) for name, value in before.items())


def test_a_scheme_that_matches_nothing_is_refused():
    with pytest.raises(InputError, match="nowhere"):
        build_network(Design("tiny_cnn", schemes=(("nowhere.*", Uniform()),)), image_shape(DIGITS))


def test_impossible_splits_are_refused_before_a_study_starts():
    assert epochs_range(DIGITS)[0] < epochs_range(DIGITS)[1]
    with pytest.raises(InputError, match="train_limit"):
        epochs_range(DataChoice("digits", train_limit=1))
    with pytest.raises(InputError, match="validation_share"):
        epochs_range(DataChoice("digits", validation_share=1e-5))


def trained(seed=0, epochs=2, **keywords):
    model, _, curve = train_design(SHIFTED, DIGITS, epochs=epochs, seed=seed, **keywords)
    figures = [(e.epoch, e.train_loss, e.train_error, e.val_error, e.lr) for e in curve]
    return {name: value.clone() for name, value in model.state_dict().items()}, figures


def same(one, other):
    return all(torch.equal(value, other[name]) for name, value in one.items())


def test_the_same_seed_trains_the_same_network():
    (weights, curve), (again, curve_again), (other, _) = trained(), trained(), trained(seed=1)
    assert curve == curve_again
    assert same(weights, again)
    assert not same(weights, other)


def test_a_checkpoint_continues_as_if_nothing_had_happened(tmp_path):
    file = tmp_path / "state.safetensors"
    _, first = trained(epochs=1, checkpoint=file)
    weights, curve = trained(epochs=2, checkpoint=file)
    straight, straight_curve = trained(epochs=2)
    assert curve[:1] == first
    assert curve == straight_curve
    assert same(weights, straight)


def test_training_for_good_takes_the_validation_images_too():
    _, search, _ = train_design(SHIFTED, DIGITS, epochs=1, seed=0)
    _, final, curve = train_design(SHIFTED, DIGITS, epochs=1, seed=0, final=True)
    _, splits = load_splits(DIGITS)
    assert len(final.train.labels) == len(splits.train) + len(splits.validation) > len(search.train.labels)
    assert final.validation is None
    assert curve[0].val_error is None, "nothing is left to validate on"


def test_training_starts_from_given_float_weights():
    float_weights = build_network(Design("tiny_cnn"), image_shape(DIGITS)).state_dict()
    start = {name: value.clone() for name, value in float_weights.items()}
    still = dataclasses.replace(SHIFTED, recipe=Recipe(1, 32, Optimization("SGD", lr=1e-12, weight_decay=0.0)))
    model, _, _ = train_design(still, DIGITS, epochs=1, seed=5, start=Start(start, "test"))
    pairs = [(value, start[name]) for name, value in model.state_dict().items() if name.endswith("weight")]
    assert pairs
    for value, before in pairs:  # DeepShift-Q keeps its latent weights where its exponents reach
        reached = (before.abs() > 2.0**-7) & (before.abs() < 1)
        assert torch.allclose(value[reached], before[reached], atol=1e-6)


@pytest.fixture
def calibrated(monkeypatch):
    """Batches by which trainings were calibrated, in order."""
    counts = []

    def counted(model, training, batch_count):
        counts.append(batch_count)
        calibrate_network(model, training, batch_count)

    monkeypatch.setattr(networks, "calibrate_network", counted)
    return counts


def test_only_a_converted_network_that_starts_from_weights_is_calibrated(calibrated):
    weights = build_network(Design("tiny_cnn"), image_shape(DIGITS)).state_dict()
    train_design(SHIFTED, DIGITS, epochs=1, seed=0)
    train_design(Design("tiny_cnn", recipe=Recipe(1, 32)), DIGITS, epochs=1, seed=0, start=Start(weights, "test"))
    assert calibrated == []
    train_design(SHIFTED, DIGITS, epochs=1, seed=0, start=Start(weights, "test", 3))
    assert calibrated == [3]


def test_a_training_from_weights_resumes_without_a_second_calibration(calibrated, tmp_path):
    start = Start(build_network(Design("tiny_cnn"), image_shape(DIGITS)).state_dict(), "test")
    design = Design("tiny_cnn", schemes=(("*", Uniform(4, 4, step="learned")),), recipe=Recipe(2, 32))
    whole, _, _ = train_design(design, DIGITS, epochs=2, seed=1, start=start)
    path = tmp_path / "cut.safetensors"
    train_design(design, DIGITS, epochs=1, seed=1, start=start, checkpoint=path)
    resumed, _, _ = train_design(design, DIGITS, epochs=2, seed=1, start=start, checkpoint=path)
    assert calibrated == [5, 5]
    assert all(torch.equal(value, resumed.state_dict()[name]) for name, value in whole.state_dict().items())


def test_calibration_comes_before_the_first_step():
    start = Start(build_network(Design("tiny_cnn"), image_shape(DIGITS)).state_dict(), "test")
    still = Recipe(1, 32, Optimization("SGD", lr=1e-12, weight_decay=0.0))
    design = Design("tiny_cnn", schemes=(("*", Uniform(3, 3, step="learned")),), recipe=still)
    losses = {}
    for count in (0, 5):
        _, _, curve = train_design(
            design, DIGITS, epochs=1, seed=1, start=dataclasses.replace(start, calibration_batches=count)
        )
        losses[count] = curve[0].train_loss
    assert losses[0] != losses[5]


def test_weights_of_another_width_are_refused():
    start = Start(build_network(Design("tiny_cnn"), image_shape(DIGITS)).state_dict(), "f.pt")
    narrow = dataclasses.replace(SHIFTED, width=0.5)
    with pytest.raises(InputError, match=r"init: f\.pt is of another model: other shape"):
        train_design(narrow, DIGITS, epochs=1, seed=0, start=start)
