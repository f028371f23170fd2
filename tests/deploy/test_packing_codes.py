"""The integers of packed layers stand for exactly the weights that the layers were trained with."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from packing_models import difference, images, packed, settled, small
from torch import nn

from greenshift.compress import convert
from greenshift.compress.rounding import ps_weight, q_weight
from greenshift.compress.shift import ShiftConv2d
from greenshift.compress.uniform import UniformConv2d, quantised_weight
from greenshift.deploy.network import Convolution, Network
from greenshift.deploy.packing.layers import SHIFT4, SHIFT5, codes, input_rounding
from greenshift.deploy.validity import check
from greenshift.errors import InputError
from greenshift.schemes import Depth, Scheme, Shift, Uniform

X = images()


def converted(scheme: Scheme, seed: int = 0) -> nn.Module:
    return settled(convert(small(seed), {Depth(9): scheme}, X)[0], X)


def shift_layer(exponents: list[list[float]], signs: list[list[float]], scheme: Shift) -> ShiftConv2d:
    """One weight a column: exponents and signs of a PS layer."""
    layer = ShiftConv2d(len(exponents[0]), len(exponents), 1, bias=False, scheme=scheme)
    with torch.no_grad():
        layer.shift.copy_(torch.tensor(exponents)[..., None, None])
        layer.sign.copy_(torch.tensor(signs)[..., None, None])
    return layer


def real_weights(network: Network, name: str) -> np.ndarray:
    """What the layer multiplies values by, in outputs' values: (outputs, kernel height, kernel width, inputs)."""
    step = next(s for s in network.convolutions if s.name == name)
    source = network.steps[step.sources[0]].grid
    assert source is not None
    out = 0 if step.grid is None else step.grid.exponent
    scale = step.multiplier.astype(np.float64) * 2.0 ** (out - source.exponent)
    return step.weight * scale[:, None, None, None]


def torch_weight(layer: nn.Module) -> torch.Tensor:
    scheme = getattr(layer, "scheme", None)
    if isinstance(scheme, Shift):
        if scheme.kind == "PS":
            return ps_weight(layer.shift, layer.sign, scheme, False).detach().double()
        return q_weight(layer.weight, scheme, False).detach().double()
    return layer.weight.detach().double()


@pytest.mark.parametrize("scheme", [Shift("PS", 4), Shift("Q", 3), Shift("PS", 3, 8, 8), Shift("Q", 4, 8, 8)])
def test_packed_shift_weights_are_the_folded_ones(scheme):
    model = converted(scheme)
    network, report = packed(model, X)
    norm = model[1]
    factor = norm.weight.detach().double() / (norm.running_var.double() + norm.eps).sqrt()
    assert bool((factor < 0).any()), "the test needs a factor that turns signs"
    wanted = (torch_weight(model[0]) * factor.view(-1, 1, 1, 1)).permute(0, 2, 3, 1).numpy()
    np.testing.assert_allclose(real_weights(network, "0"), wanted, rtol=2.0**-11, atol=0)
    wanted = torch_weight(model[3]).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(real_weights(network, "3"), wanted)  # no batch norm: powers of two all along
    wanted = torch_weight(model[6]).view(5, 6, 3, 3).permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(real_weights(network, "6"), wanted)
    assert all(layer.kind == "shift" and layer.rounded == 0 for layer in report.layers)
    assert report.int8_layers == ()


def test_a_trained_uniform_grid_is_kept():
    model = converted(Uniform(5, 8))
    network, report = packed(model, X)
    weight = model[3].weight.detach()
    scale = weight.flatten(1).abs().amax(1) / 15
    step = next(s for s in network.convolutions if s.name == "3")
    np.testing.assert_array_equal(
        step.weight, (weight / scale.view(-1, 1, 1, 1)).round().permute(0, 2, 3, 1).numpy().astype(np.int16)
    )
    assert np.abs(step.weight).max() == 15
    assert {layer.trained_as for layer in report.layers} == {"uniform 5-bit"}


@pytest.mark.parametrize(
    "scheme",
    [
        *(Uniform(bits, 8, True, "learned") for bits in range(2, 9)),
        *(Uniform(4, 4, False, "learned"), Uniform(3, 8, False), Uniform(8, 3, True, "learned")),
    ],
    ids=str,
)
def test_codes_of_uniform_layers_are_the_weights_they_multiply_by(scheme):
    model = converted(scheme)
    with torch.no_grad():
        for layer in (model[0], model[3], model[6]):
            if layer.weight_step is not None:  # as a training would
                layer.weight_step.mul_(1.3 if layer is model[0] else 0.4)
    for index in (0, 3, 6):
        layer = model[index]
        found = codes(layer, str(index), allow_rounding=False)
        top = 2 ** (scheme.weight_bits - 1) - 1
        assert found.values.abs().max() <= top
        assert found.storage.kind == ("ternary" if scheme.weight_bits == 2 else "int8")
        assert found.scale.shape == (len(layer.weight),)
        assert scheme.per_channel or len(set(found.scale.tolist())) == 1
        scale = found.scale.float().view(-1, *[1] * (layer.weight.dim() - 1))
        assert torch.equal(found.values.float() * scale, quantised_weight(layer).detach())
    network, report = packed(model, X)
    check(network)
    assert difference(model, network, X) < (0.15 if scheme.act_bits < 8 else 0.06)
    word = f"uniform {scheme.weight_bits}-bit" + (", learned steps" if scheme.step == "learned" else "")
    assert {layer.trained_as for layer in report.layers} == {word}


def test_two_bits_are_ternary():
    network, _ = packed(converted(Uniform(2, 8)), X)
    assert {(step.storage.kind, step.storage.bits) for step in network.convolutions} == {("ternary", 2)}


def test_layers_without_a_scheme_are_int8_within_half_a_level():
    model = settled(small(), X)
    network, report = packed(model, X)
    weight = model[3].weight.detach().double().permute(0, 2, 3, 1).numpy()
    level = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / 127
    assert (np.abs(real_weights(network, "3") - weight) <= level * (0.5 + 127 * 2.0**-12)).all()
    assert report.int8_layers == ("0", "3", "6")
    assert network.description["packing"]["int8_layers"] == ["0", "3", "6"]


def test_mixed_schemes():
    torch.manual_seed(0)
    schemes = {"0": Shift("PS", 4), "3": Uniform(2, 8)}
    model = settled(convert(small(), schemes, X)[0], X)
    network, report = packed(model, X)
    assert [(layer.kind, layer.bits) for layer in report.layers] == [("shift", 4), ("ternary", 2), ("int8", 8)]
    assert report.int8_layers == ("6",)
    assert difference(model, network, X) < 0.06
    check(network)


@pytest.mark.parametrize(
    "scheme", [Shift("Q", 4, 8, 8), Shift("PS", 5), Shift("PS", 4, 2, 3), Uniform(8, 8), Uniform(4, 3)]
)
def test_the_rounding_of_inputs_is_followed(scheme):
    """Coarse roundings and tight bounds are kept; those finer than a byte are left to it."""
    model = converted(scheme)
    network, _ = packed(model, X, allow_rounding=True)
    coarse = scheme in (Shift("PS", 4, 2, 3), Uniform(4, 3))  # a byte beside a boundary falls on its other side
    assert difference(model, network, X) < (0.15 if coarse else 0.06)


@pytest.mark.parametrize(
    ("fine", "coarse"),
    [
        (Shift("PS", 4, 16, 16), Shift("PS", 4, 16, 2)),
        (Shift("PS", 4, 8, 12), Shift("PS", 4, 8, 4)),
        (Uniform(), Uniform(8, 4)),
    ],
)
def test_only_roundings_that_can_be_seen_cost_a_step(fine, coarse):
    few, more = (packed(converted(scheme), X)[0] for scheme in (fine, coarse))
    assert [type(step).__name__ for step in few.steps] == ["Input", *["Convolution"] * 3]
    assert [type(step).__name__ for step in more.steps] == [
        *("Input", "Convolution", "Lookup", "Convolution", "Lookup", "Convolution"),
    ]


def test_bounds_of_inputs_are_clipped_by_the_layer_before():
    model = converted(Shift("PS", 4, 1, 16))  # inputs below 1
    network, _ = packed(model, X)
    for step in list(network.convolutions)[:-1]:
        assert (step.high - step.grid.zero) * 2.0**step.grid.exponent <= 1
    assert difference(model, network, X) < 0.06


def test_a_window_of_seven_levels_takes_four_bits():
    layer = shift_layer([[0.0, -6.0, -3.0], [-7.0, -13.0, -9.0]], [[1, -1, 0], [1, 1, -1]], Shift("PS", 5))
    found = codes(layer, "a", allow_rounding=False)
    assert found.storage == SHIFT4
    assert found.values.flatten(1).tolist() == [[64, -1, 0], [64, 1, -16]]
    assert found.scale.tolist() == [2.0**-6, 2.0**-13]


def test_one_level_more_takes_five_bits():
    layer = shift_layer([[0.0, -7.0], [-1.0, -14.0]], [[1, -1], [-1, 1]], Shift("PS", 5))
    found = codes(layer, "a", allow_rounding=False)
    assert found.storage == SHIFT5
    assert found.values.flatten(1).tolist() == [[128, -1], [-8192, 1]]


def test_more_levels_than_any_format_has():
    layer = shift_layer([[0.0, -14.0]], [[1, 1]], Shift("PS", 5))
    with pytest.raises(
        InputError, match=r"a has weights of 15 exponents .* has 14; allow rounding .--allow-rounding.*retrain"
    ):
        codes(layer, "a", allow_rounding=False)
    found = codes(layer, "a", allow_rounding=True)
    assert (found.storage, found.values.flatten().tolist(), found.rounded) == (SHIFT5, [8192, 1], 1)
    assert found.rounded_energy == pytest.approx(4.0**-14 / (1 + 4.0**-14))


def test_rounding_goes_to_the_bits_of_the_scheme():
    layer = ShiftConv2d(6, 1, 1, bias=False, scheme=Shift("Q", 4))  # ends at 2^-7: 8 levels
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([128.0, 1.0, 1.0, -1.0, 1.0, 2.0]).view(1, 6, 1, 1) / 128)
    exact, rounded = (codes(layer, "a", allow_rounding=allowed) for allowed in (False, True))
    assert (exact.storage, exact.values.flatten().tolist()) == (SHIFT5, [128, 1, 1, -1, 1, 2])
    # A half of the smallest weight is as far from it as from 0: of each sign the first is kept, the second is not.
    assert (rounded.storage, rounded.values.flatten().tolist()) == (SHIFT4, [64, 1, 0, -1, 1, 1])
    assert rounded.rounded == 4


def test_a_quarter_of_the_smallest_weight_becomes_zero():
    layer = ShiftConv2d(3, 1, 1, bias=False, scheme=Shift("Q", 5))
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([1.0, 2.0**-15, 2.0**-13]).view(1, 3, 1, 1))
    found = codes(layer, "a", allow_rounding=True)
    assert (found.storage, found.values.flatten().tolist(), found.rounded) == (SHIFT5, [8192, 0, 1], 1)


@given(
    exponents=st.lists(st.lists(st.integers(0, 13), min_size=3, max_size=3), min_size=1, max_size=4),
    top=st.integers(-14, 0),
    negative=st.booleans(),
    storage=st.sampled_from([SHIFT4, SHIFT5]),
)
def test_weights_within_the_window_are_exact(exponents, top, negative, storage):
    levels = 7 if storage == SHIFT4 else 14
    chosen = [[float(top - e % levels) for e in row] for row in exponents]
    layer = shift_layer(chosen, [[-1.0 if negative else 1.0, 0.0, 1.0]] * len(chosen), Shift("PS", 6))
    found = codes(layer, "a", allow_rounding=False)
    wanted = torch_weight(layer)
    assert torch.equal(found.values * found.scale.view(-1, 1, 1, 1), wanted)
    assert found.values.abs().max() <= storage.largest
    assert found.storage.bits <= storage.bits
    assert found.rounded == 0


def test_channels_without_weights():
    layer = shift_layer([[0.0, -3.0], [-1.0, -1.0]], [[0, 0], [1, 0]], Shift("PS", 4))
    found = codes(layer, "a", allow_rounding=False)
    assert found.values.flatten(1).tolist() == [[0, 0], [1, 0]]
    assert torch.isfinite(found.scale).all()


def test_weights_that_are_not_finite():
    layer = nn.Conv2d(2, 2, 1)
    with torch.no_grad():
        layer.weight[0, 0] = float("nan")
    with pytest.raises(InputError, match="a has weights that are not finite"):
        codes(layer, "a", allow_rounding=False)


def test_dead_channels_keep_their_constant():
    """A batch norm with a factor of 0, or nearly, leaves a constant that no multiplier of its weights could hold."""
    model = settled(small(), X)
    with torch.no_grad():
        model[1].weight[:3] = torch.tensor([0.0, 1e-12, -1e-20])
        model[1].bias[:3] = torch.tensor([1.5, 0.75, 0.0])
        model[3].weight[1] = 0
    network, _ = packed(model, X)
    check(network)
    assert difference(model, network, X) < 0.06
    first = next(network.convolutions)
    constants = first.bias[:3] * first.multiplier[:3].astype(float) * 2.0**first.grid.exponent
    np.testing.assert_allclose(constants, [1.5, 0.75, 0.0], rtol=1e-3)


def large_constant(scheme: Scheme | None) -> nn.Module:
    """One output whose constant is so large that its weights, in these integers, need more than 32 bits beside it."""
    model = settled(small(), X) if scheme is None else converted(scheme)
    with torch.no_grad():
        model[1].weight[:] = 1.0
        model[1].bias[0] = 1000.0
        model[1].weight[0] = 2e-3
    return model


def test_int8_weights_beside_a_large_constant_lose_low_bits():
    model = large_constant(None)
    network, _ = packed(model, X)
    check(network)
    first = next(network.convolutions)
    assert 0 < np.abs(first.weight[0]).max() < 127 == np.abs(first.weight[1]).max()
    assert difference(model, network, X) < 0.06


def test_sums_beyond_32_bits_name_the_layer():
    """Exponents so far apart that the window of 5 bits is used up, beside a large constant."""
    torch.manual_seed(0)
    model = converted(Shift("PS", 5))
    with torch.no_grad():
        model[3].shift[0] = 0.0
        model[3].shift[0, 0, 0, 0] = -13.0
        model[3].sign[0] = 1.0
        model[3].bias[0] = 30000.0
    with pytest.raises(InputError, match=r"3 has an output whose bias is too large .* 32 bits; retrain"):
        packed(model, X)


def test_multipliers_fit_two_bytes():
    network, _ = packed(settled(small(), X), X)
    for step in network.convolutions:
        mantissa = np.frexp(step.multiplier.astype(np.float64))[0] * 2048
        np.testing.assert_array_equal(mantissa, np.rint(mantissa))


def test_layers_that_round_alike_say_so():
    one, other = (ShiftConv2d(2, 2, 1, scheme=Shift("PS", bits, 8, 8)) for bits in (4, 5))
    assert input_rounding(one)[0] == input_rounding(other)[0] != ""
    assert input_rounding(nn.Conv2d(2, 2, 1)) is None
    word, function, bounds = input_rounding(UniformConv2d(2, 2, 1, scheme=Uniform()).eval())
    assert word == ""
    assert bounds[0] <= bounds[1]
    assert function(torch.tensor([1e9])).item() == pytest.approx(bounds[1])


def test_biases_of_shift_convolutions_are_rounded_as_in_training():
    model = converted(Shift("PS", 4, 16, 1))
    with torch.no_grad():
        model[3].bias.fill_(0.7)  # 0.5 on a grid of halves
    network, _ = packed(model, X)
    step = next(s for s in network.convolutions if s.name == "3")
    assert isinstance(step, Convolution)
    constants = step.bias * step.multiplier.astype(float) * 2.0**step.grid.exponent
    np.testing.assert_allclose(constants, 0.5, atol=1e-3)
