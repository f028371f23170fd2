"""Read off what a network does in one inference by running it once, best on the meta device."""

import dataclasses
import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from greenshift.compress.handlers import FLOAT, storage_of
from greenshift.profile import Arithmetic, LayerProfile, NetworkProfile

_BIAS_BYTES = 4
_NORMS = (nn.BatchNorm2d, nn.BatchNorm1d)


class _Additions(TorchDispatchMode):
    """Records the tensor additions that happen outside of layers, such as residual ones."""

    def __init__(self, recorder: "_Recorder") -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ARG002
        out = func(*args, **(kwargs or {}))
        adds = func.overloadpacket in (torch.ops.aten.add, torch.ops.aten.add_)
        if adds and not self.recorder.inside and isinstance(args[1], Tensor) and args[1].dim() > 1:
            self.recorder.elementwise("add", out, out.numel() // out.shape[0])
        return out


class _Recorder:
    """Collects layer profiles while a network runs."""

    def __init__(self) -> None:
        self.layers: list[LayerProfile] = []
        self.inside = 0

    def enter(self, module: nn.Module, args: Any) -> None:  # noqa: ARG002
        self.inside += 1

    def leave(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        self.inside -= 1
        if isinstance(module, nn.Conv2d | nn.Linear):
            self.layers.append(_weighted(name, module, args[0], output))
        elif isinstance(module, _NORMS):
            self._norm(name, module, output)
        elif isinstance(output, Tensor) and not isinstance(module, nn.Identity | nn.Flatten | nn.Dropout):
            pooling = "Pool" in type(module).__name__
            size = args[0].numel() if pooling else output.numel()
            self.elementwise(name, output, size // output.shape[0], fused=not pooling)

    def elementwise(self, name: str, output: Tensor, ops: int, *, fused: bool = False) -> None:
        shape = tuple(output.shape[1:])
        if name == "add":
            name = f"add{sum(layer.name.startswith('add') for layer in self.layers)}"
        self.layers.append(LayerProfile(name, "elementwise", "float", shape, shape, 0, ops=ops, fused=fused))

    def _norm(self, name: str, module: nn.Module, output: Tensor) -> None:
        """Normalisation folds into the layer before it; on integers as the requantisation of every sum."""
        index = next((i for i, layer in reversed(list(enumerate(self.layers))) if layer.kind != "elementwise"), None)
        folds = index is None or self.layers[index].arithmetic == "float"
        if index is not None and not folds:
            ops = output.numel() // output.shape[0]
            self.layers[index] = dataclasses.replace(self.layers[index], ops=self.layers[index].ops + ops)
        shape = tuple(output.shape[1:])
        channels = int(module.num_features)  # type: ignore[arg-type]
        # A float neighbour keeps only a bias; a requantisation has a scale and a bias per channel.
        size = (1 if folds else 2) * _BIAS_BYTES * channels
        self.layers.append(
            LayerProfile(name, "elementwise", "float", shape, shape, 0, parameter_bytes=size, fused=True)
        )


def _weighted(name: str, layer: nn.Conv2d | nn.Linear, x: Tensor, output: Tensor) -> LayerProfile:
    storage = storage_of(layer)
    if isinstance(layer, nn.Conv2d):
        window = layer.in_channels // layer.groups * math.prod(layer.kernel_size)
        weights, outputs = window * layer.out_channels, layer.out_channels
        macs, groups = math.prod(output.shape[1:]) * window, layer.groups
    else:
        weights, outputs = layer.in_features * layer.out_features, layer.out_features
        macs, groups = math.prod(output.shape[1:]) * layer.in_features, 1
    # A float scale per output channel is what an integer grid needs; powers of two need none.
    scale_bytes = 4 * outputs if storage.arithmetic == "int" else 0
    bias_bytes = _BIAS_BYTES * outputs if layer.bias is not None else 0
    return LayerProfile(
        name,
        "conv" if isinstance(layer, nn.Conv2d) else "linear",
        storage.arithmetic,
        tuple(x.shape[1:]),
        tuple(output.shape[1:]),
        macs,
        weights=weights,
        weight_bits=storage.weight_bits,
        act_bits=storage.act_bits,
        parameter_bytes=math.ceil(weights * storage.weight_bits / 8) + bias_bytes + scale_bytes,
        weight_levels=storage.weight_levels,
        groups=groups,
    )


def profile(model: nn.Module, input_shape: tuple[int, ...]) -> NetworkProfile:
    """Profile one inference of a network.

    The network runs once in evaluation mode on an uninitialised input. On the meta device this takes
    milliseconds and no memory. Activations are taken to be stored in the bits that the next
    convolution or linear layer reads, the network's output as float32.

    Args:
        model: The network, converted or not; its mode is restored.
        input_shape: Shape of one input without the batch dimension, such as (3, 32, 32).

    Returns:
        The profile, layers in the order in which they ran.
    """
    recorder = _Recorder()
    handles = []
    for name, module in model.named_modules():
        if not any(module.children()) or isinstance(module, nn.Conv2d | nn.Linear):
            handles.append(module.register_forward_pre_hook(recorder.enter))
            handles.append(module.register_forward_hook(lambda m, a, o, name=name: recorder.leave(name, m, a, o)))
    device = next((p.device for p in model.parameters()), torch.device("cpu"))
    training = model.training
    try:
        with torch.no_grad(), _Additions(recorder):
            model.eval()(torch.empty(1, *input_shape, device=device))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return NetworkProfile(_as_stored(recorder.layers), input_shape)


def _as_stored(layers: list[LayerProfile]) -> tuple[LayerProfile, ...]:
    """Let every layer write, and elementwise layers compute, what the next weighted layer reads."""
    result = []
    bits, integers = FLOAT.act_bits, False
    for layer in reversed(layers):
        if layer.kind == "elementwise":
            arithmetic: Arithmetic = "int" if integers else "float"
            result.append(dataclasses.replace(layer, arithmetic=arithmetic, act_bits=bits, output_bits=bits))
        else:
            result.append(dataclasses.replace(layer, output_bits=bits))
            bits, integers = layer.act_bits, layer.arithmetic != "float"
    return tuple(reversed(result))
