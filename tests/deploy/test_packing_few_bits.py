"""Ternary and binary layers: packed codes are those that were trained, and every runtime gives the simulated logits."""

import numpy as np
import pytest
import torch
from packing_models import check_runtimes, converted, difference, images, packed, settled
from torch import nn

from greenshift.compress import Binary, Ternary, convert
from greenshift.compress.binary import binary_codes
from greenshift.compress.ternary import ternary_codes
from greenshift.deploy.validity import check
from greenshift.errors import InputError

X = images()
SCHEMES = [Ternary(), Ternary(4, 0.5, False), Binary(), Binary(4)]


@pytest.mark.parametrize("scheme", SCHEMES)
def test_codes_and_multipliers_of_the_packed_layer(scheme):
    trained = converted(scheme, X)
    network, report = packed(trained, X)
    step = next(s for s in network.convolutions if s.name == "3")
    values, scale = (ternary_codes if isinstance(scheme, Ternary) else binary_codes)(trained[3])
    np.testing.assert_array_equal(step.weight, values.permute(0, 2, 3, 1).numpy().astype(np.int16))
    steps = 2.0 ** (network.steps[step.sources[0]].grid.exponent - step.grid.exponent)
    np.testing.assert_allclose(step.multiplier, scale.detach().numpy() * steps, rtol=2.0**-11)
    kind = type(scheme).__name__.lower()
    assert {(layer.kind, layer.trained_as, layer.rounded) for layer in report.layers} == {(kind, kind, 0)}


@pytest.mark.parametrize("scheme", SCHEMES)
def test_the_packed_file_gives_the_simulated_logits_on_every_runtime(scheme, tmp_path):
    trained = converted(scheme, X)
    network, _ = packed(trained, X)
    check(network)
    # Inputs of four bits fall on the other side of a boundary now and then.
    assert difference(trained, network, X) < (0.06 if scheme.act_bits == 8 else 0.15)
    check_runtimes(network, X, tmp_path / "a.packed")


def test_a_learned_scale_below_zero_turns_its_codes():
    trained = converted(Ternary(), X)
    with torch.no_grad():
        trained[3].weight_scale[1].neg_()
    network, _ = packed(trained, X)
    step = next(s for s in network.convolutions if s.name == "3")
    values = ternary_codes(trained[3])[0].permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(step.weight[1], -values[1])
    np.testing.assert_array_equal(step.weight[2], values[2])
    assert difference(trained, network, X) < 0.06


def test_a_scale_that_is_not_finite():
    trained = converted(Ternary(), X)
    with torch.no_grad():
        trained[3].weight_scale[1] = torch.inf
    with pytest.raises(InputError, match="3 has weights that are not finite"):
        packed(trained, X)


def test_binary_weights_with_zeros_among_them_take_two_bits():
    """An output that batch norm silences, and gaps of a dilated kernel: no bit stands for zero."""
    trained = converted(Binary(), X)
    with torch.no_grad():
        trained[1].weight[2] = 0.0
    network, report = packed(trained, X)
    assert [layer.kind for layer in report.layers] == ["ternary", "binary", "binary"]
    assert difference(trained, network, X) < 0.06
    dilated = nn.Sequential(nn.Conv2d(3, 4, 3, dilation=2), nn.Flatten(), nn.Linear(64, 5))
    trained = settled(convert(dilated, {"*": Binary()}, X)[0], X)
    network, report = packed(trained, X)
    assert [layer.kind for layer in report.layers] == ["ternary", "binary"]
    assert difference(trained, network, X) < 0.06
