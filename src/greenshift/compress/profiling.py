"""Read off what a network does in one inference by running it once.

A trace says which layers ran on which shapes. It depends on the backbone alone, so that the profiles of
all designs of a backbone come from one trace, each in well under a millisecond.
"""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode

from greenshift.activations import Activation
from greenshift.compress.activations import activation_of, operations_of, scale_count
from greenshift.compress.handlers import FLOAT, Storage, storage_of
from greenshift.compress.prune import sparsity_of
from greenshift.profile import Arithmetic, LayerProfile, NetworkProfile

_BIAS_BYTES = _SCALE_BYTES = 4
_BYTE_BITS = 8
_NORMS = (nn.BatchNorm2d, nn.BatchNorm1d)
# Layers that move or keep values without computing any.
_SILENT = (nn.Identity, nn.Flatten, nn.Dropout)


@dataclass(frozen=True)
class Step:
    """One layer or addition that ran.

    Attributes:
        name: Qualified name, or `addN` for the N-th tensor addition outside of layers.
        kind: What it was; `fused` computes while its input passes, such as an activation.
        input_shape: Shape of the input without the batch dimension.
        output_shape: Shape of the output without the batch dimension.
        weights: Number of weights of a convolution or linear layer.
        groups: Convolution groups.
        bias: True if a convolution or linear layer has a bias.
        activation: The activation function, if it is one that a design can name.
    """

    name: str
    kind: Literal["conv", "linear", "norm", "pool", "add", "fused"]
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weights: int = 0
    groups: int = 1
    bias: bool = False
    activation: Activation | None = None


class _Additions(TorchDispatchMode):
    """Records the tensor additions that happen outside of layers, such as residual ones."""

    def __init__(self, recorder: "_Recorder") -> None:
        super().__init__()
        self.recorder = recorder

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        out = func(*args, **(kwargs or {}))
        adds = func.overloadpacket in (torch.ops.aten.add, torch.ops.aten.add_)
        if adds and not self.recorder.inside and isinstance(args[1], Tensor) and args[1].dim() > 1:
            self.recorder.add(out)
        return out


class _Recorder:
    """Collects the steps of a network while it runs."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.inside = 0
        self._additions = 0

    def enter(self, module: nn.Module, args: Any) -> None:  # noqa: ARG002
        self.inside += 1

    def leave(self, name: str, module: nn.Module, args: Any, output: Any) -> None:
        self.inside -= 1
        if not isinstance(output, Tensor) or isinstance(module, _SILENT):
            return
        shapes = tuple(args[0].shape[1:]), tuple(output.shape[1:])
        if isinstance(module, nn.Conv2d):
            weights = module.out_channels * module.in_channels // module.groups * math.prod(module.kernel_size)
            self.steps.append(Step(name, "conv", *shapes, weights, module.groups, module.bias is not None))
        elif isinstance(module, nn.Linear):
            weights = module.in_features * module.out_features
            self.steps.append(Step(name, "linear", *shapes, weights, bias=module.bias is not None))
        elif isinstance(module, _NORMS):
            self.steps.append(Step(name, "norm", *shapes))
        else:
            kind: Literal["pool", "fused"] = "pool" if "Pool" in type(module).__name__ else "fused"
            self.steps.append(Step(name, kind, *shapes, activation=activation_of(module)))

    def add(self, output: Tensor) -> None:
        shape = tuple(output.shape[1:])
        self.steps.append(Step(f"add{self._additions}", "add", shape, shape))
        self._additions += 1


def trace(model: nn.Module, input_shape: tuple[int, ...]) -> tuple[Step, ...]:
    """Run a network once in evaluation mode on an uninitialised input and note what ran.

    Weights do not matter. A network on the meta device needs no memory, but its kernels import torch's
    compiler, which takes longer than a run on the CPU.

    Args:
        model: The network; its mode is restored.
        input_shape: Shape of one input without the batch dimension, such as (3, 32, 32).

    Returns:
        The steps in the order in which they ran.
    """
    recorder = _Recorder()
    handles = []
    for name, module in model.named_modules():
        if not any(module.children()) or isinstance(module, nn.Conv2d | nn.Linear):
            handles.append(module.register_forward_pre_hook(recorder.enter))
            handles.append(module.register_forward_hook(lambda m, a, o, name=name: recorder.leave(name, m, a, o)))
    like = next((p for p in model.parameters() if p.is_floating_point()), torch.empty(0))
    training = model.training
    try:
        with torch.no_grad(), _Additions(recorder):
            model.eval()(like.new_empty(1, *input_shape))
    finally:
        model.train(training)
        for handle in handles:
            handle.remove()
    return tuple(recorder.steps)


def profile(model: nn.Module, input_shape: tuple[int, ...]) -> NetworkProfile:
    """Profile one inference of a network, converted or not; its sparsity is that of its pruning masks.

    Args:
        model: The network.
        input_shape: Shape of one input without the batch dimension.
    """
    storages = {
        name: storage_of(getattr(module, "scheme", None))
        for name, module in model.named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear)
    }
    return profile_steps(trace(model, input_shape), storages, input_shape, sparsity_of(model))


def profile_steps(
    steps: tuple[Step, ...],
    storages: Mapping[str, Storage],
    input_shape: tuple[int, ...],
    sparsity: Mapping[str, float],
) -> NetworkProfile:
    """Profile a traced network whose layers are stored in given ways.

    Activations are taken to be stored in the bits that the next convolution or linear layer reads, the
    network's output as float32. An activation function that is no clamp is a look-up in 256 bytes where the
    activations it writes are integers of at most 8 bits, and arithmetic otherwise. Normalisation folds into
    the layer before it: into the weights of a float one, into the requantisation of the sums of an integer
    one, which costs an operation per output.

    Args:
        steps: Of `trace`.
        storages: Storage by layer name; layers that are not named are float32.
        input_shape: Shape of one input without the batch dimension.
        sparsity: Share of zero weights by layer name, 0 for layers that are not named. Zeros are stored
            like other weights.
    """
    layers: list[LayerProfile] = []
    last: int | None = None
    for step in steps:
        if step.kind in ("conv", "linear"):
            last = len(layers)
            layers.append(_weighted(step, storages.get(step.name, FLOAT), sparsity.get(step.name, 0.0)))
        elif step.kind == "norm":
            folds = last is None or layers[last].arithmetic == "float"
            if last is not None and not folds:
                layers[last] = dataclasses.replace(layers[last], ops=layers[last].ops + math.prod(step.output_shape))
            # A float neighbour keeps only a bias; a requantisation has a scale and a bias per channel.
            layers.append(_elementwise(step, 0, (1 if folds else 2) * _BIAS_BYTES * step.output_shape[0]))
        else:
            ops = {"pool": math.prod(step.input_shape), "add": math.prod(step.output_shape)}.get(step.kind, 0)
            layers.append(_elementwise(step, ops, 0))
    stored = _as_stored(layers)
    return NetworkProfile(tuple(_activated(*pair) for pair in zip(stored, steps, strict=True)), input_shape)


def choose_activations(steps: tuple[Step, ...], choices: Mapping[str, Activation]) -> tuple[Step, ...]:
    """Return the steps of a traced network with other activation functions.

    Args:
        steps: Of `trace`.
        choices: Function by name of the module.
    """
    return tuple(dataclasses.replace(s, activation=choices[s.name]) if s.name in choices else s for s in steps)


def _activated(layer: LayerProfile, step: Step) -> LayerProfile:
    """Count what an activation function costs, now that it is known what it computes on."""
    if step.activation is None or operations_of(step.activation) == 0:
        return layer
    values = math.prod(step.output_shape)
    if layer.arithmetic == "int" and layer.act_bits <= _BYTE_BITS:
        return dataclasses.replace(layer, ops=values, parameter_bytes=2**_BYTE_BITS, fused=False)
    ops, scales = values * operations_of(step.activation), scale_count(step.activation)
    return dataclasses.replace(layer, ops=ops, parameter_bytes=_SCALE_BYTES * scales, fused=False)


def _elementwise(step: Step, ops: int, parameter_bytes: int) -> LayerProfile:
    shapes = step.input_shape, step.output_shape
    return LayerProfile(
        step.name,
        "elementwise",
        "float",
        *shapes,
        0,
        ops=ops,
        parameter_bytes=parameter_bytes,
        fused=step.kind in ("norm", "fused"),
        activation=None if step.activation is None else step.activation.name,
    )


def _weighted(step: Step, storage: Storage, sparsity: float) -> LayerProfile:
    outputs = step.output_shape[0] if step.kind == "conv" else step.output_shape[-1]
    positions = math.prod(step.output_shape) // outputs
    scale_bytes = storage.scale_bytes * (outputs if storage.per_channel else 1)
    bias_bytes = _BIAS_BYTES * outputs if step.bias else 0
    return LayerProfile(
        step.name,
        "conv" if step.kind == "conv" else "linear",
        storage.arithmetic,
        step.input_shape,
        step.output_shape,
        positions * step.weights * storage.terms,
        weights=step.weights,
        weight_bits=storage.weight_bits,
        act_bits=storage.act_bits,
        parameter_bytes=math.ceil(step.weights * storage.weight_bits / 8) + bias_bytes + scale_bytes,
        weight_levels=storage.weight_levels,
        groups=step.groups,
        sparsity=sparsity,
    )


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
            # The map in front of a sign is needed in full by the shortcut around it: it is kept in bytes.
            bits = _BYTE_BITS if layer.arithmetic == "binary" else layer.act_bits
            integers = layer.arithmetic != "float"
    return tuple(reversed(result))
