"""The network made for binary convolutions: a shortcut around each, and both signs in front of each."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import nn

from greenshift.compress import Binary, convert
from greenshift.models import build_model
from greenshift.models.binary import OneSlopePReLU


def network(width=1.0, size=32):
    torch.manual_seed(0)
    return build_model("birealnet20", num_classes=10, in_channels=3, image_size=size, width=width)


@pytest.mark.parametrize("width", [0.25, 0.6, 1.0, 1.5])
def test_channels_double_at_every_width(width):
    model = network(width)
    first = model.conv1.out_channels
    assert [stage[0].conv.out_channels for stage in (model.layer1, model.layer2, model.layer3)] == [
        first,
        2 * first,
        4 * first,
    ]
    assert model(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_one_glob_makes_all_but_the_first_and_last_layer_binary():
    _, report = convert(network(), {"layer*": Binary(act_bits=1)}, torch.zeros(2, 3, 32, 32))
    assert len(report.converted) == 18
    assert [layer.name for layer in report.layers if layer.scheme is None] == ["conv1", "linear"]


def test_what_enters_each_convolution_has_both_signs():
    model, seen = network(), []
    for unit in (*model.layer1, *model.layer2, *model.layer3):
        unit.conv.register_forward_pre_hook(lambda _, inputs: seen.append(float((inputs[0] < 0).float().mean())))
    model(torch.randn(16, 3, 32, 32))
    assert len(seen) == 18
    assert all(0.4 < share < 0.6 for share in seen)


def test_without_its_branches_a_unit_passes_its_input_on():
    model = network().eval()
    unit, halving = model.layer2[1], model.layer2[0]
    for branch in (unit, halving):
        nn.init.zeros_(branch.conv.weight)
    x = torch.randn(2, 32, 16, 16)
    assert torch.equal(unit(x), x)
    y = torch.randn(2, 16, 32, 32)
    pooled = nn.functional.avg_pool2d(y, 2)
    assert torch.equal(halving(y), torch.cat([pooled, pooled], 1))


def test_it_is_not_linear_without_signs():
    model = network(0.25, 8).eval()
    x = torch.randn(4, 3, 8, 8)
    with torch.no_grad():
        assert not torch.allclose(model(x) + model(-x), 2 * model(torch.zeros_like(x)), atol=1e-2)


def test_it_learns_without_any_scheme_too():
    model = network(0.25, 8).train()
    generator = torch.Generator().manual_seed(0)
    x, labels = torch.randn(64, 3, 8, 8, generator=generator), torch.randint(0, 10, (64,), generator=generator)
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    losses = []
    for _ in range(15):
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(x), labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


@given(slope=st.floats(-2, 2, width=32), seed=st.integers(0, 9))
def test_the_activation_is_torchs_own_in_values_and_gradients(slope, seed):
    own, fast = nn.PReLU(init=slope), OneSlopePReLU(init=slope)
    x = torch.randn(4, 3, 5, 5, generator=torch.Generator().manual_seed(seed))
    x[0, 0] = torch.tensor([-0.0, 0.0, -1e-30, 1e-30, -1e30])
    inputs, grads = [x.clone().requires_grad_() for _ in range(2)], torch.randn_like(x)
    for module, values in zip((own, fast), inputs, strict=True):
        module(values).backward(grads)
    assert torch.equal(own(x), fast(x))
    assert torch.equal(inputs[0].grad, inputs[1].grad)
    torch.testing.assert_close(own.weight.grad, fast.weight.grad)


def test_under_bfloat16_the_slope_learns_in_float32():
    fast = OneSlopePReLU()
    x = torch.randn(64, 16, generator=torch.Generator().manual_seed(0))
    with torch.autocast("cpu", torch.bfloat16):
        out = fast(x.bfloat16().requires_grad_())
    out.sum().backward()
    assert out.dtype == torch.bfloat16
    assert fast.weight.grad.dtype == torch.float32
    torch.testing.assert_close(fast.weight.grad, x.bfloat16().float().clamp(max=0).sum().reshape(1), rtol=1e-2, atol=0)
