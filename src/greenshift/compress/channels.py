"""Remove whole channels from a float network, so that its tensors become smaller.

Layers whose channels depend on each other form a group and lose the same ones: a convolution with its norm and all
that read it, the summands of a residual sum, a depthwise convolution with the layer before it (Fang et al.,
"DepGraph: Towards Any Structural Pruning", CVPR 2023; the graph and the cutting are those of Torch-Pruning). How many
channels a group loses follows from the shapes alone, which ones from the weights.
"""

import bisect
import contextlib
import copy
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, cast

import torch
import torch_pruning
from torch import Tensor, nn

from greenshift.compress.convert import weighted_layers
from greenshift.compress.handlers import MASK
from greenshift.compress.profiling import profile
from greenshift.compress.prune import kept_whole
from greenshift.design import Pruning
from greenshift.errors import InputError

CHANNEL_STEP = 4  # counts stay multiples of it, and no group gets smaller: as models.layers.scaled rounds widths
_TOLERANCE, _SMALLEST = 0.01, 1e-12  # of the largest output: sums are rounded in another order
_CUT_TOGETHER = (nn.Conv2d, nn.Linear, nn.BatchNorm1d, nn.BatchNorm2d)


@dataclass(frozen=True)
class _Group:
    """Channels that can only go together.

    Attributes:
        root: The layer that makes them; its outputs number the channels.
        members: All that is cut with it, as Torch-Pruning lists it for all channels.
        size: Number of channels.
        outputs: Names of the layers that lose one output for each.
        inputs: Number of inputs for each channel, by the name of a layer that reads them.
    """

    root: nn.Module
    members: Any
    size: int
    outputs: tuple[str, ...]
    inputs: dict[str, int]


def channel_counts(
    model: nn.Module, pruning: Pruning, input_shape: tuple[int, ...], shares: Sequence[float]
) -> list[tuple[int, ...]]:
    """Return how many channels every group of a whole network keeps at some shares, as `prune_channels` chooses them.

    Args:
        model: Float network on the CPU, which is left as it is.
        pruning: What is cut, with the pattern `channels`.
        input_shape: Shape of one input without the batch dimension.
        shares: Shares of the multiply-accumulates that are to go, in place of the pruning's.

    Raises:
        InputError: As `prune_channels`.
    """
    _check_plain(model, pruning)
    with _evaluating(model):
        graph = _dependencies(model, _example(input_shape))
        groups = _groups(model, graph, pruning)
        return [tuple(_plan(model, groups, share, input_shape)) for share in shares]


def prune_channels(
    model: nn.Module, pruning: Pruning, input_shape: tuple[int, ...], kept: Sequence[int] | None = None
) -> dict[str, tuple[int, ...]]:
    """Remove channels until the wanted share of the multiply-accumulates is gone.

    The removed channels of a group stand to those it keeps as the side of the maps that it makes, the square root of
    how often one of its weights is used, times a factor: multiply-accumulates go mainly where few weights make them.
    So early layers lose more, as Li et al. chose by hand (ICLR 2017, section 4.2). Counts are rounded up to
    multiples of 4, and the factor is the smallest at which enough is gone, found by bisection; groups get 4 channels
    back, from the network's end on, where there is room.
    The channels that go are those of smallest L2 norm over all convolutions, linear layers and norms of the group
    (Fang et al., 2023), ranked before anything is cut. Left whole are the network's outputs, channels that are padded
    with others on their way into a sum (the option-A shortcuts of residual networks: only the channels inside of
    their blocks are cut), convolutions in groups other than depthwise ones, and groups of 4 channels or fewer.

    Args:
        model: Float network on the CPU; changed in place, its mode is kept.
        pruning: The share, with the pattern `channels`.
        input_shape: Shape of one input without the batch dimension.
        kept: How many channels every group keeps instead, of a network that may have lost some already.

    Returns:
        The outputs that every cut layer has lost, in ascending order, by its name.

    Raises:
        InputError: If the pattern is another one, a layer is converted or masked, the dependencies cannot be
            traced, so much cannot be removed, or the cut network computes something else than the whole one
            with zeros for the weights that read the removed channels.
    """
    _check_plain(model, pruning)
    example = _example(input_shape)
    with _evaluating(model):
        graph = _dependencies(model, example)
        groups = _groups(model, graph, pruning)
        kept = kept or _plan(model, groups, pruning.sparsity, input_shape)
        scores = torch_pruning.importance.GroupMagnitudeImportance(p=2, normalizer=None)
        orders = [scores(group.members).argsort(stable=True).tolist() for group in groups]
        removed = [sorted(order[: group.size - left]) for group, order, left in zip(groups, orders, kept, strict=True)]
        cuts = [(group, channels) for group, channels in zip(groups, removed, strict=True) if channels]
        wanted = _without_reading(model, graph, cuts, example)
        for group, channels in cuts:
            # Asked for anew: a cut before moves the places of later channels in a concatenation.
            _coupled(graph, group.root, channels).prune()
        _check_same(model, example, wanted)
    return {name: tuple(channels) for group, channels in cuts for name in group.outputs}


def _example(input_shape: tuple[int, ...]) -> Tensor:
    return torch.randn(2, *input_shape, generator=torch.Generator().manual_seed(0))


def _check_plain(model: nn.Module, pruning: Pruning) -> None:
    """Refuse what keeps numbers for each channel beside its weights: a cut would leave them behind."""
    if pruning.pattern != "channels":
        raise InputError(f"prune: the pattern '{pruning.pattern}' is for prune, which masks weights; choose 'channels'")
    layers = weighted_layers(model)
    if not layers:
        raise InputError("prune: there is no convolution or linear layer to remove channels of; name another network")
    for name, layer in layers:
        if hasattr(layer, "scheme"):
            raise InputError(f"prune: {name} has a scheme already; remove channels before the conversion")
        if hasattr(layer, MASK):
            raise InputError(f"prune: {name} has a mask, whose places a cut would move; remove channels first")


@contextlib.contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    try:
        yield
    finally:
        model.train(training)


def _dependencies(model: nn.Module, example: Tensor) -> Any:
    model.eval()  # the trace runs the network, which must not move its running statistics
    try:
        with torch.enable_grad():
            return torch_pruning.DependencyGraph().build_dependency(model, example, verbose=False)
    except Exception as error:  # a library's tracer may fail on any network in any way
        text = str(error).splitlines()[:1] or [type(error).__name__]
        raise InputError(f"prune: the network's channels cannot be traced: {text[0]}; prune unstructured") from error


def _coupled(graph: Any, layer: nn.Module, channels: list[int]) -> Any:
    """All that goes with some outputs of a layer."""
    return graph.get_pruning_group(layer, graph.get_pruner_of_module(layer).prune_out_channels, channels)


def _groups(model: nn.Module, graph: Any, pruning: Pruning) -> list[_Group]:
    """The groups that can be cut, in the order in which their first layers are registered."""
    layers = weighted_layers(model)
    whole = {id(layer) for layer in kept_whole(model, pruning)}
    names = {id(layer): name for name, layer in layers}
    groups, seen = [], set()
    for _, layer in layers:
        if layer not in graph.module2node or id(layer) in seen:
            continue
        size = graph.get_out_channels(layer)
        members = _coupled(graph, layer, list(range(size)))
        outputs, inputs = [], {}
        for dependency, channels in members:
            target = dependency.target.module
            if id(target) not in names:
                continue
            if graph.is_out_channel_pruning_fn(dependency.handler):
                seen.add(id(target))
                outputs.append(names[id(target)])
            else:
                inputs[names[id(target)]] = len(channels) // size
        cuttable = all(_can_be_cut(graph, dependency, channels, size) for dependency, channels in members)
        if cuttable and not any(id(dependency.target.module) in whole for dependency, _ in members):
            groups.append(_Group(layer, members, size, tuple(outputs), inputs))
    return groups


def _can_be_cut(graph: Any, dependency: Any, channels: list[int], size: int) -> bool:
    node = dependency.target
    if isinstance(node.module, nn.Conv2d) and node.module.groups > 1 and not _is_depthwise(node.module):
        return False
    known = isinstance(node.module, _CUT_TOGETHER)
    if not known and (isinstance(node.module, nn.Parameter) or any(True for _ in node.module.parameters())):
        return False
    if not graph.is_out_channel_pruning_fn(dependency.handler):
        return len(channels) % size == 0
    # A layer that makes more or fewer channels than the others: some were padded on the way.
    makes = isinstance(node.module, nn.Conv2d | nn.Linear)
    complete = not makes or len(channels) == graph.get_out_channels(node) == size
    return complete and bool(node.outputs)


def _is_depthwise(layer: nn.Module) -> bool:
    return isinstance(layer, nn.Conv2d) and 1 < layer.groups == layer.in_channels == layer.out_channels


def _plan(model: nn.Module, groups: list[_Group], sparsity: float, input_shape: tuple[int, ...]) -> list[int]:
    """How many channels every group keeps, from shapes alone."""
    macs = _Macs(model, input_shape)
    steps = []
    for index, group in enumerate(groups):
        lefts, side = range(CHANNEL_STEP, group.size, CHANNEL_STEP), macs.side(group)
        steps += [((group.size / left - 1) / side, index, left) for left in lefts]
    steps.sort()  # no group gets channels back along the steps, so the multiply-accumulates fall

    def kept(count: int) -> list[int]:
        left = [group.size for group in groups]
        for _, index, channels in steps[:count]:
            left[index] = channels
        return left

    limit = (1 - sparsity) * macs.after(groups, kept(0))
    count = bisect.bisect_left(range(len(steps) + 1), -limit, key=lambda n: -macs.after(groups, kept(n)))
    if count > len(steps):
        most = 1 - macs.after(groups, kept(len(steps))) / macs.after(groups, kept(0))
        raise InputError(
            f"prune: removing channels can save at most {most:.1%} of the multiply-accumulates of this network "
            f"({len(groups)} groups can be cut, to {CHANNEL_STEP} channels each), not {sparsity:.1%}; ask for less"
        )
    return _fill_up(groups, kept(count), lambda left: macs.after(groups, left) <= limit)


def _fill_up(groups: list[_Group], kept: list[int], fits: Callable[[list[int]], bool]) -> list[int]:
    """Give groups back one step of channels each, from the network's end on, where they still fit."""
    for index, group in reversed(list(enumerate(groups))):
        more = list(kept)
        more[index] = min(group.size, kept[index] + CHANNEL_STEP)
        kept = more if fits(more) else kept
    return kept


class _Macs:
    """Multiply-accumulates of a network by how many channels its groups keep."""

    def __init__(self, model: nn.Module, input_shape: tuple[int, ...]) -> None:
        self.layers = cast("dict[str, nn.Conv2d | nn.Linear]", dict(weighted_layers(model)))
        self.whole = dict.fromkeys(self.layers, 0)
        for layer in profile(model, input_shape).layers:
            if layer.name in self.whole:
                self.whole[layer.name] += layer.macs

    def side(self, group: _Group) -> float:
        """Side of the maps that a group makes: the root of the multiply-accumulates of each of its weights."""
        weights = sum(self.layers[name].weight.numel() for name in group.outputs)
        return math.sqrt(sum(self.whole[name] for name in group.outputs) / weights)

    def after(self, groups: list[_Group], kept: list[int]) -> int:
        """Count what is left; convolutions and linear layers cost inputs times outputs, depthwise ones outputs."""
        lost_inputs, lost_outputs = dict.fromkeys(self.layers, 0), dict.fromkeys(self.layers, 0)
        for group, left in zip(groups, kept, strict=True):
            for name in group.outputs:
                lost_outputs[name] += group.size - left
            for name, each in group.inputs.items():
                lost_inputs[name] += each * (group.size - left)
        total = 0
        for name, layer in self.layers.items():
            outputs, inputs = layer.weight.shape[:2]
            inputs_left = inputs if _is_depthwise(layer) else inputs - lost_inputs[name]
            total += self.whole[name] * (outputs - lost_outputs[name]) * inputs_left // (outputs * inputs)
        return total


def _without_reading(model: nn.Module, graph: Any, cuts: list[tuple[_Group, list[int]]], example: Tensor) -> Tensor:
    """What the whole network computes if nobody reads the channels that are to go."""
    whole = copy.deepcopy(model)
    twins = dict(zip(model.modules(), whole.modules(), strict=True))
    with torch.no_grad():
        for group, channels in cuts:
            for dependency, places in _coupled(graph, group.root, channels):
                module = dependency.target.module
                reads = not graph.is_out_channel_pruning_fn(dependency.handler)
                if reads and isinstance(module, nn.Conv2d | nn.Linear):
                    cast("nn.Conv2d | nn.Linear", twins[module]).weight[:, places] = 0.0
        output: Tensor = whole(example)
        return output


def _check_same(model: nn.Module, example: Tensor, wanted: Tensor) -> None:
    """See that the trace understood the network: a channel that moves on a way it does not know is cut wrongly."""
    try:
        with torch.no_grad():
            found = model(example)
        worst = float((found - wanted).abs().max() / wanted.abs().max().clamp_min(_SMALLEST))
        problem = None if worst < _TOLERANCE else f"its outputs change by {worst:.0%}"
    except (RuntimeError, ValueError, TypeError) as error:
        problem = str(error).splitlines()[0]
    if problem is not None:
        raise InputError(f"prune: this network's channels cannot be followed ({problem}); prune unstructured")
