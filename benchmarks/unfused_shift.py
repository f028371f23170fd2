"""DeepShift's arithmetic as a chain of separate autograd steps, as the original code arranges it.

The yardstick for the fused layers of `greenshift.compress.shift`: the same numbers, computed with one
autograd node per operation and, as in the original, in float32. Written from the published
formulas; deterministic rounding only.
"""

import math
from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn

from greenshift.schemes import Shift


class _Identity(torch.autograd.Function):
    """Any function of one tensor whose gradient passes straight through."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, function: Any) -> Tensor:  # noqa: ARG004
        result: Tensor = function(x)
        return result

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # noqa: ARG004
        return grads[0], None


def _straight_through(x: Tensor, function: Callable[[Tensor], Tensor]) -> Tensor:
    result: Tensor = _Identity.apply(x, function)
    return result


def _fixed(x: Tensor, scheme: Shift) -> Tensor:
    delta = math.pow(2.0, -scheme.act_fraction_bits)
    bound = math.pow(2.0, scheme.act_integer_bits - 1)
    return _straight_through(x, lambda v: torch.clamp(torch.floor(v / delta) * delta, -bound, bound - 1))


def _clamped(x: Tensor, scheme: Shift) -> Tensor:
    low = 2.0**scheme.min_exponent
    return _straight_through(x, lambda v: torch.clamp(v.abs(), low, 1.0) * torch.sign(v))


def unfused_weight(layer: nn.Module, scheme: Shift) -> Tensor:
    """Rounded weight of a Q or PS layer, one autograd node per operation."""
    if scheme.kind == "Q":
        weight = _clamped(cast(Tensor, layer.weight), scheme)
        magnitude = weight.abs()
        exponent = _straight_through(torch.log2(magnitude), torch.round)
        power = torch.pow(2.0, exponent)
        rounded = torch.sign(weight) * power
        # Straight through: the value of the rounded weight, the gradient of the latent one.
        return weight + (rounded - weight).detach()
    exponent = _straight_through(cast(Tensor, layer.shift), lambda p: torch.clamp(p, scheme.min_exponent, 0))
    exponent = _straight_through(exponent, torch.round)
    sign = _straight_through(_straight_through(cast(Tensor, layer.sign), torch.round), torch.sign)
    power = torch.exp2(exponent)
    # The sign's gradient is not scaled by the power in the original.
    return power * sign.detach() + (sign - sign.detach())


class UnfusedConv2d(nn.Conv2d):
    """Deep shift convolution of separate autograd steps, built like `ShiftConv2d`."""

    def __init__(self, *args: Any, scheme: Shift, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        if scheme.kind == "PS":
            self.shift = nn.Parameter(torch.empty_like(self.weight).uniform_(-10, -1))
            self.sign = nn.Parameter(torch.empty_like(self.weight).uniform_(-1, 1))
            del self.weight

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Convolve the fixed-point input with the rounded weights."""
        bias = None if self.bias is None else _fixed(self.bias, self.scheme)
        output: Tensor = self._conv_forward(_fixed(input, self.scheme), unfused_weight(self, self.scheme), bias)
        return output


class UnfusedLinear(nn.Linear):
    """Deep shift linear layer of separate autograd steps, built like `ShiftLinear`."""

    def __init__(self, *args: Any, scheme: Shift, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        if scheme.kind == "PS":
            self.shift = nn.Parameter(torch.empty_like(self.weight).uniform_(scheme.min_exponent, 0))
            self.sign = nn.Parameter(torch.empty_like(self.weight).uniform_(-1, 1))
            del self.weight

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Multiply the fixed-point input with the rounded weights."""
        x = _fixed(input, self.scheme)
        return nn.functional.linear(x, unfused_weight(self, self.scheme), self.bias)
