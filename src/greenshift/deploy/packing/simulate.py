"""A packed network as a torch model in float arithmetic: what runtimes are held against, and fast on many images."""

from collections.abc import Callable
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.deploy.network import (
    Addition,
    AveragePooling,
    Concatenation,
    Convolution,
    Grid,
    Input,
    Lookup,
    MaxPooling,
    Network,
    Step,
    Subsampling,
    average_multiplier,
)

# Whole numbers up to here are exact in float32, and so are their sums.
_EXACT = 2**24


def simulate(network: Network) -> nn.Module:
    """Return a torch model that computes what a packed network computes.

    Every map holds the values that its bytes stand for. Steps are powers of two, so that float arithmetic on these
    values is exact where float arithmetic on their whole numbers is; sums that float32 cannot hold are in float64.

    Args:
        network: Any valid network.

    Returns:
        A model in evaluation mode from images, float (N, C, H, W) from 0 to 1, to logits, float32 (N, classes).
        `maps` gives the values of every step.
    """
    return _Simulated(network).eval()


class _Simulated(nn.Module):
    def __init__(self, network: Network) -> None:
        super().__init__()
        self.steps = network.steps
        for index, step in enumerate(network.steps):
            if isinstance(step, Convolution):
                for name, value in _constants(step, cast(Grid, network.steps[step.sources[0]].grid)).items():
                    self.register_buffer(f"{name}{index}", value)

    def forward(self, images: Tensor) -> Tensor:
        return self.maps(images)[-1].flatten(1)

    def maps(self, images: Tensor) -> list[Tensor]:
        """Return the values of every step, float32 (N, channels, height, width)."""
        values: list[Tensor] = []
        for index, step in enumerate(self.steps):
            if isinstance(step, Input):
                values.append(_input(step, images))
                continue
            read = [values[source] for source in step.sources]
            grids = [cast(Grid, self.steps[source].grid) for source in step.sources]
            if isinstance(step, Convolution):
                names = ("weight", "bias", "multiplier")
                values.append(_convolution(step, read[0], *(self.get_buffer(f"{name}{index}") for name in names)))
            else:
                values.append(_RUN[type(step)](step, read, grids))
        return values


def _constants(step: Convolution, source: Grid) -> dict[str, Tensor]:
    weight = torch.from_numpy(step.weight.astype("float64")).permute(0, 3, 1, 2).contiguous()
    bias = torch.from_numpy(step.bias.astype("float64"))
    largest = weight.abs().sum((1, 2, 3)) * max(source.zero, 255 - source.zero) + bias.abs()
    exact = torch.float32 if bool((largest < _EXACT).all()) else torch.float64
    # Sums of values are those of whole numbers times the source's step.
    multiplier = torch.from_numpy(step.multiplier.copy()) * 2.0**-source.exponent
    return {
        "weight": weight.to(exact),
        "bias": (bias * 2.0**source.exponent).to(exact),
        "multiplier": multiplier.view(-1, 1, 1),
    }


def _to_grid(value: Tensor, grid: Grid, low: int = 0, high: int = 255) -> Tensor:
    """Round values in steps of a grid to values that it has."""
    return value.round().clamp_(low - grid.zero, high - grid.zero) * 2.0**grid.exponent


def _input(step: Input, images: Tensor) -> Tensor:
    table = torch.from_numpy(step.table.astype("int64"))
    raw = (images * 255).round().long()
    looked_up = torch.stack([table[channel][raw[:, channel]] for channel in range(step.shape[2])], 1)
    return (looked_up - step.grid.zero).float() * 2.0**step.grid.exponent


def _convolution(step: Convolution, value: Tensor, weight: Tensor, bias: Tensor, multiplier: Tensor) -> Tensor:
    top, left, bottom, right = step.padding
    padded = functional.pad(value.to(weight.dtype), (left, right, top, bottom))
    sums = functional.conv2d(padded, weight, stride=step.stride, groups=step.groups) + bias.view(-1, 1, 1)
    result = sums.float() * multiplier
    return result if step.grid is None else _to_grid(result, step.grid, step.low, step.high)


def _addition(step: Addition, values: list[Tensor], _: list[Grid]) -> Tensor:
    return _to_grid((values[0] + values[1]) * 2.0**-step.grid.exponent, step.grid, step.low, step.high)


def _max_pooling(step: MaxPooling, values: list[Tensor], _: list[Grid]) -> Tensor:
    top, left, bottom, right = step.padding
    padded = functional.pad(values[0], (left, right, top, bottom), value=-torch.inf)
    return functional.max_pool2d(padded, step.kernel, step.stride)


def _average_pooling(step: AveragePooling, values: list[Tensor], grids: list[Grid]) -> Tensor:
    whole = values[0] * 2.0 ** -grids[0].exponent
    sums = functional.avg_pool2d(whole, step.kernel, step.stride, divisor_override=1)
    return _to_grid(sums * float(average_multiplier(step, grids[0])), step.grid)


def _lookup(step: Lookup, values: list[Tensor], grids: list[Grid]) -> Tensor:
    table = torch.from_numpy(step.table.astype("int64"))
    found = table[(values[0] * 2.0 ** -grids[0].exponent + grids[0].zero).long()]
    return (found - step.grid.zero).float() * 2.0**step.grid.exponent


def _subsampling(step: Subsampling, values: list[Tensor], _: list[Grid]) -> Tensor:
    kept = values[0][:, :, :: step.stride, :: step.stride]
    return functional.pad(kept, (0, 0, 0, 0, step.before, step.shape[2] - step.before - kept.shape[1]))


def _concatenation(_step: Concatenation, values: list[Tensor], _: list[Grid]) -> Tensor:
    return torch.cat(values, 1)


_RUN: dict[type[Step], Callable[..., Any]] = {
    Addition: _addition,
    MaxPooling: _max_pooling,
    AveragePooling: _average_pooling,
    Lookup: _lookup,
    Subsampling: _subsampling,
    Concatenation: _concatenation,
}
