"""Uniform integer layers, simulated in float: the int8 baseline, and layers that learn their steps.

Weights are rounded to a signed symmetric grid of Q = 2^(b-1) - 1 codes on each side, activations to an affine
one whose zero is a code. With `step="range"` a weight's step is max|w| / Q and the activations' range follows
the inputs seen in training by an exponential average; gradients pass straight through inside the range
(Jacob et al., CVPR 2018, sections 2 and 3). With `step="learned"` both steps are parameters (LSQ: Esser et
al., ICLR 2020, section 2).
"""

import math
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.compress.affine import SMALLEST_SCALE, ActivationRange, Affine, along_outputs
from greenshift.compress.learned import LearnedRange, LearnedStep
from greenshift.schemes import Uniform


def range_step(weight: Tensor, bits: int, *, per_channel: bool) -> Tensor:
    """Return the step that lays the largest magnitude on the largest code, max|w| / (2^(b-1) - 1).

    Args:
        weight: A weight (outputs, ...).
        bits: Bits of a code, 2 to 8.
        per_channel: One step per output, or one for the whole weight.

    Returns:
        The step, in a shape that broadcasts with the weight.
    """
    largest = _reduced(weight, torch.amax, per_channel).clamp_min(SMALLEST_SCALE)
    step: Tensor = largest / (2 ** (bits - 1) - 1)
    return step


def weight_step(layer: "UniformConv2d | UniformLinear") -> Tensor:
    """Return the step of a layer's weight grid, in a shape that broadcasts with the weight."""
    if layer.weight_step is None:
        scheme = layer.scheme
        return range_step(layer.weight.detach(), scheme.weight_bits, per_channel=scheme.per_channel)
    return layer.weight_step.clamp_min(SMALLEST_SCALE)


def quantised_weight(layer: "UniformConv2d | UniformLinear") -> Tensor:
    """Return the weight that a layer multiplies by, on its grid; gradients reach the weight and a learned step."""
    weight, learned = layer.weight, layer.weight_step
    if learned is not None and layer.training and not weight.is_meta:
        with torch.no_grad():  # an optimizer can push a step to 0 or below: it starts anew
            learned.copy_(torch.where(learned > 0, learned, _first_weight_step(weight, layer.scheme)))
    step, top = weight_step(layer), 2 ** (layer.scheme.weight_bits - 1) - 1
    if learned is None:
        return cast(Tensor, Affine.apply(weight, step, torch.zeros_like(step), -top, top))
    ends = torch.full_like(step, -top), torch.full_like(step, top)
    return cast(Tensor, LearnedStep.apply(weight, step, *ends, weight.numel() // step.numel()))


def start_weight_step(layer: "UniformConv2d | UniformLinear") -> None:
    """Set a learned step to what LSQ starts from, 2 mean|w| / sqrt(Q); layers that learn none are left alone."""
    if layer.weight_step is not None:
        with torch.no_grad():
            layer.weight_step.copy_(_first_weight_step(layer.weight, layer.scheme))


def learned_steps(module: nn.Module) -> tuple[nn.Parameter, ...]:
    """Return the steps and scales that a module itself trains: a layer its weight's, a `LearnedRange` its input's."""
    weights = (getattr(module, name, None) for name in ("weight_step", "weight_scale"))
    found = (*weights, module.step if isinstance(module, LearnedRange) else None)
    return tuple(step for step in found if isinstance(step, nn.Parameter))


def _reduced(weight: Tensor, reduce: Any, per_channel: bool) -> Tensor:
    magnitude = weight.detach().abs()
    if not per_channel:
        return cast(Tensor, reduce(magnitude))
    return along_outputs(reduce(magnitude.flatten(1), 1), weight)


def _first_weight_step(weight: Tensor, scheme: Uniform) -> Tensor:
    top = 2 ** (scheme.weight_bits - 1) - 1
    return 2 * _reduced(weight, torch.mean, scheme.per_channel) / math.sqrt(top)


def _add_grids(layer: "UniformConv2d | UniformLinear", scheme: Uniform) -> None:
    layer.scheme, layer.weight_step = scheme, None
    if scheme.step == "learned":
        layer.range = LearnedRange(scheme.act_bits, layer.weight.device)
        layer.weight_step = nn.Parameter(_first_weight_step(layer.weight, scheme))
    else:
        layer.range = ActivationRange(scheme.act_bits)


class UniformConv2d(nn.Conv2d):
    """Convolution on uniform integers, built like `torch.nn.Conv2d` plus `scheme`."""

    scheme: Uniform
    range: "ActivationRange | LearnedRange"
    weight_step: nn.Parameter | None

    def __init__(self, *args: Any, scheme: Uniform, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _add_grids(self, scheme)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Convolve the quantised input with the quantised weights."""
        output: Tensor = self._conv_forward(self.range(input), quantised_weight(self), self.bias)
        return output


class UniformLinear(nn.Linear):
    """Linear layer on uniform integers, built like `torch.nn.Linear` plus `scheme`."""

    scheme: Uniform
    range: "ActivationRange | LearnedRange"
    weight_step: nn.Parameter | None

    def __init__(self, *args: Any, scheme: Uniform, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        _add_grids(self, scheme)

    def forward(self, input: Tensor) -> Tensor:  # noqa: A002 - the name of torch's own layer
        """Multiply the quantised input with the quantised weights."""
        return functional.linear(self.range(input), quantised_weight(self), self.bias)
