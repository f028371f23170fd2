"""The arithmetic of `network`, in NumPy: what every other implementation is held against."""

from collections.abc import Callable
from typing import Any, cast

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

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
    Network,
    Step,
    Subsampling,
    average_multiplier,
)

Floats = NDArray[np.float32]


def run_reference(network: Network, images: Bytes) -> Floats:
    """Run a network on images.

    Args:
        network: Any valid network.
        images: uint8 (batch, height, width, channels).

    Returns:
        Logits, float32 (batch, classes).
    """
    return cast(Floats, run_steps(network, images)[-1].reshape(len(images), -1))


def run_steps(network: Network, images: Bytes) -> list[NDArray[Any]]:
    """Return the output of every step, uint8 (batch, height, width, channels); the last one's is float32."""
    outputs: list[NDArray[Any]] = []
    for step in network.steps:
        maps = [images] if isinstance(step, Input) else [outputs[source] for source in step.sources]
        grids = [_grid(network.steps[source]) for source in step.sources]
        outputs.append(_RUN[type(step)](step, maps, grids))
    return outputs


def _grid(step: Step) -> Grid:
    assert step.grid is not None, "only the last step gives floats"
    return step.grid


def _to_bytes(value: Floats, zero: int, low: int = 0, high: int = 255) -> Bytes:
    # Clipping to whole numbers before rounding gives the same byte and never overflows.
    return (np.rint(np.clip(value, np.float32(low - zero), np.float32(high - zero))) + zero).astype(np.uint8)


def _input(step: Input, maps: list[Bytes], _: list[Grid]) -> Bytes:
    return np.stack([step.table[channel][maps[0][..., channel]] for channel in range(step.shape[2])], axis=-1)


def convolve(step: Convolution, centred: NDArray[np.int64]) -> NDArray[np.int32]:
    """Return the sums of a convolution for inputs less their zero, int32 (batch, height, width, outputs)."""
    top, left, bottom, right = step.padding
    padded = np.pad(centred, ((0, 0), (top, bottom), (left, right), (0, 0)))
    windows = sliding_window_view(padded, step.kernel, axis=(1, 2))[:, :: step.stride[0], :: step.stride[1]]
    batch, height, width = windows.shape[:3]
    per_group = step.weight.shape[3]
    outputs = step.weight.shape[0] // step.groups
    sums = []
    for group in range(step.groups):
        columns = windows[:, :, :, group * per_group : (group + 1) * per_group].transpose(0, 1, 2, 4, 5, 3)
        rows = step.weight[group * outputs : (group + 1) * outputs].reshape(outputs, -1)
        # Products of float64 are exact here: every sum is below 2^53.
        sums.append(columns.reshape(batch * height * width, -1).astype(np.float64) @ rows.T.astype(np.float64))
    found = np.concatenate(sums, axis=1).astype(np.int32) + step.bias
    return cast(NDArray[np.int32], found.reshape(batch, height, width, -1))


def _convolution(step: Convolution, maps: list[Bytes], grids: list[Grid]) -> NDArray[Any]:
    acc = convolve(step, maps[0].astype(np.int64) - grids[0].zero)
    value: Floats = acc.astype(np.float32) * step.multiplier
    return value if step.grid is None else _to_bytes(value, step.grid.zero, step.low, step.high)


def _addition(step: Addition, maps: list[Bytes], grids: list[Grid]) -> Bytes:
    total = sum(
        (values.astype(np.float32) - np.float32(grid.zero)) * np.float32(2.0 ** (grid.exponent - step.grid.exponent))
        for values, grid in zip(maps, grids, strict=True)
    )
    return _to_bytes(cast(Floats, total), step.grid.zero, step.low, step.high)


def _max_pooling(step: MaxPooling, maps: list[Bytes], _: list[Grid]) -> Bytes:
    top, left, bottom, right = step.padding
    padded = np.pad(maps[0], ((0, 0), (top, bottom), (left, right), (0, 0)))  # no byte is below 0
    windows = sliding_window_view(padded, step.kernel, axis=(1, 2))[:, :: step.stride[0], :: step.stride[1]]
    return cast(Bytes, windows.max(axis=(-2, -1)))


def _average_pooling(step: AveragePooling, maps: list[Bytes], grids: list[Grid]) -> Bytes:
    centred = maps[0].astype(np.int32) - grids[0].zero
    windows = sliding_window_view(centred, step.kernel, axis=(1, 2))[:, :: step.stride[0], :: step.stride[1]]
    value = windows.sum(axis=(-2, -1)).astype(np.float32) * average_multiplier(step, grids[0])
    return _to_bytes(value, step.grid.zero)


def _lookup(step: Lookup, maps: list[Bytes], _: list[Grid]) -> Bytes:
    return step.table[maps[0]]


def _subsampling(step: Subsampling, maps: list[Bytes], grids: list[Grid]) -> Bytes:
    kept = maps[0][:, :: step.stride, :: step.stride]
    after = step.shape[2] - step.before - kept.shape[3]
    return np.pad(kept, ((0, 0), (0, 0), (0, 0), (step.before, after)), constant_values=grids[0].zero)


def _concatenation(_step: Concatenation, maps: list[Bytes], _: list[Grid]) -> Bytes:
    return np.concatenate(maps, axis=3)


_RUN: dict[type, Callable[..., Any]] = {
    Input: _input,
    Convolution: _convolution,
    Addition: _addition,
    MaxPooling: _max_pooling,
    AveragePooling: _average_pooling,
    Lookup: _lookup,
    Subsampling: _subsampling,
    Concatenation: _concatenation,
}
