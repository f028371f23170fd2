"""Sign activations in a packed network: maps of two bytes, and sums of signs that are those of the trained layer."""

import numpy as np
import pytest
import torch
from exported_c import needs_gcc
from packing_models import check_runtimes, difference, images, normalised, packed, raw, settled
from torch import nn

from greenshift.compress import Binary, convert
from greenshift.deploy.c_export import export_c, verify_c
from greenshift.deploy.network import Lookup
from greenshift.deploy.reference import run_reference
from greenshift.deploy.validity import check
from greenshift.models import build_model
from greenshift.targets import load_target

X = images()


def two_layers():
    torch.manual_seed(0)
    network = nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.Flatten(), nn.Linear(8 * 64, 5)
    )
    return settled(convert(network, {"*": Binary(act_bits=1)}, X)[0], X)


def behind_relu():
    """Signs of what is never negative have a threshold above 0, and two of them read one map."""
    torch.manual_seed(0)

    class Two(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.relu = nn.Conv2d(3, 8, 3, padding=1), nn.ReLU()
            self.a, self.b = (nn.Conv2d(8, 4, 3, padding=1, bias=False) for _ in range(2))
            self.flatten, self.linear = nn.Flatten(), nn.Linear(4 * 64, 5)

        def forward(self, x):
            y = self.relu(self.first(x))
            return self.linear(self.flatten(self.a(y) + self.b(y)))

    model = settled(convert(Two(), {"[ab]": Binary(act_bits=1)}, X)[0], X)
    assert model.a.range.threshold > 0
    return model


def birealnet():
    torch.manual_seed(0)
    network = build_model("birealnet20", num_classes=5, in_channels=3, image_size=8, width=0.25)
    return settled(convert(network, {"layer*": Binary(act_bits=1)}, X)[0], X)


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


@pytest.mark.parametrize(("build", "count"), [(two_layers, 2), (behind_relu, 2), (birealnet, 18)])
def test_every_runtime_gives_the_simulated_logits(build, count, tmp_path):
    network, report = packed(build(), X)
    check(network)
    assert sum(layer.kind == "binary" for layer in report.layers) == count
    assert [-1, 1] in signs_of(network)
    check_runtimes(network, X, tmp_path / "a.packed")


@needs_gcc
def test_exported_c_gives_the_same_logits(tmp_path):
    network, _ = packed(birealnet(), X)
    export_c(network, load_target("cortex-m4"), tmp_path)
    assert verify_c(tmp_path, load_target("cortex-m4")).runs[0].identical


def test_the_packed_network_is_near_the_trained_one():
    """A byte stands for a range of values: signs near zero turn, which the sums of hundreds of them hardly show."""
    model = two_layers()
    network, _ = packed(model, X)
    assert difference(model, network, X) < 0.15
