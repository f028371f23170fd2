"""Uniform integer layers, simulated in float: the int8 baseline.

Weights are rounded to a signed symmetric grid with one scale per output channel (round(w / s) s with
s = max|w| / (2^(b-1) - 1)), activations to an affine grid whose range follows the inputs seen in
training by an exponential average. Gradients pass straight through inside the range (Jacob et al.,
CVPR 2018, sections 2 and 3).
"""

from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.schemes import Uniform

_RANGE_MOMENTUM = 0.05


class _Affine(torch.autograd.Function):
    """Round to an affine integer grid; the gradient passes where the value is inside the grid's range."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, scale: Tensor, zero: Tensor, low: int, high: int) -> Tensor:
        steps = (x.float() / scale).round_().add_(zero)
        ctx.save_for_backward((steps >= low) & (steps <= high))
        return steps.clamp_(low, high).sub_(zero).mul_(scale).to(x.dtype)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (inside,) = ctx.saved_tensors
        return grads[0] * inside, None, None, None, None


def _channel_quantised(weight: Tensor, bits: int) -> Tensor:
    """Fake-quantise a weight per output channel (dimension 0)."""
    top = 2 ** (bits - 1) - 1
    scale = weight.detach().flatten(1).abs().amax(1).clamp_min_(1e-12) / top
    scale = scale.view(-1, *[1] * (weight.dim() - 1))
    quantised: Tensor = _Affine.apply(weight, scale, torch.zeros_like(scale), -top, top)
    return quantised


class _ActivationRange(nn.Module):
    """Range of a layer's input: follows the data in training, fixed at evaluation."""

    def __init__(self, bits: int) -> None:
        super().__init__()
        self.bits = bits
        self.register_buffer("low", torch.zeros(()))
        self.register_buffer("high", torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        low, high = cast(Tensor, self.low), cast(Tensor, self.high)
        if self.training and not x.is_meta:
            with torch.no_grad():
                new_low, new_high = torch.aminmax(x.detach().float())
                weight = _RANGE_MOMENTUM if bool(high > low) else 1.0
                low.lerp_(new_low.clamp(max=0.0), weight)
                high.lerp_(new_high.clamp(min=0.0), weight)
        top = 2**self.bits - 1
        scale = (high - low).clamp_min(1e-8) / top
        quantised: Tensor = _Affine.apply(x, scale, torch.round(-low / scale), 0, top)
        return quantised


class UniformConv2d(nn.Conv2d):
    """Convolution on uniform integers, built like `torch.nn.Conv2d` plus `scheme`."""

    def __init__(self, *args: Any, scheme: Uniform, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        self.range = _ActivationRange(scheme.act_bits)

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
        self.range = _ActivationRange(scheme.act_bits)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Multiply the quantised input with the quantised weights."""
        weight = _channel_quantised(self.weight, self.scheme.weight_bits)
        return functional.linear(self.range(input), weight, self.bias)
