"""The float32 form of a network as ONNX: plain Conv, Relu, Add and pooling, as any exporter would write it."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from greenshift.deploy.bench.unquantised import no_float_form, real_range, real_weights, source_grid
from greenshift.deploy.network import (
    Addition,
    AveragePooling,
    Concatenation,
    Convolution,
    Input,
    Lookup,
    MaxPooling,
    Network,
    Step,
    Subsampling,
)
from greenshift.errors import InputError

OPSET = 17
_IR_VERSION = 8


def export_float_onnx(network: Network, path: Path) -> None:
    """Write the float32 form of a network as ONNX, batch normalisation folded.

    It takes `images`, float32 (batch, channels, height, width) of `unquantised.real_images`, and gives `logits`.

    Raises:
        InputError: If a step has no float32 form, or the package onnx is not installed.
    """
    try:
        from onnx import TensorProto, helper
    except ImportError as error:
        raise InputError("the package onnx is not installed; pip install onnx") from error
    graph = _Graph(network)
    for index, step in enumerate(network.steps):
        graph.add(index, step)
    last = network.steps[-1]
    graph.node("Flatten", [graph.values[-1]], "logits", axis=1)
    height, width, channels = network.input.shape
    onnx_graph = helper.make_graph(
        graph.nodes,
        "network",
        [helper.make_tensor_value_info("images", TensorProto.FLOAT, ["batch", channels, height, width])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", last.shape[2]])],
        graph.constants,
    )
    opsets = [helper.make_opsetid("", OPSET)]
    model = helper.make_model(onnx_graph, opset_imports=opsets, ir_version=_IR_VERSION, producer_name="greenshift")
    path.write_bytes(model.SerializeToString())


class _Graph:
    """Nodes and constants, as they are added step by step."""

    def __init__(self, network: Network) -> None:
        self._network = network
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.values: list[str] = []
        self._writers: dict[type, Callable[[int, Any, Sequence[str]], str]] = {
            Convolution: self._convolution,
            Addition: self._addition,
            MaxPooling: self._max_pooling,
            AveragePooling: self._average_pooling,
            Subsampling: self._subsampling,
            Concatenation: lambda index, _, sources: self.node("Concat", sources, f"v{index}", axis=1),
        }

    def add(self, index: int, step: Step) -> None:
        if isinstance(step, Lookup):
            raise no_float_form(step)
        if isinstance(step, Input):
            self.values.append("images")
            return
        self.values.append(self._writers[type(step)](index, step, [self.values[source] for source in step.sources]))

    def node(self, kind: str, sources: Sequence[str], output: str, **attributes: Any) -> str:
        from onnx import helper

        self.nodes.append(helper.make_node(kind, list(sources), [output], **attributes))
        return output

    def _constant(self, name: str, values: Any, dtype: Any) -> str:
        from onnx import numpy_helper

        self.constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def _convolution(self, index: int, step: Convolution, sources: Sequence[str]) -> str:
        weight, bias = real_weights(step, source_grid(self._network, index))
        parameters = [self._constant(f"w{index}", weight, np.float32), self._constant(f"b{index}", bias, np.float32)]
        value = self.node(
            "Conv",
            [*sources, *parameters],
            f"c{index}",
            kernel_shape=step.kernel,
            strides=step.stride,
            pads=step.padding,
            group=step.groups,
        )
        return self._limited(index, step, value)

    def _addition(self, index: int, step: Addition, sources: Sequence[str]) -> str:
        return self._limited(index, step, self.node("Add", sources, f"c{index}"))

    def _limited(self, index: int, step: Convolution | Addition, value: str) -> str:
        low, high = real_range(step)
        if low is None and high is None:
            return value
        if low == 0 and high is None:
            return self.node("Relu", [value], f"v{index}")
        ends = [
            "" if end is None else self._constant(f"{name}{index}", end, np.float32)
            for name, end in (("low", low), ("high", high))
        ]
        return self.node("Clip", [value, *ends], f"v{index}")

    def _max_pooling(self, index: int, step: MaxPooling, sources: Sequence[str]) -> str:
        shape = {"kernel_shape": step.kernel, "strides": step.stride, "pads": step.padding}
        return self.node("MaxPool", sources, f"v{index}", **shape)

    def _average_pooling(self, index: int, step: AveragePooling, sources: Sequence[str]) -> str:
        return self.node("AveragePool", sources, f"v{index}", kernel_shape=step.kernel, strides=step.stride)

    def _subsampling(self, index: int, step: Subsampling, sources: Sequence[str]) -> str:
        value = sources[0]
        if step.stride > 1:
            lists = {"starts": [0, 0], "ends": [2**31 - 1] * 2, "axes": [2, 3], "steps": [step.stride] * 2}
            names = [self._constant(f"{name}{index}", values, np.int64) for name, values in lists.items()]
            value = self.node("Slice", [value, *names], f"s{index}")
        channels = self._network.steps[step.sources[0]].shape[2]
        after = step.shape[2] - channels - step.before
        pads = self._constant(f"pads{index}", [0, step.before, 0, 0, 0, after, 0, 0], np.int64)
        return self.node("Pad", [value, pads], f"v{index}")
