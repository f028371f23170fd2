"""Power-of-two layers, simulated in float: weights are one power of two or a sum of two, times one per output channel.

A weight becomes the nearest member of its channel's set, or zero below half of the smallest power. The gradient
passes to the latent weight unchanged, also where a large weight was clipped, so that a window that is frozen can
still be met. The window's exponent has the least squared error among six near the channel's largest weight; it is
fitted when float weights are loaded and whenever `refit_windows` is called, and saved with the weights.
"""

from bisect import bisect_right
from functools import cache
from itertools import pairwise
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.compress.affine import ActivationRange, along_outputs
from greenshift.compress.learned import LearnedRange
from greenshift.compress.rounding import straight_through
from greenshift.schemes import PowerOfTwo

_EXPONENT_BITS = 0x7F800000
# What carries a float32's mantissa into its exponent: from 1.5 on, and from the first float above the root of 2 on.
_CARRY = {"nearest": 0x400000, "log": 0x4AFB0C}
_CANDIDATES = range(-4, 2)  # around the exponent of the largest weight
_WIDEST = 100  # exponents beyond this are as good as zero or infinity; they fit a byte


def rounded_magnitudes(units: Tensor, scheme: PowerOfTwo) -> Tensor:
    """Round magnitudes to those that a scheme has; halfway goes up.

    One term is rounded in closed form on the bits of the float: adding to the mantissa carries into the exponent
    where the next power is nearer, 2^floor(log2(4/3 a)), and the rest of the mantissa is dropped. Two terms are
    looked up in a table of the set, which is nearest everywhere; rounding first to a power and then what
    is left is not, where the second term is limited.

    Args:
        units: Magnitudes in units of the smallest power, float32, at least 0.
        scheme: Gives the set and, for one term, how to round.

    Returns:
        Float32 whole numbers in the same shape; what is not a number stays so.
    """
    if scheme.terms == 1:
        # Below the smallest power its half decides, not the bits; a mask for that would take ten times as long.
        power = ((units.view(torch.int32) + _CARRY[scheme.rounding]) & _EXPONENT_BITS).view(torch.float32).floor_()
        smallest = (units + 0.5).clamp_(max=1.5).floor_()
        return torch.maximum(power, smallest).clamp_(max=2.0 ** (scheme.exponents - 1))
    nearest = torch.tensor(_nearest_of_halves(scheme), device=units.device)
    halves = (2 * units).clamp_(max=len(nearest) - 1)
    # A training that diverges has to show: what is not a number stays so.
    return nearest[halves.nan_to_num().int()] + 0.0 * halves


@cache
def _nearest_of_halves(scheme: PowerOfTwo) -> tuple[float, ...]:
    """The nearest member of the set for 0, 1/2, 1 ...: it changes at no other places, as members are whole."""
    members = scheme.magnitudes
    boundaries = [low + high for low, high in pairwise(members)]
    return tuple(float(members[bisect_right(boundaries, half)]) for half in range(2 * members[-1] + 1))


def fitted_window(weight: Tensor, scheme: PowerOfTwo) -> Tensor:
    """Choose the exponent of the largest power for every output.

    Args:
        weight: Float weight (outputs, ...).
        scheme: Gives the set, and how to choose.

    Returns:
        Exponents, int8 (outputs,). Multiplying the weights by a power of two moves them by its exponent.
    """
    magnitude = weight.detach().float().abs().flatten(1)
    mantissa, exponent = torch.frexp(magnitude.amax(1))
    largest = (exponent - 1).clamp(-_WIDEST, _WIDEST)
    if scheme.scale == "max":
        return (largest + (mantissa >= 0.75)).to(torch.int8)
    offsets = torch.arange(_CANDIDATES.start, _CANDIDATES.stop, device=weight.device)
    unit = torch.exp2(offsets - (scheme.exponents - 1.0)).view(1, -1, 1)
    # Relative to the largest weight: squares of small weights must not vanish.
    relative = (magnitude * torch.exp2(-largest.float()).unsqueeze(1)).unsqueeze(1)
    error = (rounded_magnitudes(relative / unit, scheme) * unit - relative).square().sum(2)
    return (largest + offsets[error.argmin(1)]).to(torch.int8)


class PowerOfTwoConv2d(nn.Conv2d):
    """Convolution on powers of two and uniform integer inputs, built like `torch.nn.Conv2d` plus `scheme`.

    `weight` holds the latent weights, the buffer `window` (outputs,) the exponent of each output's largest power.
    """

    range: "ActivationRange | LearnedRange"

    def __init__(self, *args: Any, scheme: PowerOfTwo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        _add_grids(self)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Convolve the quantised input with the rounded weights."""
        output: Tensor = self._conv_forward(self.range(input), power_of_two_weight(self), self.bias)
        return output


class PowerOfTwoLinear(nn.Linear):
    """Linear layer on powers of two and uniform integer inputs, built like `torch.nn.Linear` plus `scheme`.

    `weight` holds the latent weights, the buffer `window` (outputs,) the exponent of each output's largest power.
    """

    range: "ActivationRange | LearnedRange"

    def __init__(self, *args: Any, scheme: PowerOfTwo, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.scheme = scheme
        _add_grids(self)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Multiply the quantised input with the rounded weights."""
        return functional.linear(self.range(input), power_of_two_weight(self), self.bias)


PowerOfTwoLayer = PowerOfTwoConv2d | PowerOfTwoLinear


def _add_grids(layer: PowerOfTwoLayer) -> None:
    bits = layer.scheme.act_bits
    learned = layer.scheme.step == "learned"
    layer.range = LearnedRange(bits, layer.weight.device) if learned else ActivationRange(bits)
    layer.register_buffer("window", fitted_window(layer.weight, layer.scheme))


def power_of_two_weight(layer: PowerOfTwoLayer) -> Tensor:
    """Return the weight that a layer multiplies by; its gradient passes to the latent weight unchanged."""
    codes, scale = power_of_two_codes(layer)
    return straight_through(layer.weight, (codes * along_outputs(scale, codes)).to(layer.weight.dtype))


def power_of_two_codes(layer: PowerOfTwoLayer) -> tuple[Tensor, Tensor]:
    """Return what a layer's weights are made of.

    Returns:
        Whole numbers in the weight's shape, of `PowerOfTwo.magnitudes` but for the sign, and scales (outputs,),
        which are powers of two.
    """
    values, scheme = layer.weight.detach().float(), layer.scheme
    scale = torch.exp2(cast(Tensor, layer.window).float() - (scheme.exponents - 1))
    codes = rounded_magnitudes(values.abs() / along_outputs(scale, values), scheme)
    return torch.copysign(codes, values), scale


def refit_windows(model: nn.Module) -> None:
    """Fit the windows of all power-of-two layers of a network to their latent weights of now.

    Args:
        model: Network with any number of such layers.
    """
    for module in model.modules():
        if isinstance(module, PowerOfTwoConv2d | PowerOfTwoLinear):
            cast(Tensor, module.window).copy_(fitted_window(module.weight, module.scheme))


def load_power_of_two_weight(layer: PowerOfTwoLayer, weight: Tensor) -> None:
    """Give a layer the float weights of a trained one as latent weights, and fit its windows to them.

    Args:
        layer: The layer to fill.
        weight: Float weight of the layer's shape.
    """
    with torch.no_grad():
        layer.weight.copy_(weight)
    refit_windows(layer)
