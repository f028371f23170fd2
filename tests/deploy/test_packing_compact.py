"""Compact networks pack as exactly as dense ones: blocks are folded, and codes are the trained weights."""

import pytest
import torch
from packing_models import difference, images, packed, settled
from torch import nn

from greenshift.compress.uniform import quantised_weight
from greenshift.deploy.packing.layers import codes
from greenshift.deploy.validity import check
from greenshift.design import Design
from greenshift.networks import ImageShape, build_network
from greenshift.schemes import Uniform

X = images(8, size=16)
SHAPE = ImageShape(10, 3, 16)


@pytest.mark.parametrize(
    "changes",
    [
        *({"depth": 0.3}, {"depth": 0.3, "blocks": "separable"}, {"depth": 0.3, "blocks": "bottleneck"}),
        *({"backbone": "tiny_cnn", "blocks": "separable"}, {"backbone": "tiny_cnn", "depth": 2.0}),
    ],
    ids=str,
)
def test_int8_is_packed_exactly(changes):
    torch.manual_seed(0)
    design = Design(**{"backbone": "resnet20", "width": 0.5, "schemes": (("*", Uniform(8, 8)),), **changes})
    model = settled(build_network(design, SHAPE), X)
    layers = {name: m for name, m in model.named_modules() if isinstance(m, nn.Conv2d | nn.Linear)}
    for name, layer in layers.items():
        found = codes(layer, name, allow_rounding=False)
        scale = found.scale.float().view(-1, *[1] * (layer.weight.dim() - 1))
        assert torch.equal(found.values.float() * scale, quantised_weight(layer).detach()), name
    network, report = packed(model, X)
    check(network)
    assert {layer.name for layer in report.layers} == layers.keys()
    assert {layer.trained_as for layer in report.layers} == {"uniform 8-bit"}
    assert report.rounded == ()
    norms = {name for name, m in model.named_modules() if isinstance(m, nn.BatchNorm2d)}
    assert norms <= set(report.merged), "every batch norm goes into a convolution"
    # Only maps are rounded anew, to steps of powers of two, up to 20 times one after another.
    assert difference(model, network, X) < 0.15
