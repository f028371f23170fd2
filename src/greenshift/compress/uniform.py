"""Uniform integer layers, simulated in float: the int8 baseline.

Weights are rounded to a signed symmetric grid with one scale per output channel (round(w / s) s with
s = max|w| / (2^(b-1) - 1)), activations to an affine grid (`greenshift.compress.affine`). Gradients pass
straight through inside the range (Jacob et al., CVPR 2018, sections 2 and 3).
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.compress.affine import SMALLEST_SCALE, ActivationRange, Affine, along_outputs
from greenshift.schemes import Uniform


def _channel_quantised(weight: Tensor, bits: int) -> Tensor:
    """Fake-quantise a weight per output channel (dimension 0)."""
    top = 2 ** (bits - 1) - 1
    scale = weight.detach().flatten(1).abs().amax(1).clamp_min_(SMALLEST_SCALE) / top
    scale = along_outputs(scale, weight)
    quantised: Tensor = Affine.apply(weight, scale, torch.zeros_like(scale), -top, top)
    return quantised


class UniformConv2d(nn.Conv2d):
    """Convolution on uniform integers, built like `torch.nn.Conv2d` plus `scheme`."""

    def __init__(self, *args: Any, scheme: Uniform, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        self.range = ActivationRange(scheme.act_bits)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Convolve the quantised input with the quantised weights."""
        weight = _channel_quantised(self.weight, self.scheme.weight_bits)
        output: Tensor = self._conv_forward(self.range(input), weight, self.bias)
        return output


class UniformLinear(nn.Linear):
    """Linear layer on uniform integers, built like `torch.nn.Linear` plus `scheme`."""

    def __init__(self, *args: Any, scheme: Uniform, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        self.range = ActivationRange(scheme.act_bits)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Multiply the quantised input with the quantised weights."""
        weight = _channel_quantised(self.weight, self.scheme.weight_bits)
        return functional.linear(self.range(input), weight, self.bias)
