"""The integers of a layer's weights, by its scheme."""

import functools
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor, nn

from greenshift.compress.affine import ActivationRange, along_outputs
from greenshift.compress.binary import BinaryConv2d, BinaryLinear, binary_codes
from greenshift.compress.learned import LearnedRange
from greenshift.compress.power_of_two import PowerOfTwoConv2d, PowerOfTwoLinear, power_of_two_codes
from greenshift.compress.rounding import fixed_point, fixed_point_bounds, ps_weight, q_weight
from greenshift.compress.shift import ShiftConv2d, ShiftLinear
from greenshift.compress.sign import Sign
from greenshift.compress.ternary import TernaryConv2d, TernaryLinear, ternary_codes
from greenshift.compress.uniform import UniformConv2d, UniformLinear, range_step, weight_step
from greenshift.deploy.network import Storage
from greenshift.deploy.packing.operations import Clamp, Function
from greenshift.errors import InputError
from greenshift.schemes import Shift

INT8 = Storage("int8", 8)
TERNARY = Storage("ternary", 2)
BINARY = Storage("binary", 1)
SHIFT4 = Storage("shift", 4)
SHIFT5 = Storage("shift", 5)
_LEVELS = {SHIFT4: 7, SHIFT5: 14}
_KNOWN = (
    *(nn.Conv2d, nn.Linear, ShiftConv2d, ShiftLinear, UniformConv2d, UniformLinear),
    *(TernaryConv2d, TernaryLinear, BinaryConv2d, BinaryLinear, PowerOfTwoConv2d, PowerOfTwoLinear),
)


@dataclass(frozen=True)
class Codes:
    """The weights of a layer: code * scale.

    Attributes:
        values: float64 integers (outputs, ...), in the shape of the layer's weight.
        scale: float64 (outputs,).
        storage: How they are stored.
        scheme: What the layer was trained as; None if the integers were made after the training.
        rounded: Number of weights that were changed because they lay below the window of exponents.
        rounded_energy: Share of the layer's squared weights that the changes amount to.
    """

    values: Tensor
    scale: Tensor
    storage: Storage
    scheme: str | None
    rounded: int = 0
    rounded_energy: float = 0.0


def is_known(layer: nn.Module) -> bool:
    """Say whether a convolution or linear layer is one of torch's or of the schemes', and no heir of theirs."""
    return type(layer) in _KNOWN


def codes(layer: nn.Conv2d | nn.Linear, name: str, *, allow_rounding: bool) -> Codes:
    """Return the integers of a layer.

    Args:
        layer: A convolution or linear layer.
        name: Its name, for messages.
        allow_rounding: Whether weights of shift layers may be changed to fit the window of exponents.

    Raises:
        InputError: If the weights are not finite, or need more exponents than a format has.
    """
    if isinstance(layer, ShiftConv2d | ShiftLinear):
        weight = _shift_weight(layer)
        _check_finite(weight, name)
        return _shift_codes(weight.double(), layer.scheme, name, allow_rounding)
    weight = layer.weight.detach()
    _check_finite(weight, name)
    if isinstance(layer, UniformConv2d | UniformLinear):
        bits = layer.scheme.weight_bits
        values, scale = _uniform_codes(weight, weight_step(layer).detach(), bits)
        word = f"uniform {bits}-bit" + (", learned steps" if layer.scheme.step == "learned" else "")
        return Codes(values, scale, TERNARY if bits == 2 else INT8, word)
    if isinstance(layer, TernaryConv2d | TernaryLinear):
        values, scale = ternary_codes(layer)
        _check_finite(scale, name)
        return Codes(values.double(), scale.detach().double(), TERNARY, "ternary")
    if isinstance(layer, BinaryConv2d | BinaryLinear):
        values, scale = binary_codes(layer)
        return Codes(values.double(), scale.double(), BINARY, "binary")
    if isinstance(layer, PowerOfTwoConv2d | PowerOfTwoLinear):
        return _power_of_two_codes(layer)
    return Codes(*_uniform_codes(weight, range_step(weight, 8, per_channel=True), 8), INT8, None)


def bias(layer: nn.Conv2d | nn.Linear) -> Tensor:
    """Return the bias that a layer adds, float64 (outputs,); zeros if it has none."""
    if layer.bias is None:
        outputs = layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features
        return torch.zeros(outputs, dtype=torch.float64)
    value = layer.bias.detach()
    return (fixed_point(value, layer.scheme) if isinstance(layer, ShiftConv2d) else value).double()


def input_rounding(layer: nn.Conv2d | nn.Linear) -> tuple[str, Function, Clamp] | None:
    """Say how a layer rounds its input.

    Returns:
        A word that is the same for layers that round in the same way (empty if no other layer does), the function,
        and the smallest and largest value that comes out; None if the layer takes its input as it is.
    """
    quantise = getattr(layer, "range", None)
    if isinstance(quantise, ActivationRange | LearnedRange):
        with torch.no_grad():
            ends = quantise(torch.tensor([-torch.finfo(torch.float32).max / 2, torch.finfo(torch.float32).max / 2]))
        return "", quantise, (float(ends[0]), float(ends[1]))
    if isinstance(quantise, Sign):
        return "" if float(cast(Tensor, quantise.threshold)) else "sign", quantise, (-1.0, 1.0)
    if not isinstance(layer, ShiftConv2d | ShiftLinear):
        return None
    scheme = layer.scheme
    if isinstance(layer, ShiftLinear) and scheme.kind == "PS" and scheme.original:
        return None
    one_bit = scheme.original and scheme.act_integer_bits == 1
    bounds = (-2.0, 0.0) if one_bit else fixed_point_bounds(scheme.act_integer_bits, scheme.act_fraction_bits)
    word = f"fixed{scheme.act_integer_bits}.{scheme.act_fraction_bits}{'o' if one_bit else ''}"
    return word, functools.partial(fixed_point, scheme=scheme), bounds


def _check_finite(weight: Tensor, name: str) -> None:
    if not bool(torch.isfinite(weight).all()):
        raise InputError(f"pack: {name} has weights that are not finite; train the network again")


def _shift_weight(layer: ShiftConv2d | ShiftLinear) -> Tensor:
    if layer.scheme.kind == "PS":
        shift, sign = cast(Tensor, layer.shift).detach(), cast(Tensor, layer.sign).detach()
        return ps_weight(shift, sign, layer.scheme, stochastic=False)
    return q_weight(layer.weight.detach(), layer.scheme, stochastic=False)


def _uniform_codes(weight: Tensor, step: Tensor, bits: int) -> tuple[Tensor, Tensor]:
    # In the arithmetic of compress.uniform, so that a trained grid is met exactly.
    top = 2 ** (bits - 1) - 1
    values = (weight / step).round().clamp(-top, top)
    return values.double(), step.flatten().expand(len(weight)).double()


def _power_of_two_codes(layer: PowerOfTwoConv2d | PowerOfTwoLinear) -> Codes:
    scheme = layer.scheme
    values, scale = power_of_two_codes(layer)
    storage = INT8 if scheme.terms > 1 else TERNARY if scheme.exponents == 1 else SHIFT4
    word = f"power of two, {scheme.weight_bits}-bit" + (", two terms" if scheme.terms > 1 else "")
    return Codes(values.double(), scale.double(), storage, word)


def _shift_codes(weight: Tensor, scheme: Shift, name: str, allow_rounding: bool) -> Codes:
    exponents = torch.frexp(weight)[1] - 1
    there = weight != 0
    top = torch.where(there, exponents, -1000).flatten(1).amax(1)
    bottom = torch.where(there, exponents, 1000).flatten(1).amin(1)
    levels = int((top - bottom + 1).max().clamp_min(1))
    word = f"shift {scheme.kind} {scheme.weight_bits}-bit"
    storage = SHIFT4 if levels <= _LEVELS[SHIFT4] or (allow_rounding and scheme.weight_bits <= 4) else SHIFT5
    changed = weight
    if levels > _LEVELS[storage]:
        if not allow_rounding:
            raise InputError(
                f"pack: {name} has weights of {levels} exponents in one output, the widest format has "
                f"{_LEVELS[SHIFT5]}; allow rounding (--allow-rounding), or retrain it with weight_bits of 4 or less"
            )
        changed = _rounded(weight, along_outputs(top - _LEVELS[storage] + 1, weight))
        bottom = torch.maximum(bottom, top - _LEVELS[storage] + 1)
    scale = torch.where(top >= bottom, torch.exp2(bottom.double()), 1.0)
    values = changed / along_outputs(scale, weight)
    difference = (changed - weight).square().sum() / weight.square().sum().clamp_min(1e-300)
    return Codes(values, scale, storage, word, int((changed != weight).sum()), float(difference))


def _rounded(weight: Tensor, smallest: Tensor) -> Tensor:
    """Round weights below 2^smallest to the nearest of 0 and that.

    A weight of half of it is as far from both: within an output every other one of a sign becomes 0, so that their
    sum stays.
    """
    unit = torch.exp2(smallest.double()).expand_as(weight)
    result = torch.where(weight.abs() < unit / 2, 0.0, weight)
    for sign in (1.0, -1.0):
        ties = weight == sign * unit / 2
        odd = ties.flatten(1).cumsum(1).view_as(weight) % 2 == 1
        result = torch.where(ties, torch.where(odd, sign * unit, 0.0), result)
    return result


def with_gaps(values: Tensor, dilation: tuple[int, ...]) -> Tensor:
    """Put zeros between the weights of a kernel (O, I, H, W), which is what dilation means."""
    rows, columns = dilation
    if dilation == (1, 1):
        return values
    outputs, inputs, height, width = values.shape
    spread = values.new_zeros(outputs, inputs, (height - 1) * rows + 1, (width - 1) * columns + 1)
    spread[:, :, ::rows, ::columns] = values
    return spread
