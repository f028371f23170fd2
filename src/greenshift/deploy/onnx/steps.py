"""Each kind of step as ONNX operators, chosen so that a runtime that fuses them computes as the reference does."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
from greenshift.deploy.onnx.graph import Graph, step_size

INPUT, OUTPUT = "images", "logits"

_INT8_LARGEST = 127
_FLOAT, _INT32 = 1, 6  # of onnx.TensorProto


def fits_int8(layer: Convolution) -> bool:
    """Whether all weights of a layer can be written as int8."""
    return int(np.abs(layer.weight).max()) <= _INT8_LARGEST


def step_output(index: int, step: Step) -> str:
    """Return the name of the ONNX value that holds a step's output."""
    return OUTPUT if step.grid is None else f"{index}:{step.name}"


def write_step(graph: Graph, network: Network, index: int) -> None:
    """Append a step of a network to the graph."""
    step = network.steps[index]
    graph.begin(f"{index}:{step.name}")
    _WRITE[type(step)](graph, step, [_map(network, source) for source in step.sources], step_output(index, step))


@dataclass(frozen=True)
class _Map:
    """A step's output, as what reads it needs it."""

    name: str
    grid: Grid
    channels: int


def _map(network: Network, index: int) -> _Map:
    step = network.steps[index]
    assert step.grid is not None, "nothing reads logits"
    return _Map(step_output(index, step), step.grid, step.shape[2])


def _input(graph: Graph, step: Input, _: Sequence[_Map], output: str) -> None:
    channels = step.shape[2]
    offsets = graph.constant("offsets", (np.arange(channels, dtype=np.int32) * 256).reshape(1, channels, 1, 1))
    places = graph.node("Add", [graph.node("Cast", [INPUT], to=_INT32), offsets])
    graph.node("Gather", [graph.constant("table", step.table.reshape(-1)), places], output)


def _convolution(graph: Graph, step: Convolution, maps: Sequence[_Map], output: str) -> None:
    if not fits_int8(step):
        result = _two_planes(graph, step, maps[0])
    elif step.grid is None and step.groups == 1 and not any(step.padding):  # reads the whole map
        _linear(graph, step, maps[0], output)
        return
    else:
        weight = graph.per_channel("weight", _weight(step).astype(np.int8), _scale(step) / step_size(maps[0].grid))
        inputs = [
            graph.dequantized(maps[0].name, maps[0].grid),
            weight,
            graph.per_channel("bias", step.bias, _scale(step)),
        ]
        result = graph.node("Conv", inputs, **_window(step), group=step.groups)
    if step.grid is None:
        graph.node("Flatten", [result], output)
    else:
        _quantize(graph, result, step.grid, output, step.low, step.high)


def _linear(graph: Graph, step: Convolution, source: _Map, output: str) -> None:
    weight = _weight(step).reshape(len(step.weight), -1).astype(np.int8)
    inputs = [
        graph.dequantized(graph.node("Flatten", [source.name]), source.grid),
        graph.per_channel("weight", weight, _scale(step) / step_size(source.grid)),
        graph.per_channel("bias", step.bias, _scale(step)),
    ]
    graph.node("Gemm", inputs, output, transB=1)


def _two_planes(graph: Graph, step: Convolution, source: _Map) -> str:
    """A layer whose weights are low + 128 high, both int8, in integers from its input to its sums."""
    weight = _weight(step)
    low = np.where(np.abs(weight) <= _INT8_LARGEST, weight, 0)
    zero = graph.constant("input_zero", np.uint8(source.grid.zero))
    sums = [
        graph.node(
            "ConvInteger",
            [source.name, graph.constant(name, plane.astype(np.int8)), zero],
            **_window(step),
            group=step.groups,
        )
        for name, plane in (("weight_low", low), ("weight_high", (weight - low) // 128))
    ]
    high = graph.node("Mul", [sums[1], graph.constant("plane", np.int32(128))])
    total = graph.node("Add", [sums[0], high])
    total = graph.node("Add", [total, graph.constant("bias", step.bias.reshape(1, -1, 1, 1))])
    scale = graph.constant("scale", _scale(step).reshape(1, -1, 1, 1))
    return graph.node("Mul", [graph.node("Cast", [total], to=_FLOAT), scale])


def _weight(step: Convolution) -> NDArray[np.int16]:
    return step.weight.transpose(0, 3, 1, 2)


def _scale(step: Convolution) -> NDArray[np.float32]:
    """What a sum of 1 stands for: exact in float32, as a multiplier has 11 significant bits and a step is 2^n."""
    return step.multiplier * step_size(step.grid) if step.grid else step.multiplier


def _window(step: Convolution | MaxPooling) -> dict[str, Any]:
    return {"kernel_shape": step.kernel, "strides": step.stride, "pads": step.padding}


def _quantize(graph: Graph, value: str, grid: Grid, output: str, low: int = 0, high: int = 255) -> None:
    if (low, high) == (0, 255):  # what QuantizeLinear clips to anyway
        graph.quantized(value, grid, output)
        return
    limits = [graph.constant("low", np.uint8(low)), graph.constant("high", np.uint8(high))]
    graph.node("Clip", [graph.quantized(value, grid), *limits], output)


def _addition(graph: Graph, step: Addition, maps: Sequence[_Map], output: str) -> None:
    terms = [graph.dequantized(each.name, each.grid) for each in maps]
    _quantize(graph, graph.node("Add", terms), step.grid, output, step.low, step.high)


def _max_pooling(graph: Graph, step: MaxPooling, maps: Sequence[_Map], output: str) -> None:
    value = graph.node("MaxPool", [graph.dequantized(maps[0].name, maps[0].grid)], **_window(step))
    _quantize(graph, value, step.grid, output)


def _average_pooling(graph: Graph, step: AveragePooling, maps: Sequence[_Map], output: str) -> None:
    size, channels = math.prod(step.kernel), step.shape[2]
    value = graph.dequantized(maps[0].name, maps[0].grid)
    window: dict[str, Any] = {"kernel_shape": step.kernel, "strides": step.stride}
    if size & (size - 1) == 0:
        mean = graph.node("AveragePool", [value], **window)
    else:
        # The reference multiplies by a rounded 1 / size where AveragePool divides: a mean next to the middle between
        # two bytes could go another way (an 11x11 window with the sum 363, if the step doubles). A convolution of ones
        # has the arithmetic that is meant.
        ratio = average_multiplier(step, maps[0].grid) * step_size(step.grid) / step_size(maps[0].grid)
        ones = np.ones((channels, 1, *step.kernel), np.int8)
        weights = graph.per_channel("weight", ones, np.full(channels, ratio, np.float32))
        mean = graph.node("Conv", [value, weights], **window, group=channels)
    _quantize(graph, mean, step.grid, output)


def _lookup(graph: Graph, step: Lookup, maps: Sequence[_Map], output: str) -> None:
    graph.node("Gather", [graph.constant("table", step.table), graph.node("Cast", [maps[0].name], to=_INT32)], output)


def _subsampling(graph: Graph, step: Subsampling, maps: Sequence[_Map], output: str) -> None:
    value = graph.dequantized(maps[0].name, maps[0].grid)
    if step.stride > 1:
        ranges: dict[str, Any] = {"starts": [0, 0], "ends": [2**31 - 1] * 2, "axes": [2, 3], "steps": [step.stride] * 2}
        value = graph.node("Slice", [value, *(graph.constant(key, np.array(each)) for key, each in ranges.items())])
        value = graph.dequantized(graph.quantized(value, step.grid), step.grid)
    after = step.shape[2] - step.before - maps[0].channels
    value = graph.node("Pad", [value, graph.constant("pads", np.array([0, step.before, 0, 0, 0, after, 0, 0]))])
    _quantize(graph, value, step.grid, output)


def _concatenation(graph: Graph, step: Concatenation, maps: Sequence[_Map], output: str) -> None:
    parts = [graph.dequantized(each.name, each.grid) for each in maps]
    _quantize(graph, graph.node("Concat", parts, axis=1), step.grid, output)


_WRITE: dict[type, Callable[..., None]] = {
    Input: _input,
    Convolution: _convolution,
    Addition: _addition,
    MaxPooling: _max_pooling,
    AveragePooling: _average_pooling,
    Lookup: _lookup,
    Subsampling: _subsampling,
    Concatenation: _concatenation,
}
