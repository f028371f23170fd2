"""Operations as they are found in a trace, one node after the other."""

from typing import NoReturn, TypeVar

import torch
from torch import Tensor, fx, nn

from greenshift.compress.sign import Sign
from greenshift.deploy.network import Shape
from greenshift.deploy.packing.calls import Call, read_call
from greenshift.deploy.packing.layers import input_rounding
from greenshift.deploy.packing.operations import UNBOUNDED, Operation, Rounding, Source, Weighted
from greenshift.errors import InputError

Op = TypeVar("Op", bound=Operation)
Operations = dict[str, Operation]


class Builder:
    """The operations so far, and which of them gives the value of which node."""

    def __init__(self, modules: dict[str, nn.Module]) -> None:
        self.modules = modules
        self.operations: Operations = {}
        self.names: dict[fx.Node, str] = {}  # the operation that gives a node's value
        self.vanished: dict[fx.Node, fx.Node] = {}  # nodes that only pass another one's value on

    def take_input(self, node: fx.Node) -> None:
        """Add the model's input."""
        if self.operations:
            raise InputError(f"pack: the model has a second input, {node.name}; a packed network has one")
        self._add(Source(node.name, (), map_shape(node.meta["shape"]), node.name), node)

    def read(self, node: fx.Node) -> Call:
        """Say what a node calls.

        Raises:
            InputError: If it computes with a constant tensor.
        """
        call = read_call(node, self.modules)
        if not call.inputs or any(source not in self.names for source in call.inputs):
            self.refuse(call, "computes with a constant tensor")
        return call

    def overwrite(self, call: Call) -> None:
        """Let those who read the input of a call in place from now on read what it gives."""
        self.names[call.inputs[0]] = self.names[call.node]

    def finish(self, output: fx.Node) -> Operations:
        """Return the operations that the model's output needs.

        Raises:
            InputError: If the model does not return one tensor of logits.
        """
        result = output.args[0]
        if not isinstance(result, fx.Node) or result not in self.names:
            raise InputError("pack: the model must return one tensor of logits; wrap it in a module that does")
        last = self.operations[self.names[result]]
        if last.shape[:2] != (1, 1):
            raise InputError(f"pack: the model returns a map of {last.shape} instead of logits; end it with a pooling")
        logits = isinstance(last, Weighted) and last.clamp == UNBOUNDED and self._exclusive(result)
        if not logits:  # only a layer with weights gives floats
            self._add(copying(f"{last.name}.logits", last, "output"), None)
        return _reachable(self.operations)

    def source(self, call: Call) -> Operation:
        """Return the operation that a call reads first."""
        return self.operations[self.names[call.inputs[0]]]

    def fusable(self, call: Call, *kinds: type[Op]) -> Op | None:
        """Return the operation before, if it is of these kinds and nobody else reads it."""
        source = self.source(call)
        return source if isinstance(source, kinds) and self._exclusive(call.inputs[0]) else None

    def put(self, call: Call, operation: Operation) -> None:
        """Add an operation that gives the value of a call, or replace the one of its name."""
        self._add(operation, call.node)

    def pass_on(self, call: Call) -> None:
        """Note that a call changes no value."""
        self.vanished[call.node] = call.inputs[0]
        self.names[call.node] = self.names[call.inputs[0]]

    def name(self, call: Call) -> str:
        """Return a name for a new operation: the module's, if it is its first one."""
        name = str(call.node.target) if call.module is not None else call.node.name
        same = sum(known == name or known.startswith(f"{name}:") for known in self.operations)
        return f"{name}:{same + 1}" if same else name

    def _add(self, operation: Operation, node: fx.Node | None) -> None:
        self.operations[operation.name] = operation
        if node is not None:
            self.names[node] = operation.name

    def _exclusive(self, node: fx.Node) -> bool:
        while len(node.users) == 1:
            if node not in self.vanished:
                return True
            node = self.vanished[node]
        return False

    def rounded(self, source: Operation, layer: nn.Conv2d | nn.Linear, name: str) -> str:
        """Return the name of the rounding of a layer's input, or of the source if the layer rounds nothing."""
        found = input_rounding(layer)
        if found is None:
            return source.name
        key, function, bounds = found
        place = (f"{source.name}.{key or name}", (source.name,), source.shape, source.node)
        rounding = Rounding(*place, function, bounds, isinstance(function, Sign))
        self.operations.setdefault(rounding.name, rounding)
        return rounding.name

    def refuse(self, call: Call, why: str) -> NoReturn:
        """Say that a layer cannot be packed, and what to do."""
        raise InputError(f"pack: {call.label} {why}; replace it in the model, or keep this model unpacked")


def map_shape(shape: tuple[int, ...]) -> Shape:
    """Return height, width, channels of a value (N, C, H, W) or (N, C)."""
    return (shape[2], shape[3], shape[1]) if len(shape) == 4 else (1, 1, shape[1])


def copying(name: str, source: Operation, node: str) -> Weighted:
    """Return a layer that multiplies every channel by one."""
    channels = source.shape[2]
    layer = nn.Conv2d(channels, channels, 1, groups=channels, bias=False)
    nn.init.ones_(layer.weight)
    return Weighted(name, (source.name,), source.shape, node, layer, *no_change(channels))


def no_change(channels: int) -> tuple[Tensor, Tensor]:
    """Return the scale and shift of a layer without batch norm."""
    return torch.ones(channels, dtype=torch.float64), torch.zeros(channels, dtype=torch.float64)


def _reachable(operations: Operations) -> Operations:
    """Leave out what does not reach the last operation."""
    needed = {next(reversed(operations))}
    for name, operation in reversed(operations.items()):
        if name in needed:
            needed.update(operation.sources)
    return {name: operation for name, operation in operations.items() if name in needed}
