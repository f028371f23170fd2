"""Binary layers: centred signs, their scale, and the straight-through gradient."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from greenshift.compress import Binary, Uniform, convert
from greenshift.compress.binary import binary_codes
from greenshift.design import Design, Optimization, Recipe
from greenshift.errors import InputError
from greenshift.networks import train_design
from greenshift.records import DataChoice

ROWS = torch.tensor([[1.0, 2.0, 3.0, 6.0], [0.5, 0.5, 0.5, 0.5]])


def layer(weight=ROWS):
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    with torch.no_grad():
        linear.weight.copy_(weight)
    return convert(linear, {"*": Binary()}, torch.zeros(1, weight.shape[1]))[0]


def test_codes_and_scales_by_hand():
    """Mean 3, distances 2, 1, 0, 3: a = 1.5, zero counts as positive. Equal weights leave nothing."""
    codes, scale = binary_codes(layer())
    assert codes.tolist() == [[-1, -1, 1, 1], [1, 1, 1, 1]]
    assert scale.tolist() == pytest.approx([1.5, 1e-12])


@given(st.integers(0, 1000), st.floats(-3, 3), st.floats(0.01, 100))
def test_signs_ignore_an_offset_and_scales_follow_a_factor(seed, offset, factor):
    weight = torch.randn(3, 8, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    linear = nn.Linear(8, 3, bias=False, dtype=torch.float64)
    found = []
    for value in (weight, (weight + offset) * factor):
        with torch.no_grad():
            linear.weight.copy_(value)
        found.append(binary_codes(convert(linear, {"*": Binary()}, torch.zeros(1, 8, dtype=torch.float64))[0]))
    assert torch.equal(found[0][0], found[1][0])
    assert torch.allclose(found[0][1] * factor, found[1][1])


def test_the_scale_has_the_least_error_to_the_centred_weights():
    weight = torch.randn(4, 50, generator=torch.Generator().manual_seed(0)) + 0.3
    codes, scale = binary_codes(layer(weight))
    centred = weight - weight.mean(1, keepdim=True)

    def error(factor):
        return (centred - codes * scale[:, None] * factor).square().sum()

    assert error(1.0) < min(error(0.99), error(1.01))


def test_the_gradient_reaches_every_weight():
    """It comes centred like the weights, to the farthest one too: one that was shut off could never come back."""
    binary = layer().eval()
    binary.range.low.fill_(-2.0)
    binary.range.high.fill_(2.0)
    x = torch.tensor([[1.0, 2.0, -1.0, 0.5]])
    seen = binary.range(x)[0]
    binary(x).backward(torch.tensor([[1.0, 0.0]]))
    assert torch.allclose(binary.weight.grad[0], seen - seen.mean())
    assert binary.weight.grad[1].tolist() == [0, 0, 0, 0]


def test_one_weight_per_output_is_refused():
    model = nn.Sequential(nn.Conv2d(4, 4, 1, groups=4), nn.Conv2d(4, 2, 3))
    with pytest.raises(
        InputError, match=r"binary: a BinaryConv2d with one weight .* 4 outputs .* leave this layer out"
    ):
        convert(model, {"*": Binary()}, torch.zeros(1, 4, 8, 8))
    _, report = convert(model, {"1": Binary()}, torch.zeros(1, 4, 8, 8))
    assert [entry.name for entry in report.converted] == ["1"]


@pytest.mark.parametrize("schemes", [(("*", Binary()),), (("0.0", Uniform()), ("7", Uniform()), ("*", Binary(4)))])
def test_an_epoch_on_digits_lowers_the_loss(schemes):
    recipe = Recipe(epochs=2, batch_size=32, optimization=Optimization(lr=0.05))
    data = DataChoice("digits", train_limit=400)
    _, _, curve = train_design(Design("tiny_cnn", schemes=schemes, recipe=recipe), data, epochs=2, seed=0)
    assert curve[1].train_loss < 0.8 * curve[0].train_loss
