"""Cheaper blocks in place of the dense 3x3 convolutions of any network."""

import copy
from collections import OrderedDict
from typing import Any

from torch import nn

from greenshift.compactness import BlockName
from greenshift.compress.convert import replace_modules, weighted_layers
from greenshift.errors import InputError
from greenshift.models.layers import initialise, scaled


def replace_dense_blocks(model: nn.Module, blocks: BlockName, name: str) -> nn.Module:
    """Give a copy of a network cheaper blocks where it has dense 3x3 convolutions, with fresh weights.

    `separable` is a 3x3 filter of each channel and a 1x1 convolution (Howard et al., "MobileNets",
    arXiv 1704.04861, section 3.1); `bottleneck` narrows to a quarter of the outputs by 1x1, filters by
    3x3, and widens by 1x1 (He et al., CVPR 2016, figure 5). Each inner convolution has its batch norm and
    ReLU; what followed the dense convolution (in the built-in networks its batch norm) follows the last
    one. Stride, padding and dilation go to the 3x3 convolution. The first convolution, which reads the
    image, stays, and so do all of other shapes. The parts' names are `LAYER.depthwise` and
    `LAYER.pointwise`, or `LAYER.reduce`, `LAYER.conv` and `LAYER.expand`.

    Args:
        model: Any network; it is not changed.
        blocks: `dense` returns the network itself.
        name: What the network is called in an error.

    Raises:
        InputError: If the network has no dense 3x3 convolution but the first.
    """
    if blocks == "dense":
        return model
    new_model = copy.deepcopy(model)
    convolutions = [(key, layer) for key, layer in weighted_layers(new_model) if isinstance(layer, nn.Conv2d)]
    build = {"separable": _separable, "bottleneck": _bottleneck}[blocks]
    # A block is drawn and placed as the dense layer was, which another class may compute differently.
    replacements: dict[nn.Module, nn.Module] = {
        layer: initialise(build(layer)).to(layer.weight).train(layer.training)
        for _, layer in convolutions[1:]
        if type(layer) is nn.Conv2d and layer.kernel_size == (3, 3) and layer.groups == 1
    }
    if not replacements:
        raise InputError(f"model {name}: no dense 3x3 convolution but the first, so no {blocks} blocks; use dense ones")
    return replace_modules(new_model, replacements)


def _separable(dense: nn.Conv2d) -> nn.Sequential:
    inputs, outputs = dense.in_channels, dense.out_channels
    return nn.Sequential(
        OrderedDict(
            depthwise=nn.Conv2d(inputs, inputs, **_geometry(dense), groups=inputs, bias=False),
            norm=nn.BatchNorm2d(inputs),
            relu=nn.ReLU(),
            pointwise=nn.Conv2d(inputs, outputs, 1, bias=dense.bias is not None),
        )
    )


def _bottleneck(dense: nn.Conv2d) -> nn.Sequential:
    inner = scaled(dense.out_channels, 0.25)
    return nn.Sequential(
        OrderedDict(
            reduce=nn.Conv2d(dense.in_channels, inner, 1, bias=False),
            norm1=nn.BatchNorm2d(inner),
            relu1=nn.ReLU(),
            conv=nn.Conv2d(inner, inner, **_geometry(dense), bias=False),
            norm2=nn.BatchNorm2d(inner),
            relu2=nn.ReLU(),
            expand=nn.Conv2d(inner, dense.out_channels, 1, bias=dense.bias is not None),
        )
    )


def _geometry(dense: nn.Conv2d) -> dict[str, Any]:
    return {key: getattr(dense, key) for key in ("kernel_size", "stride", "padding", "dilation", "padding_mode")}
