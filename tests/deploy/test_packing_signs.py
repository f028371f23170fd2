"""Sign activations in a packed network: maps of two bytes, and sums of signs that are those of the trained layer."""

import numpy as np
import pytest
import torch
from packing_models import difference, images, normalised, packed, raw, settled
from torch import nn

from greenshift.compress import Binary, convert
from greenshift.deploy.file import read_network, write_network
from greenshift.deploy.network import Lookup
from greenshift.deploy.packing import simulate
from greenshift.deploy.reference import run_reference
from greenshift.deploy.runtime import Runtime, available_isas
from greenshift.deploy.validity import check
from greenshift.models import build_model

X = images()


def two_layers():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 64, 5)
    )
    return settled(convert(network, {"*": Binary(act_bits=1)}, X)[0], X)


def signs_of(network):
    """Bytes of the look-ups that give two values."""
    tables = [(set(step.table.tolist()), step.grid) for step in network.steps if isinstance(step, Lookup)]
    return [sorted((byte - grid.zero) * 2.0**grid.exponent for byte in found) for found, grid in tables]


def test_logits_of_signs_of_the_image_are_those_of_the_model():
    """Nothing is rounded before the only sign: what is left is the rounding of scales to 11 bits."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 8, bias=False), nn.Flatten())
    model = settled(convert(model, {"*": Binary(act_bits=1)}, X)[0], X)
    network, report = packed(model, X)
    with torch.no_grad():
        wanted = model(normalised(X)).numpy()
    np.testing.assert_allclose(run_reference(network, raw(X)), wanted, rtol=2.0**-11 * 1.01, atol=1e-7)
    assert [layer.kind for layer in report.layers] == ["binary"]


def test_padding_is_neither_sign():
    """Zeros around the map add nothing, as in the trained layer."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 3, padding=1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    model = settled(convert(model, {"0": Binary(act_bits=1)}, X)[0], X)
    network, _ = packed(model, X)
    assert network.input.grid.zero == 128
    assert difference(model, network, X) < 0.02


def test_a_map_of_one_sign_in_the_images_still_has_two():
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Conv2d(4, 5, 8), nn.Flatten())
    with torch.no_grad():
        model[0].bias.fill_(10.0)
    model = settled(convert(model, {"1": Binary(act_bits=1)}, X)[0], X)
    network, _ = packed(model, X)
    grids = [step.grid for step in network.steps if isinstance(step, Lookup)]
    assert [grid.zero for grid in grids] == [128]


@pytest.mark.parametrize("build", [two_layers, "birealnet20"])
def test_every_runtime_gives_the_simulated_logits(build, tmp_path):
    if build == "birealnet20":
        torch.manual_seed(0)
        float_model = build_model(build, num_classes=5, in_channels=3, image_size=8, width=0.5)
        model = settled(convert(float_model, {"layer*": Binary(act_bits=1)}, X)[0], X)
    else:
        model = build()
    network, report = packed(model, X)
    check(network)
    assert sum(layer.kind == "binary" for layer in report.layers) == (18 if build == "birealnet20" else 2)
    assert [-1, 1] in signs_of(network)
    write_network(tmp_path / "a.packed", network)
    read = read_network(tmp_path / "a.packed")
    simulated = simulate(network)(X).numpy()
    np.testing.assert_array_equal(run_reference(read, raw(X)), simulated)
    for isa in available_isas():
        np.testing.assert_array_equal(Runtime(read, isa).run(raw(X)), simulated, err_msg=isa)


def test_the_packed_network_is_near_the_trained_one():
    """A byte stands for a range of values: signs near zero turn, which the sums of hundreds of them hardly show."""
    model = two_layers()
    network, _ = packed(model, X)
    assert difference(model, network, X) < 0.15
