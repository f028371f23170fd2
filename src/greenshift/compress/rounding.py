"""Rounding with straight-through gradients, each as one autograd step.

The original DeepShift code builds a chain of small autograd nodes for every layer and step (clamp,
log2, round, pow, floor, divide). Here one node per quantity computes without recording and hands
the gradient on in closed form, which saves both the nodes and the tensors they keep.
"""

import math
from typing import Any

import torch
from torch import Tensor

from greenshift.schemes import Shift

LN2 = math.log(2.0)


def fixed_point_bounds(integer_bits: int, fraction_bits: int) -> tuple[float, float]:
    """Smallest and largest value of the fixed-point format.

    The original code ends the range at 2^(I-1) - 1, also where fraction bits would allow a little
    more; this is kept, because trained networks depend on it. With one integer bit that bound would
    be zero and no positive value could be stored, so the true bound 1 - 2^-F is used there.
    """
    if integer_bits == 1:
        return -1.0, 1.0 - 2.0**-fraction_bits
    return -(2.0 ** (integer_bits - 1)), 2.0 ** (integer_bits - 1) - 1


class _StraightThrough(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, latent: Tensor, rounded: Tensor) -> Tensor:  # noqa: ARG004
        return rounded

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:  # noqa: ARG004
        return grads[0], None


def straight_through(latent: Tensor, rounded: Tensor) -> Tensor:
    """Return the rounded values; their gradient passes to the latent ones unchanged (Bengio et al., arXiv 1308.3432).

    Args:
        latent: What was rounded, any shape.
        rounded: What it was rounded to, computed without recording, the same shape and dtype.

    Returns:
        The values of `rounded`, to the bit.
    """
    values: Tensor = _StraightThrough.apply(latent, rounded)
    return values


@torch.no_grad()
def _fixed_point(x: Tensor, integer_bits: int, fraction_bits: int, original: bool) -> Tensor:
    if original and integer_bits == 1:
        return torch.sign(x) - 1
    low, high = fixed_point_bounds(integer_bits, fraction_bits)
    scale = 2.0**fraction_bits
    # Half precision goes through float32: that is exact, 2^F cannot overflow, and it is 1.6 times faster.
    scaled = x * scale if x.dtype == torch.float32 else x.float().mul_(scale)
    return scaled.floor_().mul_(1.0 / scale).clamp_(low, high).to(x.dtype)


def fixed_point(x: Tensor, scheme: Shift) -> Tensor:
    """Round activations or a bias down to the scheme's fixed-point grid.

    floor(x 2^F) / 2^F, clipped to the range of I integer bits; the gradient passes unchanged
    (DeepShift, `round_to_fixed`).

    Args:
        x: Float tensor of any shape and float dtype.
        scheme: Gives the integer and fraction bits, and whether I = 1 behaves as in the original.

    Returns:
        Tensor like `x`.
    """
    return straight_through(x, _fixed_point(x, scheme.act_integer_bits, scheme.act_fraction_bits, scheme.original))


def _round(x: Tensor, stochastic: bool) -> Tensor:
    """Round to the nearest integer (ties to even), or down or up at random by the fraction."""
    if not stochastic:
        return torch.round(x)
    lower = torch.floor(x)
    return lower + torch.bernoulli(x - lower)


@torch.no_grad()
def _q_weight(weight: Tensor, min_exponent: int, stochastic: bool, original: bool) -> Tensor:
    magnitude = weight.abs()
    if not (original and stochastic):
        # Exact zeros have no logarithm; the original leaves them in and stochastic rounding fails.
        magnitude = magnitude.clamp_(2.0**min_exponent, 1.0)
    exponent = _round(torch.log2(magnitude), stochastic).clamp_(min_exponent, 0)
    return torch.ldexp(torch.sign(weight), exponent)


def q_weight(weight: Tensor, scheme: Shift, stochastic: bool) -> Tensor:
    """Nearest signed power of two in log space: sign(w) 2^round(log2 |w|), zeros stay zero (DeepShift-Q).

    Args:
        weight: Latent float weight of any shape.
        scheme: Gives the exponent range.
        stochastic: Round the exponent at random by its fraction.

    Returns:
        Tensor like `weight`; its gradient passes to `weight` unchanged.
    """
    return straight_through(weight, _q_weight(weight, scheme.min_exponent, stochastic, scheme.original))


class _PSWeight(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, shift: Tensor, sign: Tensor, min_exponent: int, stochastic: bool) -> Tensor:
        exponent = _round(shift, stochastic).clamp_(min_exponent, 0)
        weight = torch.ldexp(torch.sign(_round(sign, stochastic)), exponent)
        ctx.save_for_backward(weight)
        return weight

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        (weight,) = ctx.saved_tensors
        return grads[0] * weight * LN2, grads[0], None, None


def ps_weight(shift: Tensor, sign: Tensor, scheme: Shift, stochastic: bool) -> Tensor:
    """Weight from trained exponent and sign: sign(round(s)) 2^round(p); |s| <= 0.5 gives 0 (DeepShift-PS).

    Args:
        shift: Exponents p, any shape.
        sign: Signs s, the same shape.
        scheme: Gives the exponent range.
        stochastic: Round both at random by their fraction.

    Returns:
        Tensor like `shift`. Its gradient g gives p the gradient g w ln 2, and s the gradient g,
        which is not scaled by 2^p, as in the original.
    """
    weight: Tensor = _PSWeight.apply(shift, sign, scheme.min_exponent, stochastic)
    return weight
