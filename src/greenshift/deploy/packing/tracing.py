"""A model as a graph of modules and functions, with the shape of every value."""

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, fx, nn

from greenshift.compress.activations import ScaledActivation
from greenshift.errors import InputError


class _Tracer(fx.Tracer):
    """Looks into modules of the user, but takes convolutions, linear layers and activations as they are."""

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        taken = isinstance(m, nn.Conv2d | nn.Linear | nn.PReLU | ScaledActivation)
        return taken or super().is_leaf_module(m, module_qualified_name)


class _Watched(fx.Interpreter):
    """Runs a graph and shows every tensor as soon as it is there: later steps may overwrite it."""

    def __init__(self, module: fx.GraphModule, watch: Callable[[fx.Node, Any], None]) -> None:
        super().__init__(module)
        self.watch = watch

    def run_node(self, n: fx.Node) -> Any:
        value = super().run_node(n)
        self.watch(n, value)
        return value


def trace(model: nn.Module, images: Tensor) -> fx.GraphModule:
    """Trace a copy of a model in evaluation mode.

    Args:
        model: Any network without control flow that depends on values; it is not changed.
        images: Float (N, C, H, W), as the model expects them.

    Returns:
        The graph on the CPU in float32. Nodes have `shape` in their meta data if their value is a tensor, else `value`.

    Raises:
        InputError: If the model cannot be traced or does not run on the images.
    """
    model = copy.deepcopy(model).cpu().float().eval()
    tracer = _Tracer()
    try:
        graph = fx.GraphModule(model, tracer.trace(model))
    except Exception as error:  # a trace runs the user's code, which may raise anything
        raise InputError(
            f"pack: the model cannot be traced ({_line(error)}); its forward must not branch on values of tensors"
        ) from error

    def note(node: fx.Node, value: Any) -> None:
        node.meta.update({"shape": tuple(value.shape)} if isinstance(value, Tensor) else {"value": value})

    try:
        run(graph, images[:1].expand(2, -1, -1, -1), note)  # two of them, to see what depends on their number
    except Exception as error:
        raise InputError(f"pack: the model does not run on the example inputs ({_line(error)})") from error
    return graph


def run(graph: fx.GraphModule, images: Tensor, watch: Callable[[fx.Node, Any], None]) -> Any:
    """Run a traced model on images and show every value to `watch` when it is computed.

    Args:
        graph: Of `trace`.
        images: Float (N, C, H, W), as the model expects them; they are not changed.
        watch: Called with every node and its value.

    Returns:
        What the model returns.
    """
    with torch.no_grad():
        return _Watched(graph, watch).run(images.clone())


def _line(error: Exception) -> str:
    text = " ".join(str(error).split("\n\n")[0].split())
    return f"{type(error).__name__}: {text[:200]}" if text else type(error).__name__
