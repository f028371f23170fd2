"""Ternary layers, simulated in float: weights -a, 0 and a.

A weight is kept if its magnitude is above `threshold` times the mean magnitude of its output channel; a is the mean
magnitude of those kept (Li et al., "Ternary Weight Networks", 2016). A learned a starts there, and
its gradient is that of LSQ (Esser et al., ICLR 2020): the sum of gradient times code over the
channel, times 1 / sqrt(N Q), where N weights share the scale and Q = 1 is the largest code. Latent weights get the
gradient of the weights they stand behind, unchanged. The threshold follows the latent weights all along.
"""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.compress.affine import SMALLEST_SCALE, ActivationRange, along_outputs
from greenshift.schemes import Ternary


class _Scaled(torch.autograd.Function):
    """Codes times scale, standing for latent weights."""

    @staticmethod
    def forward(ctx: Any, weight: Tensor, scale: Tensor, codes: Tensor) -> Tensor:  # noqa: ARG004
        ctx.save_for_backward(codes)
        return codes * along_outputs(scale, codes)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (codes,) = ctx.saved_tensors
        factor = 1 / math.sqrt(codes[0].numel())
        return grads[0], (grads[0] * codes).flatten(1).sum(1) * factor, None


def _kept_signs(weight: Tensor, threshold: float) -> Tensor:
    magnitude = weight.abs()
    limit = threshold * magnitude.flatten(1).mean(1)
    return torch.where(magnitude > along_outputs(limit, weight), weight.sign(), 0.0)


def _kept_mean(weight: Tensor, codes: Tensor) -> Tensor:
    kept = codes.flatten(1).abs()
    mean = (weight.flatten(1).abs() * kept).sum(1) / kept.sum(1).clamp_min(1)
    return mean.clamp_min(SMALLEST_SCALE)


class TernaryConv2d(nn.Conv2d):
    """Convolution on ternary weights and uniform integer inputs, built like `torch.nn.Conv2d` plus `scheme`.

    `weight` holds the latent weights; with `scheme.learned_scale` there is a parameter `weight_scale` (outputs,).
    """

    def __init__(self, *args: Any, scheme: Ternary, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        self.range = ActivationRange(scheme.act_bits)
        _add_scale(self)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Convolve the quantised input with the ternary weights."""
        output: Tensor = self._conv_forward(self.range(input), _ternary_weight(self), self.bias)
        return output


class TernaryLinear(nn.Linear):
    """Linear layer on ternary weights and uniform integer inputs, built like `torch.nn.Linear` plus `scheme`.

    `weight` holds the latent weights; with `scheme.learned_scale` there is a parameter `weight_scale` (outputs,).
    """

    def __init__(self, *args: Any, scheme: Ternary, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        self.range = ActivationRange(scheme.act_bits)
        _add_scale(self)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Multiply the quantised input with the ternary weights."""
        return functional.linear(self.range(input), _ternary_weight(self), self.bias)


TernaryLayer = TernaryConv2d | TernaryLinear


def _add_scale(layer: TernaryLayer) -> None:
    if layer.scheme.learned_scale:
        weight = layer.weight.detach()
        layer.weight_scale = nn.Parameter(_kept_mean(weight, _kept_signs(weight, layer.scheme.threshold)))


def _ternary_weight(layer: TernaryLayer) -> Tensor:
    codes, scale = ternary_codes(layer)
    weight: Tensor = _Scaled.apply(layer.weight, scale, codes)
    return weight


def ternary_codes(layer: TernaryLayer) -> tuple[Tensor, Tensor]:
    """Return what a layer's weights are made of: codes -1, 0 and 1 in the weight's shape, and scales (outputs,).

    A learned scale carries its gradient, and may be of either sign.
    """
    weight = layer.weight.detach()
    codes = _kept_signs(weight, layer.scheme.threshold)
    scale = cast(Tensor, layer.weight_scale) if layer.scheme.learned_scale else _kept_mean(weight, codes)
    return codes, scale


def load_ternary_weight(layer: TernaryLayer, weight: Tensor) -> None:
    """Give a layer the float weights of a trained one as latent weights; a learned scale starts at their mean.

    Args:
        layer: The layer to fill.
        weight: Float weight of the layer's shape.
    """
    with torch.no_grad():
        layer.weight.copy_(weight)
        if layer.scheme.learned_scale:
            scale = _kept_mean(layer.weight, _kept_signs(layer.weight, layer.scheme.threshold))
            cast(Tensor, layer.weight_scale).copy_(scale)
