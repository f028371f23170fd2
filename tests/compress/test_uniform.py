"""Uniform layers: the int8 baseline stays what it was, learned steps follow LSQ."""

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from greenshift.compress import Uniform, convert, profile
from greenshift.compress.learned import LearnedRange, LearnedStep
from greenshift.compress.uniform import UniformConv2d, UniformLinear, quantised_weight, weight_step
from greenshift.design import Design, Optimization
from greenshift.train.optimizers import build_optimizer

X = torch.randn(4, 3, 8, 8, generator=torch.Generator().manual_seed(0))
LEARNED = [Uniform(b, a, c, "learned") for b, a, c in [(8, 8, True), (4, 4, True), (3, 5, False), (2, 2, True)]]
names = pytest.mark.parametrize("scheme", LEARNED, ids=str)


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        *(nn.Conv2d(3, 6, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(216, 5)),
    )


def first_layer(model):
    return next(layer for layer in profile(model, (3, 8, 8)).layers if layer.name == "0")


@pytest.mark.parametrize(
    ("bits", "outputs", "input_grad", "weight_grad"),
    [
        (
            (8, 8),
            [-1.811608, 3.311729],
            [0.0, 7.45138, 7.86961, 8.41989, 8.83812, 9.3884, 0.0, 0.0],
            [2.756, 1.1348, -1.7293, -4.5934, -7.5115, -10.3756, -11.0241, -11.0241],
        ),
        (
            (3, 2),
            [-1.893056, 3.586806],
            [7.3875, 7.3875, 7.71479, 7.71479, 10.50458, 8.04208, 0.0, 0.0],
            [4.2068, 0.0, 0.0, -4.2068, -8.4135, -8.4135, -8.4135, -8.4135],
        ),
    ],
)
def test_the_baseline_is_what_it_was(bits, outputs, input_grad, weight_grad):
    """Golden values of the layer before it had options: two steps of its range, outputs, gradients."""
    layer = nn.Linear(8, 2)
    with torch.no_grad():
        layer.weight.copy_(torch.linspace(-1, 0.7, 16).view(2, 8))
        layer.bias.copy_(torch.tensor([0.1, -0.2]))
    new, _ = convert(layer, {"*": Uniform(*bits)}, torch.zeros(1, 8))
    assert list(new.state_dict()) == ["weight", "bias", "range.low", "range.high"]
    x = torch.linspace(-0.5, 2, 8).view(1, 8).requires_grad_()
    new.train()(x)
    new(x * 1.5).square().sum().backward()
    assert new.eval()(x).flatten().tolist() == pytest.approx(outputs, abs=2e-6)
    assert x.grad.flatten().tolist() == pytest.approx(input_grad, abs=2e-5)
    assert new.weight.grad[0].tolist() == pytest.approx(weight_grad, abs=2e-4)


def test_stored_designs_keep_their_digests():
    assert Design("resnet20", schemes=(("*", Uniform(8, 8)),)).digest == "2ae89ff3daee"
    assert Design("resnet20", schemes=(("*", Uniform(4, 3)),)).digest == "35a42166d8b9"


def lsq_rule(x, step, low, high, sharing):
    """The gradient of the step, number by number, as the paper writes it."""
    total = 0.0
    for value in x.flatten().tolist():
        ratio = value / step
        total += low if ratio <= low else high if ratio >= high else round(ratio) - ratio
    return total / math.sqrt(sharing * max(high, -low))


@given(
    values=st.lists(st.floats(-4, 4, width=32), min_size=1, max_size=12),
    step=st.sampled_from([0.25, 0.5, 1.0]),
    bits=st.integers(2, 8),
    signed=st.booleans(),
)
def test_the_gradient_of_a_step_is_the_papers(values, step, bits, signed):
    low, high = (-(2 ** (bits - 1) - 1), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    x = torch.tensor(values, requires_grad=True)
    s = torch.tensor(step, requires_grad=True)
    y = LearnedStep.apply(x, s, torch.tensor(float(low)), torch.tensor(float(high)), len(values))
    y.sum().backward()
    assert float(s.grad) == pytest.approx(lsq_rule(x.detach(), step, low, high, len(values)), abs=1e-5)
    inside = (x > low * step) & (x < high * step)
    assert torch.equal(x.grad, inside.float())
    assert torch.equal(y, step * (x / step).clamp(low, high).round())


def test_the_gradient_of_a_step_is_the_slope_with_frozen_rounding():
    """Straight-through: with each rounding error held, s (clip(w / s) + error) has LSQ's slope."""
    torch.manual_seed(0)
    layer = UniformLinear(12, 3, bias=False, scheme=Uniform(3, 8, True, "learned")).double().train()
    w, s = layer.weight.detach(), layer.weight_step.detach()
    error = torch.where((w / s).abs() < 3, (w / s).round() - w / s, 0.0)

    def surrogate(step):
        return (step * ((w / step).clamp(-3, 3) + error)).sum(1)

    quantised_weight(layer).sum().backward()
    slope = (surrogate(s + 1e-6) - surrogate(s - 1e-6)) / 2e-6
    torch.testing.assert_close(layer.weight_step.grad.flatten(), slope / math.sqrt(12 * 3), rtol=1e-4, atol=1e-5)


@names
def test_steps_start_where_the_paper_starts(scheme):
    model, _ = convert(small(), {"*": scheme}, X)
    weight, top = model[0].weight.detach(), 2 ** (scheme.weight_bits - 1) - 1
    mean = weight.abs().mean((1, 2, 3), keepdim=True) if scheme.per_channel else weight.abs().mean()
    torch.testing.assert_close(model[0].weight_step.detach(), 2 * mean / math.sqrt(top))
    model.train()(X)
    codes = 2**scheme.act_bits - 1
    relu = model[2](model[1](model[0](X))).detach()  # never negative: the unsigned grid
    assert float(model[4].range.zero) == 0
    assert model[4].range.step.item() == pytest.approx(2 * float(relu.mean()) / math.sqrt(codes), rel=1e-4)
    zero = round(float(-X.min() / (X.max() - X.min())) * codes)
    assert float(model[0].range.zero) == zero
    assert model[0].range.step.item() == pytest.approx(2 * float(X.abs().mean()) / max(zero, codes - zero) ** 0.5)


def test_steps_that_fell_to_zero_start_anew():
    layer = UniformConv2d(3, 2, 3, scheme=Uniform(4, 4, True, "learned"))
    layer.train()(X)
    fresh, seen = layer.weight_step.detach().clone(), layer.range.step.item()
    with torch.no_grad():
        layer.weight_step[1] = -0.1
        layer.range.step.fill_(-1.0)
    layer(X)
    assert torch.equal(layer.weight_step, fresh)
    assert layer.range.step.item() == seen


def test_black_images_leave_a_step_open():
    grid = LearnedRange(4, torch.device("cpu")).train()
    assert torch.equal(grid(torch.zeros(2, 3)), torch.zeros(2, 3))
    assert grid.step.item() == 0
    grid(torch.ones(2, 3))
    assert grid.step.item() == pytest.approx(2 / math.sqrt(15))


def test_steps_do_not_decay():
    model, _ = convert(small(), {"*": LEARNED[1]}, X)
    plain, free = build_optimizer(model, Optimization("SGD", 0.1, 0.9, 1e-2, "constant")).param_groups
    assert (plain["weight_decay"], free["weight_decay"]) == (1e-2, 0.0)
    assert sorted(p.numel() for p in free["params"]) == [1, 1, 5, 6]


def test_one_scale_for_a_layer():
    model, _ = convert(small(), {"*": Uniform(4, 8, per_channel=False)}, X)
    assert weight_step(model[0]).item() == pytest.approx(float(model[0].weight.detach().abs().max()) / 7)
    many, _ = convert(small(), {"*": Uniform(4, 8)}, X)
    one, several = (first_layer(m).parameter_bytes for m in (model, many))
    assert several - one == 4 * (6 - 1)
