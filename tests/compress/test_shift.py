import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from greenshift.compress.rounding import fixed_point, ps_weight, q_weight
from greenshift.compress.shift import ShiftConv2d, ShiftLinear, add_shift_decay, load_float_weight
from greenshift.schemes import Shift
from unfused_shift import UnfusedConv2d, UnfusedLinear

GOLDEN = Path(
    os.environ.get("GREENSHIFT_GOLDEN", Path(__file__).parents[2].parent / "shared/golden/deepshift_layers.npz")
)
kinds = st.sampled_from(["Q", "PS"])


def relative(actual, expected):
    return float((actual - expected).detach().abs().max() / expected.detach().abs().max().clamp_min(1e-12))


@pytest.mark.skipif(not GOLDEN.exists(), reason="golden values of the original code are not here")
@pytest.mark.parametrize("case", range(32))
def test_reproduces_the_original_code(case):
    file = np.load(GOLDEN)
    meta = json.loads(str(file["meta"]))[case]
    scheme = Shift(
        meta["type"], meta["weight_bits"], meta["act_integer_bits"], meta["act_fraction_bits"], original=True
    )

    def value(key):
        return torch.from_numpy(file[f"{case}.{key}"])

    if meta["op"] == "conv":
        geometry = {key: meta[key] for key in ("stride", "padding", "dilation", "groups", "bias")}
        layer = ShiftConv2d(meta["in_channels"], meta["out_channels"], meta["kernel_size"], scheme=scheme, **geometry)
    else:
        layer = ShiftLinear(meta["in_features"], meta["out_features"], bias=meta["bias"], scheme=scheme)
    with torch.no_grad():
        for name, parameter in layer.named_parameters():
            parameter.copy_(value(f"param.{name}"))
    x = value("x").clone().requires_grad_()
    y = layer(x)
    (y * value("grad_y")).sum().backward()
    assert relative(y, value("y")) < 1e-5
    assert relative(x.grad, value("grad_x")) < 1e-5
    for name, parameter in layer.named_parameters():
        assert relative(parameter.grad, value(f"grad.{name}")) < 1e-5, name


@settings(max_examples=40, deadline=None)
@given(
    kind=kinds,
    bits=st.integers(2, 8),
    integer=st.integers(2, 16),
    fraction=st.integers(0, 16),
    stride=st.integers(1, 2),
    dilation=st.integers(1, 2),
    padding=st.integers(0, 2),
    groups=st.sampled_from([1, 2]),
    bias=st.booleans(),
    seed=st.integers(0, 99),
)
def test_conv_equals_the_chain_of_small_steps(
    kind, bits, integer, fraction, stride, dilation, padding, groups, bias, seed
):
    torch.manual_seed(seed)
    scheme = Shift(kind, bits, integer, fraction)
    geometry = {"stride": stride, "dilation": dilation, "padding": padding, "groups": groups, "bias": bias}
    layer = ShiftConv2d(4, 6, 3, scheme=scheme, **geometry)
    oracle = UnfusedConv2d(4, 6, 3, scheme=scheme, **geometry)
    oracle.load_state_dict(layer.state_dict())
    _assert_same(layer, oracle, torch.randn(2, 4, 9, 9))


@pytest.mark.parametrize("kind", ["Q", "PS"])
def test_linear_equals_the_chain_of_small_steps(kind):
    torch.manual_seed(0)
    layer = ShiftLinear(7, 5, scheme=Shift(kind, 4, 4, 6))
    oracle = UnfusedLinear(7, 5, scheme=Shift(kind, 4, 4, 6))
    oracle.load_state_dict(layer.state_dict())
    _assert_same(layer, oracle, torch.randn(3, 7))


def _assert_same(layer, oracle, x):
    inputs = [x.clone().requires_grad_() for _ in range(2)]
    outputs = [net(value) for net, value in zip((layer, oracle), inputs, strict=True)]
    weights = torch.randn_like(outputs[0])
    for output in outputs:
        (output * weights).sum().backward()
    torch.testing.assert_close(outputs[0], outputs[1], rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(inputs[0].grad, inputs[1].grad, rtol=1e-5, atol=1e-6)
    for name, parameter in layer.named_parameters():
        torch.testing.assert_close(
            parameter.grad, oracle.get_parameter(name).grad, rtol=1e-5, atol=1e-6, msg=lambda m, n=name: f"{n}: {m}"
        )


@given(kind=kinds, bits=st.integers(2, 8), stochastic=st.booleans(), seed=st.integers(0, 999))
def test_weights_are_powers_of_two_in_range(kind, bits, stochastic, seed):
    torch.manual_seed(seed)
    scheme = Shift(kind, bits)
    raw = torch.randn(64) * 2
    raw[0] = 0.0
    weight = q_weight(raw, scheme, stochastic) if kind == "Q" else ps_weight(raw * 20, raw, scheme, stochastic)
    assert torch.isfinite(weight).all()
    exponent = torch.log2(weight[weight != 0].abs())
    assert torch.equal(exponent, exponent.round())
    assert exponent.numel() == 0 or (exponent.min() >= scheme.min_exponent and exponent.max() <= 0)
    assert torch.equal(torch.sign(weight), torch.sign(raw) if kind == "Q" else torch.sign(weight))
    assert len(weight.unique()) <= 2**bits + (kind == "Q")


@given(
    integer=st.integers(1, 32),
    fraction=st.integers(0, 32),
    value=st.floats(-1e5, 1e5, width=32, allow_subnormal=False),
)
def test_fixed_point_is_floor_on_the_grid(integer, fraction, value):
    scheme = Shift("Q", 4, integer, fraction)
    result = float(fixed_point(torch.tensor([value]), scheme))
    low, high = -(2.0 ** (integer - 1)), (2.0 ** (integer - 1) - 1 if integer > 1 else 1 - 2.0**-fraction)
    exact = min(max(np.floor(np.float32(value) * 2.0**fraction) / 2.0**fraction, low), high)
    assert result == pytest.approx(exact, rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_fixed_point_in_half_precision_is_that_of_float32(dtype):
    x = torch.cat([torch.randn(500), torch.randn(500) * 1e-3]).to(dtype)
    scheme = Shift("Q", 4, 16, 16)
    assert torch.equal(fixed_point(x, scheme), fixed_point(x.float(), scheme).to(dtype))


def test_one_integer_bit_keeps_positive_values_unless_original():
    x = torch.tensor([-0.75, 0.0, 0.6])
    assert fixed_point(x, Shift("Q", 4, 1, 2)).tolist() == [-0.75, 0.0, 0.5]
    assert fixed_point(x, Shift("Q", 4, 1, 2, original=True)).tolist() == [-2.0, -1.0, 0.0]


@pytest.mark.parametrize("kind", ["Q", "PS"])
def test_stochastic_rounding_stops_at_evaluation_unless_original(kind):
    torch.manual_seed(0)
    x = torch.randn(4, 8)
    for original in (False, True):
        layer = ShiftLinear(8, 8, scheme=Shift(kind, 5, rounding="stochastic", original=original)).eval()
        assert torch.equal(layer(x), layer(x)) is not original
        layer.train()
        assert not torch.equal(layer(x), layer(x))


def test_stochastic_rounding_is_right_on_average_and_keeps_zero():
    torch.manual_seed(0)
    weight = torch.full((20_000,), 2.0**-1.25)
    exponents = torch.log2(q_weight(weight, Shift("Q", 4), True))
    assert float(exponents.mean()) == pytest.approx(-1.25, abs=0.02)
    zero = torch.zeros(3)
    assert torch.equal(q_weight(zero, Shift("Q", 4), True), zero)
    with pytest.raises(RuntimeError):
        q_weight(zero, Shift("Q", 4, original=True), True)


def test_shift_decay_is_the_gradient_of_the_decay_on_powers():
    layer = ShiftConv2d(2, 3, 3, scheme=Shift("PS", 5))
    layer(torch.randn(1, 2, 5, 5)).sum().backward()
    before = layer.shift.grad.clone()
    add_shift_decay(nn.Sequential(layer), 0.1)
    shift = layer.shift.detach().clone().requires_grad_()
    (0.05 * (2.0**shift).square().sum()).backward()
    torch.testing.assert_close(layer.shift.grad - before, shift.grad, rtol=1e-4, atol=1e-6)


def test_float_weights_become_the_nearest_shift():
    weight = torch.tensor([[0.9, -0.26, 0.001, 0.0]])
    for kind, expected in (("Q", [1.0, -0.25, 2.0**-7, 0.0]), ("PS", [1.0, -0.25, 0.0, 0.0])):
        layer = ShiftLinear(4, 1, bias=False, scheme=Shift(kind, 4, 16, 16)).eval()
        load_float_weight(layer, weight)
        assert layer(torch.eye(4)).flatten().tolist() == pytest.approx(expected)


@pytest.mark.parametrize("kind", ["Q", "PS"])
def test_trains_under_autocast_in_channels_last(kind):
    torch.manual_seed(0)
    layer = ShiftConv2d(4, 8, 3, padding=1, bias=False, scheme=Shift(kind, 4)).to(memory_format=torch.channels_last)
    x = torch.randn(2, 4, 8, 8).to(memory_format=torch.channels_last)
    with torch.autocast("cpu", torch.bfloat16):
        y = layer(x)
    assert y.dtype == torch.bfloat16
    assert y.is_contiguous(memory_format=torch.channels_last)
    y.float().square().mean().backward()
    for parameter in layer.parameters():
        assert parameter.grad.dtype == torch.float32
        assert torch.isfinite(parameter.grad).all()
