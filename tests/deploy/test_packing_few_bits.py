"""Ternary and binary layers: packed codes are those that were trained, and every runtime gives the simulated logits."""

import numpy as np
import pytest
import torch
from packing_models import difference, images, packed, raw, settled
from torch import nn

from greenshift.compress import Binary, Ternary, convert
from greenshift.compress.binary import binary_codes
from greenshift.compress.ternary import ternary_codes
from greenshift.deploy.file import read_network, write_network
from greenshift.deploy.packing import simulate
from greenshift.deploy.reference import run_reference
from greenshift.deploy.runtime import Runtime, available_isas
from greenshift.deploy.validity import check
from greenshift.errors import InputError

X = images()
SCHEMES = [Ternary(), Ternary(4, 0.5, False), Binary(), Binary(4)]


def model(scheme, seed=0):
    torch.manual_seed(seed)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(54, 5),
    )
    return settled(convert(network, {"*": scheme}, X)[0], X)


@pytest.mark.parametrize("scheme", SCHEMES)
def test_codes_and_multipliers_of_the_packed_layer(scheme):
    trained = model(scheme)
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
    trained = model(scheme)
    network, _ = packed(trained, X)
    check(network)
    # Inputs of four bits fall on the other side of a boundary now and then.
    assert difference(trained, network, X) < (0.06 if scheme.act_bits == 8 else 0.15)
    write_network(tmp_path / "a.packed", network)
    read = read_network(tmp_path / "a.packed")
    simulated = simulate(network)(X).numpy()
    np.testing.assert_array_equal(run_reference(read, raw(X)), simulated)
    for isa in available_isas():
        np.testing.assert_array_equal(Runtime(read, isa).run(raw(X)), simulated, err_msg=isa)


def test_a_learned_scale_below_zero_turns_its_codes():
    trained = model(Ternary())
    with torch.no_grad():
        trained[3].weight_scale[1].neg_()
    network, _ = packed(trained, X)
    step = next(s for s in network.convolutions if s.name == "3")
    values = ternary_codes(trained[3])[0].permute(0, 2, 3, 1).numpy()
    np.testing.assert_array_equal(step.weight[1], -values[1])
    np.testing.assert_array_equal(step.weight[2], values[2])
    assert difference(trained, network, X) < 0.06


def test_a_scale_that_is_not_finite():
    trained = model(Ternary())
    with torch.no_grad():
        trained[3].weight_scale[1] = torch.inf
    with pytest.raises(InputError, match="3 has weights that are not finite"):
        packed(trained, X)


def test_binary_weights_with_zeros_among_them_take_two_bits():
    """An output that batch norm silences, and gaps of a dilated kernel: no bit stands for zero."""
    trained = model(Binary())
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
