"""Ternary layers: the codes and scales of TWN, the gradients of LSQ and of the straight-through estimator."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from greenshift.compress import Ternary, convert
from greenshift.compress.ternary import TernaryLinear, ternary_codes
from greenshift.design import Design, Optimization, Recipe
from greenshift.networks import train_design
from greenshift.records import DataChoice

ROWS = torch.tensor([[1.0, -0.5, 0.25, -0.05], [0.0, 0.0, 0.0, 0.0]])


def layer(scheme, weight=ROWS):
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    with torch.no_grad():
        linear.weight.copy_(weight)
    return convert(linear, {"*": scheme}, torch.zeros(1, weight.shape[1]))[0]


@pytest.mark.parametrize("learned", [True, False])
def test_codes_and_scales_by_hand(learned):
    """Mean magnitude 0.45, threshold 0.315: 1 and -0.5 stay, at 0.75. A channel of zeros stays zero."""
    codes, scale = ternary_codes(layer(Ternary(learned_scale=learned)))
    assert codes.tolist() == [[1, -1, 0, 0], [0, 0, 0, 0]]
    assert scale.tolist() == pytest.approx([0.75, 1e-12])
    assert scale.requires_grad is learned


def test_the_threshold_decides_what_is_kept():
    kept = [int(ternary_codes(layer(Ternary(threshold=t)))[0][0].abs().sum()) for t in (0.0, 0.5, 0.7, 0.99)]
    assert kept == [4, 3, 2, 2]


def test_a_weight_at_the_threshold_becomes_zero():
    codes, _ = ternary_codes(layer(Ternary(threshold=0.5), torch.tensor([[1.0, -0.25, 0.25, 0.5]])))
    assert codes.tolist() == [[1, 0, 0, 1]]


@given(st.integers(0, 1000), st.floats(0, 1, exclude_max=True))
def test_every_output_keeps_its_largest_weight(seed, threshold):
    weight = torch.randn(3, 9, generator=torch.Generator().manual_seed(seed))
    codes, scale = ternary_codes(layer(Ternary(threshold=threshold), weight))
    largest = weight.abs().argmax(1, keepdim=True)
    assert torch.equal(codes.gather(1, largest), weight.gather(1, largest).sign())
    assert bool((scale > 0).all())


def test_the_scale_of_the_kept_weights_has_the_least_error():
    weight = torch.randn(4, 50, generator=torch.Generator().manual_seed(0))
    codes, scale = ternary_codes(layer(Ternary(), weight))

    def error(factor):
        return (weight - codes * scale[:, None] * factor).square().sum()

    assert error(1.0) < min(error(0.99), error(1.01))


def test_gradients():
    """The latent weight gets the weight's gradient; the scale that of LSQ: sum of gradient times code, over sqrt N."""
    ternary = layer(Ternary()).train()
    ternary.range.low.fill_(-2.0)
    ternary.range.high.fill_(2.0)
    x, upstream = torch.tensor([[1.0, 2.0, -1.0, 0.5]]), torch.tensor([[3.0, -1.0]])
    seen = ternary.eval().range(x)
    ternary(x).backward(upstream)
    gradient = upstream.T @ seen
    assert torch.allclose(ternary.weight.grad, gradient)
    wanted = (gradient[0, 0] - gradient[0, 1]) / 4**0.5
    assert ternary.weight_scale.grad.tolist() == pytest.approx([float(wanted), 0.0])


def test_without_a_learned_scale_there_is_no_parameter_for_it():
    ternary = layer(Ternary(learned_scale=False))
    assert set(dict(ternary.named_parameters())) == {"weight"}
    with torch.no_grad():
        ternary.weight.mul_(2)
    assert float(ternary_codes(ternary)[1][0]) == pytest.approx(1.5)


def test_a_layer_built_alone_starts_at_its_own_mean():
    torch.manual_seed(0)
    built = TernaryLinear(8, 3, scheme=Ternary())
    assert torch.equal(built.weight_scale, layer(Ternary(), built.weight.detach()).weight_scale)


@pytest.mark.parametrize("scheme", [Ternary(), Ternary(4, 0.5, False)])
def test_an_epoch_on_digits_lowers_the_loss(scheme):
    recipe = Recipe(epochs=2, batch_size=32, optimization=Optimization(lr=0.05))
    data = DataChoice("digits", train_limit=400)
    _, _, curve = train_design(Design("tiny_cnn", schemes=(("*", scheme),), recipe=recipe), data, epochs=2, seed=0)
    assert curve[1].train_loss < 0.8 * curve[0].train_loss


def test_the_scale_learns():
    torch.manual_seed(0)
    ternary = layer(Ternary(), torch.randn(3, 6)).train()
    before = ternary.weight_scale.detach().clone()
    x = torch.randn(64, 6)
    optimizer = torch.optim.SGD([ternary.weight_scale], lr=0.1)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        loss = (ternary(x) - 2 * x @ ternary.weight.detach().T).square().mean()
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.6 * losses[0]
    assert bool((ternary.weight_scale > before).all())
