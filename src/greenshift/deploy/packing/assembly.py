"""From calibrated operations to the steps of a packed network."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from greenshift.deploy.network import (
    Addition,
    AveragePooling,
    Bytes,
    Concatenation,
    Convolution,
    Grid,
    Input,
    Lookup,
    MaxPooling,
    Step,
    Storage,
    Subsampling,
)
from greenshift.deploy.packing.calibration import Calibrated, quantise
from greenshift.deploy.packing.layers import BINARY, INT8, TERNARY, Codes, bias, with_gaps
from greenshift.deploy.packing.operations import (
    Average,
    Clamp,
    Elementwise,
    Function,
    Join,
    Maximum,
    Operation,
    Source,
    Subsample,
    Sum,
    Weighted,
)
from greenshift.errors import InputError

_SIGNIFICANT_BITS = 11
_INT32 = 2**31
# Weights of an output are left out if all they can ever add is less than this, in steps of the output or in logits ...
_INVISIBLE_STEPS, _INVISIBLE_LOGITS = 2.0**-8, 2.0**-20
# ... or less than this, where its constant is so much larger that both together need more than 32 bits.
_SMALL_STEPS, _SMALL_LOGITS = 2.0**-1, 2.0**-8
# The largest constant of an output without weights: far outside of any byte.
_FARTHEST = 2.0**12


@dataclass(frozen=True)
class Assembly:
    """What the steps are made of.

    Attributes:
        calibrated: Operations and their grids.
        codes: Integers of the layers with weights, by name.
        raw: The model's inputs for the 256 values of a byte, float32 (1, C, 1, 256).
    """

    calibrated: Calibrated
    codes: dict[str, Codes]
    raw: Tensor

    def steps(self) -> tuple[Step, ...]:
        """Return the steps, in order.

        Raises:
            InputError: If sums of a layer do not fit into 32 bits.
        """
        operations = self.calibrated.operations
        places = {name: index for index, name in enumerate(operations)}
        last = next(reversed(operations))
        steps = []
        for name, operation in operations.items():
            sources = tuple(places[source] for source in operation.sources)
            grid = None if name == last else self.calibrated.grids[name]
            steps.append(_MAKE[type(operation)](self, operation, sources, grid))
        return tuple(steps)


def _source(assembly: Assembly, operation: Source, _: tuple[int, ...], grid: Grid) -> Input:
    table = _table(operation.function, operation.clamp, assembly.raw, grid)
    return Input(operation.name, operation.shape, grid, table[0, :, 0])


def _elementwise(assembly: Assembly, operation: Elementwise, sources: tuple[int], grid: Grid) -> Lookup:
    before = assembly.calibrated.grids[operation.sources[0]]
    values = (torch.arange(256, dtype=torch.float32) - before.zero) * 2.0**before.exponent
    table = _table(operation.function, operation.clamp, values.view(1, 1, 1, 256), grid)
    return Lookup(operation.name, sources, operation.shape, grid, table.reshape(256))


def _table(function: Function | None, clamp: Clamp, values: Tensor, grid: Grid) -> Bytes:
    with torch.no_grad():
        values = (values if function is None else function(values.clone())).clamp(*clamp)
    return quantise(values, grid).to(torch.uint8).numpy()


def _byte_range(clamp: Clamp, grid: Grid) -> tuple[int, int]:
    """Return the smallest and largest byte under a clamp."""

    def byte(value: float) -> int:
        if math.isinf(value):
            return 0 if value < 0 else 255
        return int(quantise(torch.tensor(value, dtype=torch.float64), grid))

    return byte(clamp[0]), byte(clamp[1])


def _sum(_: Assembly, operation: Sum, sources: tuple[int, int], grid: Grid) -> Addition:
    return Addition(operation.name, sources, operation.shape, grid, *_byte_range(operation.clamp, grid))


def _maximum(_: Assembly, operation: Maximum, sources: tuple[int], grid: Grid) -> MaxPooling:
    windows = operation.kernel, operation.stride, operation.padding
    return MaxPooling(operation.name, sources, operation.shape, grid, *windows)


def _average(_: Assembly, operation: Average, sources: tuple[int], grid: Grid) -> AveragePooling:
    return AveragePooling(operation.name, sources, operation.shape, grid, operation.kernel, operation.stride)


def _subsample(_: Assembly, operation: Subsample, sources: tuple[int], grid: Grid) -> Subsampling:
    return Subsampling(operation.name, sources, operation.shape, grid, operation.stride, operation.before)


def _join(_: Assembly, operation: Join, sources: tuple[int, ...], grid: Grid) -> Concatenation:
    return Concatenation(operation.name, sources, operation.shape, grid)


def _weighted(assembly: Assembly, operation: Weighted, sources: tuple[int], grid: Grid | None) -> Convolution:
    before = assembly.calibrated.grids[operation.sources[0]]
    read_shape = assembly.calibrated.operations[operation.sources[0]].shape
    codes, layer = assembly.codes[operation.name], operation.layer
    step = 0 if grid is None else grid.exponent
    factor = operation.scale * codes.scale * 2.0 ** (before.exponent - step)
    constant = (operation.scale * bias(layer) + operation.shift) * 2.0**-step
    values, factor = _fitting(codes, factor, constant)
    values = values * _along(torch.where(factor < 0, -1.0, 1.0), values)
    largest = _largest_sum(values)
    needed = largest + constant.abs() / factor.abs()
    least, small = (_INVISIBLE_LOGITS, _SMALL_LOGITS) if grid is None else (_INVISIBLE_STEPS, _SMALL_STEPS)
    reach = largest * factor.abs()
    silent = (reach < least) | ((needed >= _INT32) & (reach < small))
    values = torch.where(_along(silent, values), 0.0, values)
    multiplier = _two_bytes(_for_silent(factor.abs(), silent, constant))
    limit = math.inf if grid is None else _FARTHEST
    sums = (torch.where(silent, constant.clamp(-limit, limit), constant) / multiplier).round()
    if not bool((sums.abs() + _largest_sum(values) < _INT32).all()):
        raise InputError(
            f"pack: {operation.name} has an output whose bias is too large for its weights: sums need more than 32 "
            "bits; retrain it with less weight decay, or prune that output"
        )
    stride = layer.stride if isinstance(layer, nn.Conv2d) else (1, 1)
    kernel = _kernel(values, layer, read_shape)
    return Convolution(
        operation.name,
        sources,
        operation.shape,
        grid,
        kernel,
        sums.to(torch.int32).numpy(),
        multiplier.to(torch.float32).numpy(),
        _storage(codes.storage, kernel),
        (int(stride[0]), int(stride[1])),
        operation.padding,
        layer.groups if isinstance(layer, nn.Conv2d) else 1,
        *((0, 255) if grid is None else _byte_range(operation.clamp, grid)),
    )


def _storage(trained: Storage, kernel: NDArray[np.int16]) -> Storage:
    """Store binary weights in two bits where there are zeros among them: of silent outputs, or gaps of a dilation."""
    return TERNARY if trained == BINARY and not kernel.all() else trained


def _fitting(codes: Codes, factor: Tensor, constant: Tensor) -> tuple[Tensor, Tensor]:
    """Take low bits from int8 weights of outputs whose constant is so large that the sums would not fit 32 bits.

    What such weights add is small next to the constant, and so is what they lose.
    """
    needed = _largest_sum(codes.values) + constant.abs() / factor.abs()
    if codes.storage != INT8:
        return codes.values, factor
    bits = torch.log2(needed / _INT32 * 1.01).ceil().clamp(0, 6).nan_to_num(0.0)
    return (codes.values / _along(torch.exp2(bits), codes.values)).round(), factor * torch.exp2(bits)


def _largest_sum(values: Tensor) -> Tensor:
    return values.abs().flatten(1).sum(1) * 255


def _along(value: Tensor, like: Tensor) -> Tensor:
    """Shape one value for each output so that it meets its weights."""
    return value.view(-1, *[1] * (like.dim() - 1))


def _for_silent(factor: Tensor, silent: Tensor, constant: Tensor) -> Tensor:
    """Give outputs without weights, whose constant is all there is, a multiplier that keeps it."""
    heard = factor[~silent]
    usual = heard.min() if len(heard) else torch.tensor(2.0**-16, dtype=torch.float64)
    fitting = constant.abs().clamp_max(_FARTHEST) * 2.0**-29
    return torch.where(silent, torch.maximum(usual, fitting), factor)


def _two_bytes(value: Tensor) -> Tensor:
    """Round to 11 significant bits, float64."""
    mantissa, exponent = torch.frexp(value)
    return torch.ldexp((mantissa * 2**_SIGNIFICANT_BITS).round() / 2**_SIGNIFICANT_BITS, exponent)


def _kernel(values: Tensor, layer: nn.Module, shape: tuple[int, int, int]) -> NDArray[np.int16]:
    """Return weights as int16 (outputs, height, width, inputs); those of a linear layer cover the map."""
    if isinstance(layer, nn.Conv2d):
        values = with_gaps(values, tuple(layer.dilation))
    else:
        height, width, channels = shape
        values = values.view(-1, channels, height, width)
    return np.ascontiguousarray(values.permute(0, 2, 3, 1).to(torch.int16).numpy())


_MAKE: dict[type[Operation], Callable[..., Any]] = {
    Source: _source,
    Weighted: _weighted,
    Sum: _sum,
    Elementwise: _elementwise,
    Maximum: _maximum,
    Average: _average,
    Subsample: _subsample,
    Join: _join,
}
