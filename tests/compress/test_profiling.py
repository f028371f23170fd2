import pytest
import torch
from torch import nn

from greenshift.compress import Depth, Shift, Uniform, convert, profile
from greenshift.models import build_model


def resnet20(schemes=None):
    with torch.device("meta"):
        model = build_model("resnet20", num_classes=10, in_channels=3, image_size=32)
    if schemes:
        model = convert(model, schemes, torch.zeros(1, 3, 32, 32, device="meta"))[0]
    return profile(model, (3, 32, 32))


def weighted(network):
    return [layer for layer in network.layers if layer.kind != "elementwise"]


def test_float_resnet20_has_its_known_size():
    network = resnet20()
    layers = weighted(network)
    assert len(layers) == 20
    assert network.macs == 40_551_040
    assert network.size_bytes == pytest.approx(4 * 269_034, rel=0.01)
    assert sum(layer.name.startswith("add") for layer in network.layers) == 9


def test_shift_layers_shrink_by_their_bits():
    network = resnet20({Depth(20): Shift("PS", 4, 8, 8)})
    for layer in weighted(network):
        assert layer.arithmetic == "shift"
        assert (layer.weight_bits, layer.act_bits, layer.weight_levels) == (4, 16, 7)
    assert network.size_bytes < resnet20().size_bytes / 6
    assert weighted(network)[-1].output_bits == 32


def test_depth_counts_from_the_output():
    network = resnet20({Depth(5): Shift("Q", 4)})
    assert [layer.arithmetic for layer in weighted(network)] == ["float"] * 14 + ["shift"] * 6


def test_normalisation_is_a_requantisation_on_integers_and_free_on_floats():
    for network, ops in ((resnet20({"*": Uniform()}), 16 * 32 * 32), (resnet20(), 0)):
        assert weighted(network)[0].ops == ops
        assert all(layer.fused for layer in network.layers if "bn" in layer.name)


def test_additions_compute_in_what_the_next_layer_reads():
    arithmetic = {layer.name: layer.arithmetic for layer in resnet20({Depth(5): Shift("Q", 4)}).layers}
    assert (arithmetic["add0"], arithmetic["add7"]) == ("float", "int")


def test_grouped_and_strided_convolutions_by_hand():
    model = nn.Sequential(nn.Conv2d(4, 8, 3, stride=2, padding=1, groups=2, bias=True), nn.AvgPool2d(4))
    conv, pool = profile(model, (4, 8, 8)).layers
    assert conv.macs == 4 * 4 * 8 * 2 * 9
    assert conv.weights == 8 * 2 * 9
    assert conv.parameter_bytes == 4 * (144 + 8)
    assert (conv.input_bytes, conv.output_bytes) == (4 * 256, 4 * 128)
    assert pool.ops == 128


def test_profile_restores_mode_and_leaves_no_hooks():
    model = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Dropout()).train()
    profile(model, (1, 5, 5))
    assert model.training
    assert not model[0]._forward_hooks
