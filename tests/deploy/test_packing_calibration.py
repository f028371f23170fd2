"""Grids of maps: powers of two by squared error, shared where steps have to share them, within reach of each other."""

import math

import pytest
import torch
from packing_models import difference, images, packed
from torch import nn

from greenshift.deploy.network import Addition, Grid
from greenshift.deploy.packing.calibration import calibrate, quantise
from greenshift.deploy.packing.lowering import lower
from greenshift.deploy.packing.operations import then_clamp
from greenshift.deploy.packing.tracing import trace
from greenshift.deploy.validity import check

X = images()


def grids(model, x):
    """Grid by name of the operation, for a model that takes x as it is."""
    graph = trace(model.eval(), x)
    return calibrate(graph, lower(graph), x).grids


def scaled_conv(factor, bias=0.0):
    """A layer that multiplies the only channel."""
    layer = nn.Conv2d(1, 1, 1)
    nn.init.constant_(layer.weight, factor)
    nn.init.constant_(layer.bias, bias)
    return layer


def net(*layers):
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(64, 2))


ONE = images(channels=1)


@pytest.mark.parametrize("factor", [0.01, 0.9, 1.0, 3.0, 500.0])
def test_the_step_covers_the_values_and_is_no_coarser_than_needed(factor):
    x = ONE / ONE.max()
    grid = grids(net(scaled_conv(factor), nn.ReLU()), x)["0"]
    assert grid.zero == 0
    assert 255 * 2.0**grid.exponent >= 0.9 * factor  # values are spread evenly: clipping them costs more than steps
    assert 255 * 2.0 ** (grid.exponent - 1) < factor


def test_what_may_be_negative_has_its_zero_in_the_middle():
    found = grids(net(scaled_conv(1.0, -0.5)), ONE)
    assert found["0"].zero == 128
    assert found["input_1"].zero == 0


@pytest.mark.parametrize(("outliers", "exponent"), [(0, -11), (1, -11), (64, -10)])
def test_a_lone_outlier_is_clipped_and_many_are_not(outliers, exponent):
    x = torch.rand(64, 1, 8, 8, generator=torch.Generator().manual_seed(0)) * 0.12  # 255 steps of 2^-11 reach 0.1245
    x.view(-1)[:outliers] = 0.13
    assert grids(net(scaled_conv(1.0), nn.ReLU()), x)["0"].exponent == exponent


def test_a_dead_map_has_some_grid():
    network, _ = packed(net(scaled_conv(1.0, -9.0), nn.ReLU()).eval(), ONE)
    check(network)
    assert difference(net(scaled_conv(1.0, -9.0), nn.ReLU()).eval(), network, ONE) >= 0


class Two(nn.Module):
    def __init__(self, left, right, join):
        super().__init__()
        self.left, self.right, self.join, self.head = left, right, join, nn.LazyLinear(2)

    def forward(self, x):
        return self.head(torch.flatten(self.join(self.left(x), self.right(x)), 1))


def test_joined_maps_share_the_grid_that_suits_both():
    found = grids(Two(scaled_conv(1.0), scaled_conv(-7.0), lambda a, b: torch.cat([a, b], 1)), ONE)
    assert found["left"] == found["right"] == found["cat"]
    assert found["left"].zero == 128
    assert 128 * 2.0 ** found["left"].exponent >= 6


@pytest.mark.parametrize("factor", [2.0**-20, 1.0, 2.0**20])
def test_exponents_of_an_addition_stay_within_reach(factor):
    model = Two(scaled_conv(1.0), scaled_conv(factor), torch.add).eval()
    with torch.no_grad():
        model(ONE)
    network, _ = packed(model, ONE)
    check(network)
    step = next(step for step in network.steps if isinstance(step, Addition))
    exponents = [network.steps[source].grid.exponent for source in step.sources] + [step.grid.exponent]
    assert max(exponents) - min(exponents) <= 14
    assert difference(model, network, ONE) < 0.06


@pytest.mark.parametrize(
    ("values", "grid", "wanted"),
    [
        ([0.0, 0.5, 1.5, 2.5, 300.0, -1.0], Grid(0), [0, 0, 2, 2, 255, 0]),
        ([0.0, 0.25, -0.25, 40.0, -40.0], Grid(-2, 128), [128, 129, 127, 255, 0]),
        ([4.0, -4.0], Grid(2, 128), [129, 127]),
    ],
)
def test_bytes_of_values(values, grid, wanted):
    assert quantise(torch.tensor(values), grid).tolist() == wanted


def test_one_clamp_after_another():
    inf = math.inf
    assert then_clamp((-inf, inf), (0.0, 6.0)) == (0.0, 6.0)
    assert then_clamp((0.0, 6.0), (-1.0, 4.0)) == (0.0, 4.0)
    assert then_clamp((0.0, 1.0), (2.0, 3.0)) == (2.0, 2.0)
    assert then_clamp((5.0, 9.0), (-inf, 3.0)) == (3.0, 3.0)


def test_more_images_than_a_batch_count_all():
    x = torch.cat([ONE * 0.01] * 8 + [ONE])
    few, many = (grids(net(scaled_conv(1.0), nn.ReLU()), part)["0"].exponent for part in (x[:100], x))
    assert few < many
