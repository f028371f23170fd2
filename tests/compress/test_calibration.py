"""Calibration fits ranges, steps and batch norms, changes nothing else, and suffices for int8."""

import pytest
import torch
from torch import nn

from greenshift.compress import Shift, Uniform, calibrate, convert, reestimate_batch_norm
from greenshift.data import augment, load_dataset, normalise, split
from greenshift.design import Design, Optimization, Recipe
from greenshift.errors import InputError
from greenshift.networks import build_network, image_shape
from greenshift.records import DataChoice
from greenshift.train import Compute, Training, error_rate, train

CPU = Compute(torch.device("cpu"), "float32")
DIGITS = DataChoice("digits")
X = torch.randn(12, 3, 8, 8, generator=torch.Generator().manual_seed(0)) * 2 + 0.5


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Dropout(0.5)),
        *(nn.Flatten(), nn.Linear(216, 5)),
    )


@pytest.fixture(scope="module")
def digits():
    """A float network trained on the digits, the images it was calibrated with, and how to find its error."""
    torch.set_num_threads(1)
    dataset = load_dataset("digits")
    splits = split(dataset, DIGITS)
    recipe = Recipe(15, 32, Optimization("SGD", 0.05, 0.9, 1e-4, "cosine", nesterov=True), augment="crop")
    torch.manual_seed(0)
    model = build_network(Design("tiny_cnn", recipe=recipe), image_shape(DIGITS))
    train(model, Training(dataset, splits.train, None, recipe, 0, CPU), 15)
    shifted = augment(splits.train.images[:512], "crop", torch.Generator().manual_seed(0))
    images = normalise(shifted, dataset.mean, dataset.std)
    return model, images, lambda network: error_rate(network, dataset, splits.test, CPU)


def test_int8_needs_no_training(digits):
    model, images, error = digits
    network, _ = convert(model, {"*": Uniform()}, images[:2])
    assert error(network) > 0.5, "before calibration the inputs have no range"
    calibrate(network, images, batches=8)
    assert error(network) <= error(model) + 0.01
    assert error(model) < 0.05


def test_learned_steps_start_near_the_float_network(digits):
    model, images, error = digits
    network, _ = convert(model, {"*": Uniform(8, 8, True, "learned")}, images[:2])
    calibrate(network, images, batches=8)
    assert error(network) <= error(model) + 0.02


def test_ranges_are_means_over_the_batches():
    model, _ = convert(small(), {"*": Uniform(3, 4)}, X)
    calibrate(model.eval(), X, batches=3)
    parts = X.split(4)
    assert model[0].range.low.item() == pytest.approx(sum(p.min().item() for p in parts) / 3)
    assert model[0].range.high.item() == pytest.approx(sum(p.max().item() for p in parts) / 3)
    assert model[5].range.low.item() == 0  # behind a ReLU


def test_learned_steps_see_all_batches():
    model, _ = convert(small(), {"0": Uniform(3, 4, True, "learned")}, X)
    calibrate(model, X, batches=3)
    magnitude = sum(part.abs().mean().item() for part in X.split(4)) / 3
    zero = model[0].range.zero.item()
    assert model[0].range.step.item() == pytest.approx(2 * magnitude / max(zero, 15 - zero) ** 0.5)


@pytest.mark.parametrize("scheme", [Uniform(2, 3), Uniform(4, 4, False, "learned"), Shift("PS", 3)], ids=str)
def test_batch_norms_get_the_statistics_of_the_rounded_network(scheme):
    model, _ = convert(small(), {"*": scheme}, X)
    calibrate(model, X, batches=3)
    with torch.no_grad():
        maps = [model[0].eval()(part) for part in X.split(4)]
    torch.testing.assert_close(model[1].running_mean, torch.stack([m.mean((0, 2, 3)) for m in maps]).mean(0))
    torch.testing.assert_close(model[1].running_var, torch.stack([m.var((0, 2, 3)) for m in maps]).mean(0))


def test_only_grids_and_statistics_change():
    model, _ = convert(small(), {"*": Uniform(4, 4, True, "learned")}, X)
    model.train()
    model[3].eval()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    calibrate(model, X, batches=2)
    changed = {name for name, value in model.state_dict().items() if not torch.equal(value, before[name])}
    assert changed == {
        *("0.range.step", "0.range.zero", "5.range.step"),  # the other zero is 0 as before
        *("1.running_mean", "1.running_var", "1.num_batches_tracked"),
    }
    assert [module.training for module in model] == [True, True, True, False, True, True]
    assert model[1].momentum == 0.1
    assert not any(module._forward_hooks for module in model.modules())


def test_the_same_images_give_the_same_network():
    model, _ = convert(small().train(), {"*": Uniform(3, 3)}, X)
    calibrate(model, X, batches=2)  # the dropout in it would differ
    first = {name: value.clone() for name, value in model.state_dict().items()}
    calibrate(model, X, batches=2)
    assert all(torch.equal(value, first[name]) for name, value in model.state_dict().items())


def test_a_failing_network_is_left_in_order():
    model, _ = convert(small(), {"*": Uniform()}, X)
    with pytest.raises(RuntimeError):
        calibrate(model, X[:, :2], batches=2)
    assert model[1].momentum == 0.1
    assert not any(module._forward_hooks for module in model.modules())


@pytest.mark.parametrize(("count", "batches"), [(12, 0), (3, 2), (0, 1)])
def test_too_few_images(count, batches):
    model, _ = convert(small(), {"*": Uniform()}, X)
    with pytest.raises(InputError, match=f"{count} images give no {batches} batches of two or more"):
        calibrate(model, X[:count], batches=batches)


def test_nothing_to_fit():
    with pytest.raises(InputError, match="no uniform layer and no batch norm"):
        calibrate(nn.Linear(4, 2), torch.zeros(4, 4), batches=1)


def test_statistics_need_a_batch():
    with pytest.raises(InputError, match="without a batch"):
        reestimate_batch_norm(small(), [])
    reestimate_batch_norm(nn.Linear(4, 2), [])  # has none to estimate
