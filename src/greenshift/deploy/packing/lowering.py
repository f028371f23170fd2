"""From a traced model to operations: batch norms and clamps go into the layers before them."""

import dataclasses
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from greenshift.deploy.packing import pooling
from greenshift.deploy.packing.builder import Builder, Operations, copying, map_shape, no_change
from greenshift.deploy.packing.calls import Call
from greenshift.deploy.packing.layers import is_known
from greenshift.deploy.packing.operations import (
    UNBOUNDED,
    Average,
    Clamp,
    Elementwise,
    Function,
    Join,
    Maximum,
    Subsample,
    Sum,
    Weighted,
    then_clamp,
)

_SUPPORTED = (
    "Conv2d, Linear, BatchNorm, ReLU and other functions of one value, addition, concatenation of channels, "
    "MaxPool2d, AvgPool2d, Flatten"
)


def lower(graph: fx.GraphModule) -> Operations:
    """Turn a traced model into operations by name, in the order in which they run; the last one gives the logits.

    Args:
        graph: Of `tracing.trace`.

    Raises:
        InputError: If a layer is not supported; names it, and the way out.
    """
    builder = Builder(dict(graph.named_modules()))
    for node in graph.graph.nodes:
        if node.op == "output":
            return builder.finish(node)
        if node.op == "placeholder":
            builder.take_input(node)
        elif node.op != "get_attr" and "shape" in node.meta:  # who uses a constant has to say whether it can
            call = builder.read(node)
            _HANDLERS.get(call.kind, _refuse)(builder, call)
            if call.in_place:
                builder.overwrite(call)
    raise AssertionError("a traced graph has an output")


def _refuse(builder: Builder, call: Call) -> None:
    builder.refuse(call, f"is not supported (what is: {_SUPPORTED})")


def _weighted(builder: Builder, call: Call) -> None:
    layer, source = call.module, builder.source(call)
    assert isinstance(layer, nn.Conv2d | nn.Linear)
    if not is_known(layer):
        builder.refuse(call, "its class may compute something else than its base class")
    name = builder.name(call)
    inputs = builder.rounded(source, layer, name)
    neutral = no_change(layer.out_channels if isinstance(layer, nn.Conv2d) else layer.out_features)
    if isinstance(layer, nn.Linear):
        if len(call.shape) != 2:
            builder.refuse(call, "a linear layer over maps is not supported; use a 1x1 convolution")
        builder.put(call, Weighted(name, (inputs,), (1, 1, layer.out_features), call.node.name, layer, *neutral))
        return
    if layer.padding_mode != "zeros" and layer.padding not in (0, (0, 0), "valid"):
        builder.refuse(call, f"padding with {layer.padding_mode} is not supported, only zeros are")
    shape = map_shape(call.shape)
    padding = pooling.convolution_padding(layer)
    builder.put(call, Weighted(name, (inputs,), shape, call.node.name, layer, *neutral, padding))


def _batch_norm(builder: Builder, call: Call) -> None:
    norm, source = call.module, builder.source(call)
    assert isinstance(norm, nn.BatchNorm1d | nn.BatchNorm2d)
    if norm.running_mean is None or norm.running_var is None:
        builder.refuse(call, "keeps no running statistics")
    if norm.num_features != source.shape[2]:
        builder.refuse(call, "normalises flattened maps; put it before the flattening")
    scale = (norm.running_var.double() + norm.eps).rsqrt()
    shift = -norm.running_mean.double() * scale
    if norm.affine:
        scale, shift = scale * norm.weight.detach().double(), shift * norm.weight.detach().double()
        shift = shift + norm.bias.detach().double()
    layer = builder.fusable(call, Weighted)
    if layer is None or layer.clamp != UNBOUNDED:
        layer = copying(builder.name(call), source, call.node.name)
    scale, shift = layer.scale * scale, layer.shift * scale + shift
    builder.put(call, dataclasses.replace(layer, node=call.node.name, scale=scale, shift=shift))


def _clamp(bounds: Callable[[dict[str, Any]], Clamp]) -> Callable[[Builder, Call], None]:
    def handle(builder: Builder, call: Call) -> None:
        low, high = bounds(call.arguments)
        source = builder.fusable(call, Weighted, Sum, Elementwise)
        if source is not None and isinstance(source, Weighted | Sum | Elementwise):
            clamp = then_clamp(source.clamp, (low, high))
            builder.put(call, dataclasses.replace(source, node=call.node.name, clamp=clamp))
            return
        _put_function(builder, call, lambda value: value.clamp(low, high))

    return handle


def _given_bounds(arguments: dict[str, Any]) -> Clamp:
    low, high = arguments.get("min"), arguments.get("max")
    return -math.inf if low is None else float(low), math.inf if high is None else float(high)


def _put_function(builder: Builder, call: Call, function: Function) -> None:
    source = builder.source(call)
    operation = Elementwise(builder.name(call), (source.name,), source.shape, call.node.name, function)
    builder.put(call, operation)


def _elementwise(builder: Builder, call: Call) -> None:
    if any(source.meta["shape"] != call.shape for source in call.inputs):
        builder.refuse(call, "of maps of different shapes is not supported")
    node, module = call.node, call.module
    if module is not None:
        _put_function(builder, call, lambda value: module(value.clone()))
        return
    roots, functions = zip(*(_function_of(builder, source) for source in call.inputs), strict=True)
    if len(set(roots)) != 1:
        builder.refuse(call, "is supported for functions of one map only")
    if len(functions) == 1:  # what it reads is a map of its own
        roots, functions = (builder.source(call).name,), (torch.clone,)

    def function(value: Tensor) -> Tensor:
        given = {source: part(value.clone()) for source, part in zip(call.inputs, functions, strict=True)}
        put = fx.map_arg((node.args, node.kwargs), lambda n: given[n] if n in given else n.meta["value"])
        if node.op == "call_method":
            return getattr(put[0][0], str(node.target))(*put[0][1:], **put[1])  # type: ignore[no-any-return]
        return node.target(*put[0], **put[1])  # type: ignore[operator, no-any-return]

    shape = builder.operations[roots[0]].shape
    builder.put(call, Elementwise(builder.name(call), roots[:1], shape, node.name, function))


def _function_of(builder: Builder, node: fx.Node) -> tuple[str, Function]:
    """Return the operation that a value is a function of, and the function."""
    operation = builder.operations[builder.names[node]]
    if not isinstance(operation, Elementwise):
        return operation.name, torch.clone
    first, clamp = operation.function, operation.clamp
    return operation.sources[0], lambda value: first(value).clamp(*clamp)


def _add(builder: Builder, call: Call) -> None:
    addends = [argument for argument in call.node.args[:2] if argument in call.inputs]
    if len(addends) == 1 and call.kind in ("add", "sub"):
        _elementwise(builder, call)
        return
    sources = [builder.operations[builder.names[addend]] for addend in addends]  # type: ignore[index]
    if call.kind == "sub" or call.arguments.get("alpha", 1) != 1 or sources[0].shape != sources[1].shape:
        builder.refuse(call, "is supported for the plain sum of two maps of one shape only")
    names = (sources[0].name, sources[1].name)
    builder.put(call, Sum(builder.name(call), names, sources[0].shape, call.node.name))


def _cat(builder: Builder, call: Call) -> None:
    joined: Any = call.node.args[0] if call.node.args else call.node.kwargs["tensors"]
    dimension = call.arguments.get("dim", call.arguments.get("axis", 0))
    sources = [builder.operations[builder.names[node]] for node in joined]
    if dimension % len(call.shape) != 1 or (len(call.shape) == 2 and any(s.shape[:2] != (1, 1) for s in sources)):
        builder.refuse(call, "is supported along the channels only")
    names = tuple(source.name for source in sources)
    builder.put(call, Join(builder.name(call), names, map_shape(call.shape), call.node.name))


def _reshape(builder: Builder, call: Call) -> None:
    height, width, channels = builder.source(call).shape
    batch, *rest = call.shape
    kept = rest in ([channels, height, width], [channels * height * width])
    if batch != call.inputs[0].meta["shape"][0] or not (kept or rest == [channels, 1, 1]):
        builder.refuse(call, f"gives the shape {tuple(rest)}; supported is the flattening of whole maps only")
    builder.pass_on(call)


def _pool(builder: Builder, call: Call) -> None:
    source = builder.source(call)
    windows = pooling.windows(call, source.shape)
    if isinstance(windows, str):
        builder.refuse(call, windows)
    kernel, stride, padding = windows
    common = (builder.name(call), (source.name,), map_shape(call.shape), call.node.name, kernel, stride)
    builder.put(call, Maximum(*common, padding) if "max" in call.kind else Average(*common))


def _subsample(builder: Builder, call: Call) -> None:
    source = builder.source(call)
    found = pooling.subsampling(call)
    if isinstance(found, str):
        builder.refuse(call, found)
    stride, before = found
    earlier = builder.fusable(call, Subsample)
    if earlier is not None:
        stride, before = stride * earlier.stride, before + earlier.before
    sources = (source.name,) if earlier is None else earlier.sources
    shape = map_shape(call.shape)
    builder.put(call, Subsample(builder.name(call), sources, shape, call.node.name, stride, before))


def _dropout(builder: Builder, call: Call) -> None:
    if call.arguments.get("training", True) and call.arguments.get("p", 0.5) > 0:
        builder.refuse(call, "drops values in evaluation mode too; give it training=self.training")
    builder.pass_on(call)


_HANDLERS: dict[str, Callable[[Builder, Call], None]] = {
    "weighted": _weighted,
    "batch_norm": _batch_norm,
    "relu": _clamp(lambda _: (0.0, math.inf)),
    "relu6": _clamp(lambda _: (0.0, 6.0)),
    "hardtanh": _clamp(lambda a: (a.get("min_val", -1.0), a.get("max_val", 1.0))),
    "clamp": _clamp(_given_bounds),
    "elementwise": _elementwise,
    "add": _add,
    "sub": _add,
    "cat": _cat,
    "reshape": _reshape,
    "identity": lambda builder, call: builder.pass_on(call),
    "dropout": _dropout,
    **dict.fromkeys(("max_pool2d", "adaptive_max_pool2d"), _pool),
    **dict.fromkeys(("avg_pool2d", "adaptive_avg_pool2d", "mean"), _pool),
    **dict.fromkeys(("getitem", "pad"), _subsample),
    "softmax": lambda builder, call: builder.refuse(
        call, "is left to whoever reads the logits: the largest one is the class with and without it"
    ),
}
