"""Cheaper blocks: which layers they replace, of what they consist, and what they leave alone."""

import pytest
import torch
from torch import nn

from greenshift.errors import InputError
from greenshift.models import build_model, replace_dense_blocks

PARTS = {"separable": ["depthwise", "norm", "relu", "pointwise"]}
PARTS["bottleneck"] = ["reduce", "norm1", "relu1", "conv", "norm2", "relu2", "expand"]


def built(name="resnet20", size=16):
    torch.manual_seed(0)
    return build_model(name, num_classes=10, in_channels=3, image_size=size)


def is_dense(module):
    return isinstance(module, nn.Conv2d) and module.kernel_size == (3, 3) and module.groups == 1


@pytest.mark.parametrize("blocks", PARTS)
def test_every_dense_convolution_but_the_first_is_replaced_under_its_name(blocks):
    dense = built()
    model = replace_dense_blocks(dense, blocks, "resnet20")
    replaced = [
        name for name, m in model.named_modules() if isinstance(m, nn.Sequential) and hasattr(m, PARTS[blocks][0])
    ]
    assert replaced == [name for name, m in dense.named_modules() if is_dense(m)][1:]
    for name in replaced:
        assert [part for part, _ in model.get_submodule(name).named_children()] == PARTS[blocks]
    x = torch.randn(2, 3, 16, 16)
    assert model(x).shape == dense(x).shape
    assert is_dense(model.conv1)
    assert torch.equal(model.conv1.weight, dense.conv1.weight)
    assert torch.equal(model.linear.weight, dense.linear.weight)


@pytest.mark.parametrize("blocks", PARTS)
@pytest.mark.parametrize("bias", [True, False])
def test_a_block_has_the_geometry_and_the_bias_of_what_it_replaces(blocks, bias):
    odd = nn.Conv2d(6, 20, 3, stride=(2, 1), padding=(2, 0), dilation=2, bias=bias)
    dense = nn.Sequential(nn.Conv2d(3, 6, 1), odd).double().eval()
    model = replace_dense_blocks(dense, blocks, "mine")
    x = torch.randn(1, 3, 15, 11, dtype=torch.float64)
    assert model(x).shape == dense(x).shape
    last = model[1][-1]
    assert (last.kernel_size, last.out_channels, last.bias is not None) == ((1, 1), 20, bias)
    assert not model[1].training
    assert dense[1] is odd, "the given network stays as it is"


def test_a_bottleneck_narrows_to_a_quarter_of_the_outputs():
    model = replace_dense_blocks(built(), "bottleneck", "resnet20")
    first = model.layer2[0].conv1
    assert (first.reduce.in_channels, first.reduce.out_channels, first.expand.out_channels) == (16, 8, 32)
    assert first.conv.stride == (2, 2)
    assert first.reduce.stride == first.expand.stride == (1, 1)


def test_a_separable_block_computes_what_its_source_says():
    """Each channel filtered on its own, normalised, cut at zero, and mixed by 1x1."""
    block = replace_dense_blocks(built(), "separable", "resnet20").eval().layer2[0].conv1
    x = torch.randn(2, 16, 8, 8)
    filtered = torch.stack(
        [nn.functional.conv2d(x[:, [c]], block.depthwise.weight[[c]], stride=2, padding=1)[:, 0] for c in range(16)], 1
    )
    wanted = torch.einsum("oc,nchw->nohw", block.pointwise.weight[:, :, 0, 0], block.norm(filtered).relu())
    assert torch.allclose(block(x), wanted, atol=1e-5)


def test_one_layer_at_two_places_stays_one():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.stem = nn.Conv2d(3, 8, 3, padding=1)
            self.first = self.second = nn.Conv2d(8, 8, 3, padding=1)

        def forward(self, x):
            return self.second(self.first(self.stem(x)))

    model = replace_dense_blocks(Twice(), "separable", "mine")
    assert model.first is model.second
    assert model(torch.zeros(1, 3, 8, 8)).shape == (1, 8, 8, 8)


def test_dense_blocks_are_the_network_itself():
    model = built()
    assert replace_dense_blocks(model, "dense", "resnet20") is model


@pytest.mark.parametrize("blocks", PARTS)
def test_a_network_without_dense_convolutions_is_refused(blocks):
    with pytest.raises(InputError, match=f"model mobilenetv2: no dense 3x3 .*{blocks}.*use dense ones") as caught:
        replace_dense_blocks(built("mobilenetv2"), blocks, "mobilenetv2")
    assert "\n" not in str(caught.value)
