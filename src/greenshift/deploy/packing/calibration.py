"""Which grid every map gets: the power-of-two step with the least squared error on the calibration images."""

import dataclasses
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, fx

from greenshift.deploy.network import Grid
from greenshift.deploy.packing.operations import (
    UNBOUNDED,
    Clamp,
    Elementwise,
    Function,
    Join,
    Maximum,
    Operation,
    Rounding,
    Source,
    Subsample,
    Sum,
    Weighted,
    then_clamp,
)
from greenshift.deploy.packing.tracing import run

Operations = dict[str, Operation]

_BATCH = 64
# From the step that covers every value seen down to a 16th of it: what clips more is never the best.
_CANDIDATES = 5
# Addition is exact in float32 as long as the exponents of its maps are not further apart.
_MOST_APART = 14
# A layer's own rounding of its input is kept if its error has more than this share of the byte's mean square: in its
# mean, as rounding down has, which adds up over all inputs of a sum; or around its mean.
_NOTICEABLE_MEAN, _NOTICEABLE_SPREAD = 0.25, 2.0
_EXPONENT_OF_ZEROS = -7


@dataclass(frozen=True)
class Calibrated:
    """Operations of which each has a grid.

    Attributes:
        operations: Without the roundings that bytes do anyway; what is left of them are functions.
        grids: By name of the operation.
        outputs: What the model returned for the calibration images.
    """

    operations: Operations
    grids: dict[str, Grid]
    outputs: Tensor


class _Seen:
    """What was seen of one operation's values: range, squared error of each candidate, error of its own rounding."""

    def __init__(self) -> None:
        self.low = self.high = 0.0
        self.errors = [0.0] * _CANDIDATES
        self.count = 0
        self.rounding, self.squared_rounding = 0.0, 0.0

    def is_noticed(self, byte_error: float) -> bool:
        """Say whether its rounding can be seen beside that of bytes, given the sum of squares of theirs."""
        mean_part = self.rounding**2 / max(self.count, 1)
        spread = self.squared_rounding - mean_part
        return mean_part > _NOTICEABLE_MEAN * byte_error or spread > _NOTICEABLE_SPREAD * byte_error


def calibrate(graph: fx.GraphModule, operations: Operations, images: Tensor) -> Calibrated:
    """Run the model on images and choose a grid for every map.

    Args:
        graph: The traced model.
        operations: What `lowering.lower` made of it.
        images: Float (N, C, H, W), as the model expects them.
    """
    operations = _clamped_for_readers(operations)
    seen = {name: _Seen() for name in operations}
    for name, operation in operations.items():
        if isinstance(operation, Rounding) and operation.signs:  # both signs, even if the images show only one
            seen[name].low, seen[name].high = operation.bounds

    def measure_range(name: str, values: Tensor, _: Tensor | None) -> None:
        low, high = torch.aminmax(values)
        seen[name].low, seen[name].high = min(seen[name].low, float(low)), max(seen[name].high, float(high))

    outputs = _visit(graph, operations, images, measure_range)
    groups = _groups(operations)
    coarsest = {name: _covering([seen[member] for member in members]) for name, members in groups.items()}

    def measure_errors(name: str, values: Tensor, unrounded: Tensor | None) -> None:
        for index in range(_CANDIDATES):
            grid = dataclasses.replace(coarsest[name], exponent=coarsest[name].exponent - index)
            seen[name].errors[index] += _squared_error(values, grid)
        if unrounded is not None:
            change = (values - unrounded).double()
            seen[name].count += change.numel()
            seen[name].rounding += float(change.sum())
            seen[name].squared_rounding += float(change.square().sum())

    _visit(graph, operations, images, measure_errors)
    finer = {name: _best([seen[member] for member in members]) for name, members in groups.items()}
    exponents = {name: coarsest[name].exponent - finer[name] for name in operations}
    exponents = _close_enough(operations, groups, exponents)
    grids = {name: Grid(exponents[name], coarsest[name].zero) for name in operations}
    byte_errors = {name: seen[name].errors[finer[name]] for name in operations}
    return Calibrated(*_settled(operations, grids, seen, byte_errors), outputs)


def _visit(
    graph: fx.GraphModule, operations: Operations, images: Tensor, show: Callable[[str, Tensor, Tensor | None], None]
) -> Tensor:
    """Show the values of every operation, and for a rounding also what it rounds; return the model's outputs."""
    by_node: dict[str, list[Operation]] = {}
    roundings: dict[str, list[Rounding]] = {}
    for operation in operations.values():
        if isinstance(operation, Rounding):
            roundings.setdefault(operation.sources[0], []).append(operation)
        else:
            by_node.setdefault(operation.node, []).append(operation)

    def watch(node: fx.Node, value: Tensor) -> None:
        for operation in by_node.get(node.name, ()):
            values = value.clamp(*_clamp(operation))
            show(operation.name, values, None)
            for rounding in roundings.get(operation.name, ()):
                show(rounding.name, rounding.function(values.clone()), values)

    return torch.cat([run(graph, batch, watch) for batch in images.split(_BATCH)])


def _clamp(operation: Operation) -> Clamp:
    return operation.clamp if isinstance(operation, Source | Weighted | Sum | Elementwise) else UNBOUNDED


def _readers(operations: Operations, name: str) -> list[Operation]:
    return [operation for operation in operations.values() if name in operation.sources]


def _clamped_for_readers(operations: Operations) -> Operations:
    """Clamp what is read by roundings only to what they let through: its grid need not reach further."""
    clamped = {}
    for name, operation in operations.items():
        bounds = [r.bounds if isinstance(r, Rounding) else UNBOUNDED for r in _readers(operations, name)]
        hull = (min(low for low, _ in bounds), max(high for _, high in bounds)) if bounds else UNBOUNDED
        if hull != UNBOUNDED and isinstance(operation, Source | Weighted | Sum | Elementwise):
            operation = dataclasses.replace(operation, clamp=then_clamp(operation.clamp, hull))  # noqa: PLW2901
        clamped[name] = operation
    return clamped


def _groups(operations: Operations) -> dict[str, tuple[str, ...]]:
    """Return for every operation all those that have to be on its grid, itself included."""
    groups: dict[str, tuple[str, ...]] = {name: (name,) for name in operations}
    for name, operation in operations.items():
        if isinstance(operation, Maximum | Subsample | Join):
            joined = tuple(dict.fromkeys(member for n in (name, *operation.sources) for member in groups[n]))
            groups.update(dict.fromkeys(joined, joined))
    return groups


def _covering(seen: Sequence[_Seen]) -> Grid:
    """Return the finest grid on which nothing is clipped."""
    low, high = min(s.low for s in seen), max(s.high for s in seen)
    zero = 128 if low < 0 else 0
    step = max(-low / 128, high / (255 - zero))
    return Grid(math.ceil(math.log2(step)) if step > 0 else _EXPONENT_OF_ZEROS, zero)


def quantise(values: Tensor, grid: Grid) -> Tensor:
    """Return the bytes of values on a grid, as floats; ties go to even."""
    steps = values * 2.0**-grid.exponent
    return steps.round_().clamp_(-grid.zero, 255 - grid.zero).add_(grid.zero)


def _squared_error(values: Tensor, grid: Grid) -> float:
    rounded = quantise(values, grid).sub_(grid.zero).mul_(2.0**grid.exponent)
    return float(rounded.sub_(values).square_().sum(dtype=torch.float64))


def _best(seen: Sequence[_Seen]) -> int:
    """Return the candidate with the least error; the coarsest of equals, which clips least."""
    errors = [sum(s.errors[index] for s in seen) for index in range(_CANDIDATES)]
    return errors.index(min(errors))


def _close_enough(
    operations: Operations, groups: dict[str, tuple[str, ...]], exponents: dict[str, int]
) -> dict[str, int]:
    """Make the finest steps of an addition coarser where the sum would not be exact."""
    exponents = dict(exponents)
    sums = [operation for operation in operations.values() if isinstance(operation, Sum)]
    changed = True
    while changed:
        changed = False
        for operation in sums:
            maps = (operation.name, *operation.sources)
            lowest = max(exponents[name] for name in maps) - _MOST_APART
            for name in maps:
                if exponents[name] < lowest:
                    exponents.update(dict.fromkeys(groups[name], lowest))
                    changed = True
    return exponents


def _settled(
    operations: Operations, grids: dict[str, Grid], seen: dict[str, _Seen], byte_errors: dict[str, float]
) -> tuple[Operations, dict[str, Grid]]:
    """Drop the roundings that bytes do anyway and make the others functions, of the operation before if they can be."""
    kept, grids, instead = dict(operations), dict(grids), {}
    for name, operation in operations.items():
        if not isinstance(operation, Rounding):
            continue
        source = kept[operation.sources[0]]
        if not (operation.signs or seen[name].is_noticed(byte_errors[source.name])):
            instead[name] = source.name
            del kept[name]
        elif isinstance(source, Source | Elementwise) and len(_readers(operations, source.name)) == 1:
            function = _after(operation.function, source.clamp, source.function)
            kept[source.name] = dataclasses.replace(source, function=function, clamp=UNBOUNDED)
            grids[source.name] = grids[name]
            instead[name] = source.name
            del kept[name]
        else:
            kept[name] = Elementwise(name, operation.sources, operation.shape, operation.node, operation.function)
    for name, operation in kept.items():
        sources = tuple(instead.get(source, source) for source in operation.sources)
        kept[name] = dataclasses.replace(operation, sources=sources)
    return kept, {name: grids[name] for name in kept}


def _after(last: Function, clamp: Clamp, first: Function | None) -> Function:
    return lambda values: last((values if first is None else first(values)).clamp(*clamp))
