"""Sign activations: their values, both gradients, and binary layers whose sums are whole numbers."""

import pytest
import torch
from torch import nn
from torch.nn import functional

from greenshift.compress import Binary, convert, profile
from greenshift.compress.binary import binary_codes
from greenshift.compress.sign import Sign
from greenshift.design import Design, Optimization, Recipe
from greenshift.networks import train_design
from greenshift.records import DataChoice
from unfused_sign import UnfusedSign

X = torch.tensor([-2.0, -1.0, -0.75, -0.0, 0.0, 0.25, 1.0, 1.5])
SLOPES = {"approx": [0, 0, 0.5, 2, 2, 1.5, 0, 0], "clipped": [0, 1, 1, 1, 1, 1, 1, 0]}


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("gradient", ["approx", "clipped"])
def test_values_and_gradients_by_hand(gradient, dtype):
    x = X.to(dtype, copy=True).requires_grad_()
    signs = Sign(gradient)(x)
    signs.backward(torch.full_like(x, 3.0))
    assert signs.dtype == x.grad.dtype == dtype
    assert signs.tolist() == [-1, -1, -1, 1, 1, 1, 1, 1]
    assert x.grad.tolist() == [3 * slope for slope in SLOPES[gradient]]


def test_values_and_gradients_are_those_of_separate_steps():
    given, grads = torch.randn(2, 1000, generator=torch.Generator().manual_seed(0)).mul(1.5)
    results = []
    for sign in (Sign("approx"), UnfusedSign()):
        x = given.clone().requires_grad_()
        signs = sign(x)
        signs.backward(grads)
        results.append((signs.detach(), x.grad))
    for ours, theirs in zip(*results, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_the_approximation_integrates_to_the_whole_step():
    """From -1 to 1 the piecewise quadratic rises by as much as the sign does."""
    x = torch.linspace(-2, 2, 40_001, dtype=torch.float64, requires_grad=True)
    Sign("approx")(x).sum().backward()
    assert float(torch.trapezoid(x.grad, x.detach())) == pytest.approx(2, rel=1e-6)


def test_signed_inputs_have_the_threshold_zero():
    sign = Sign("approx")
    assert torch.equal(sign.train()(X), sign.eval()(X))
    assert sign.threshold == 0
    sign.fit(X.min(), X.max(), X.abs().mean())
    assert sign.threshold == 0


@pytest.mark.parametrize("gradient", ["approx", "clipped"])
def test_inputs_that_are_never_negative_are_told_apart_at_their_mean(gradient):
    """Behind a ReLU every sign would be 1."""
    sign = Sign(gradient)
    first, then = (torch.rand(1000, generator=torch.Generator().manual_seed(seed)) * (seed + 1) for seed in (0, 1))
    sign.train()(first)
    assert float(sign.threshold) == pytest.approx(float(first.mean()))
    sign(then)
    after = 0.95 * float(first.mean()) + 0.05 * float(then.mean())
    assert float(sign.threshold) == pytest.approx(after)
    x = (X + after).requires_grad_()
    signs = sign.eval()(x)
    signs.sum().backward()
    assert signs[[0, 1, 2, 5, 6, 7]].tolist() == [-1, -1, -1, 1, 1, 1]
    inside = [2, 3, 4, 5]
    assert x.grad[inside].tolist() == pytest.approx([SLOPES[gradient][index] for index in inside], abs=1e-5)
    assert float(sign.threshold) == pytest.approx(after), "evaluation moves nothing"
    sign.fit(then.min(), then.max(), then.abs().mean())
    assert float(sign.threshold) == pytest.approx(float(then.mean()))


def convolution(inputs=64):
    torch.manual_seed(0)
    return convert(
        nn.Conv2d(inputs, 8, 3, padding=1, bias=False), {"*": Binary(act_bits=1)}, torch.zeros(1, inputs, 6, 6)
    )[0]


def test_sums_under_bfloat16_are_whole_multiples_of_the_scale():
    """Sums of up to 576 signs are exact: each output is a whole number times the scale, rounded once."""
    layer, x = convolution(), torch.randn(2, 64, 6, 6, generator=torch.Generator().manual_seed(1))
    codes, scale = binary_codes(layer)
    exact = functional.conv2d(torch.where(x < 0, -1.0, 1.0), codes, padding=1)
    wanted = exact * scale.bfloat16().float().view(-1, 1, 1)
    with torch.autocast("cpu", torch.bfloat16), torch.no_grad():
        found = layer(x)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, wanted.bfloat16())


def test_profile_counts_signs_and_keeps_scales_and_maps_in_bytes():
    model = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1, bias=False), nn.Conv2d(8, 8, 3, padding=1, bias=False))
    converted, _ = convert(model, {"*": Binary(act_bits=1)}, torch.zeros(1, 4, 8, 8))
    found = [layer for layer in profile(converted, (4, 8, 8)).layers if layer.macs]
    assert [(layer.arithmetic, layer.weight_bits, layer.act_bits) for layer in found] == [("binary", 1, 1)] * 2
    assert found[0].parameter_bytes == 288 / 8 + 4 * 8
    assert found[0].output_bits == 8


@pytest.mark.parametrize("scheme", [Binary(1), Binary(1, "clipped")])
def test_an_epoch_on_digits_lowers_the_loss(scheme):
    recipe = Recipe(epochs=2, batch_size=32, optimization=Optimization("Adam", 0.005))
    design = Design("birealnet20", 0.5, schemes=(("layer*", scheme),), recipe=recipe)
    _, _, curve = train_design(design, DataChoice("digits", train_limit=400), epochs=2, seed=0)
    assert curve[1].train_loss < 0.8 * curve[0].train_loss


def test_a_network_of_relus_learns_with_signs():
    """Were the threshold 0, its inner layers would see the same input for every image."""
    recipe = Recipe(epochs=3, batch_size=32, optimization=Optimization("Adam", 0.005))
    schemes = (("1.0", Binary(act_bits=1)), ("3.0", Binary(act_bits=1)))
    design = Design("tiny_cnn", schemes=schemes, recipe=recipe)
    _, _, curve = train_design(design, DataChoice("digits"), epochs=3, seed=0)
    assert curve[-1].val_error < 0.4, "0.9 is chance"
