"""Every step of a network as a C descriptor, and the line that computes one of its rows."""

from collections.abc import Callable
from typing import Any

from greenshift.deploy.c_export import requantise, weights
from greenshift.deploy.c_export.rows import Plan, is_whole_mean
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
from greenshift.errors import InputError

_MOST_SHIFT = 15
_MOST_PATCH_BYTES = 1 << 16


def grid_of(step: Step) -> Grid:
    """Return the grid of a step that gives bytes."""
    if step.grid is None:
        raise InputError(f"layer '{step.name}' gives floats and is not the last step; pack the network again")
    return step.grid


def maps(network: Network, plan: Plan) -> str:
    """Descriptors of all maps."""
    lines = [
        f"    {{{ring.offset}, {ring.depth}, {ring.row_bytes}, {step.shape[0]}, {step.shape[1]}, {ring.pixel_bytes}, "
        f"{0 if index in plan.signs else grid_of(step).zero}}}, /* {index}: {_comment(step.name)} */"
        for index, (step, ring) in enumerate(zip(network.steps, plan.rings, strict=False))
    ]
    return "\n".join(["", "static const map maps[] = {", *lines, "};", ""])


def _comment(text: str) -> str:
    return "".join(letter if letter.isalnum() or letter in " ._-" else "_" for letter in text)


def convolution(network: Network, index: int, code: weights.Code, plan: Plan) -> str:
    """Descriptor of a convolution, with the integers of its requantisation."""
    layer = network.steps[index]
    assert isinstance(layer, Convolution)
    source = network.steps[layer.sources[0]]
    signs = plan.signs.get(layer.sources[0])
    # Bits are counted from zero on, not from the byte that stands for it.
    numbers = requantise.channels(layer, Grid(grid_of(source).exponent) if signs else grid_of(source))
    rows = zip(
        *(getattr(numbers, name).tolist() for name in ("bias", "low_at", "high_at", "multiplier", "shift", "align")),
        strict=True,
    )
    last = layer.grid is None
    if patch_bytes(layer, plan) >= _MOST_PATCH_BYTES:
        raise InputError(
            f"layer '{layer.name}': {patch_bytes(layer, plan)} inputs per output, C code holds fewer than "
            f"{_MOST_PATCH_BYTES}; pool before it"
        )
    fields = (
        f"&maps[{layer.sources[0]}]",
        "0" if last else f"&maps[{index}]",
        code.function,
        code.weights,
        f"channels_{index}",
        *(layer.shape[2], layer.groups, patch_bytes(layer, plan), layer.kernel[0] * layer.kernel[1]),
        *(*layer.kernel, signs.unit if signs else code.levels),
        *(*layer.stride, layer.padding[0], layer.padding[1], layer.low, layer.high),
        int(is_direct(layer, source, plan)),
    )
    channels = [f"{{{', '.join(map(str, row))}}}" for row in rows]
    return weights.array("channel", f"channels_{index}", channels) + (
        f"\nstatic const convolution step_{index} = {{{', '.join(map(str, fields))}}};\n"
    )


def patch_bytes(layer: Convolution, plan: Plan) -> int:
    """Bytes under the kernel at one position."""
    return layer.kernel[0] * layer.kernel[1] * plan.rings[layer.sources[0]].pixel_bytes


def is_direct(layer: Convolution, source: Step, plan: Plan) -> bool:
    """Say whether the bytes under the kernel lie side by side in the map, so that they need not be gathered."""
    if any(layer.padding) or layer.sources[0] in plan.signs:  # bits are read as words
        return False
    ring = plan.rings[layer.sources[0]]
    whole = ring.row_bytes == layer.kernel[1] * ring.pixel_bytes and ring.depth == source.shape[0]
    return layer.kernel[0] == 1 or (whole and layer.kernel[1] == source.shape[1])


def _input(step: Input, _index: int, _network: Network) -> str:
    return weights.array("uint8_t", "input_table", step.table.ravel().tolist())


def _addition(step: Addition, index: int, network: Network) -> str:
    grids = [grid_of(network.steps[source]) for source in step.sources]
    # One doubling keeps a bit below the byte's even where nothing is rounded.
    lowest = min(step.grid.exponent, *(grid.exponent for grid in grids)) - 1
    shifts = [grid.exponent - lowest for grid in (*grids, step.grid)]
    if max(shifts) > _MOST_SHIFT:
        raise InputError(
            f"step '{step.name}': activation steps differ by more than 2^{_MOST_SHIFT - 1}; calibrate the network again"
        )
    sources = ", ".join(f"&maps[{source}]" for source in step.sources)
    numbers = ", ".join(map(str, (*shifts, step.low, step.high)))
    return f"\nstatic const addition step_{index} = {{{sources}, &maps[{index}], {numbers}}};\n"


def _pooling(step: MaxPooling | AveragePooling, index: int, network: Network) -> str:
    padding, multiplier, shift = (0, 0), 0, 0
    if isinstance(step, MaxPooling):
        padding = step.padding[:2]
    else:
        factor = average_multiplier(step, grid_of(network.steps[step.sources[0]]))
        multiplier, shift = requantise.split(float(factor), step.name, bits=25)
    totals = f"totals_{index}" if is_whole_mean(step) else "0"
    numbers = ", ".join(map(str, (*step.kernel, *step.stride, *padding, multiplier, shift, totals)))
    memory = f"\nstatic int32_t {totals}[{step.shape[2]}];\n" if is_whole_mean(step) else ""
    return f"{memory}\nstatic const pooling step_{index} = {{&maps[{step.sources[0]}], &maps[{index}], {numbers}}};\n"


def _lookup(step: Lookup, index: int, _network: Network) -> str:
    return weights.array("uint8_t", f"step_{index}", step.table.tolist())


def _nothing(_step: Step, _index: int, _network: Network) -> str:
    return ""


_DESCRIBE: dict[type, Callable[[Any, int, Network], str]] = {
    Input: _input,
    Addition: _addition,
    MaxPooling: _pooling,
    AveragePooling: _pooling,
    Lookup: _lookup,
    Subsampling: _nothing,
    Concatenation: _nothing,
}


def descriptor(network: Network, index: int) -> str:
    """Descriptor of a step that is no convolution; empty if it needs none."""
    step = network.steps[index]
    return _DESCRIBE[type(step)](step, index, network)


def _concatenation(step: Concatenation, index: int, network: Network) -> list[str]:
    calls, before = [], 0
    for source in step.sources:
        calls.append(f"place(&maps[{source}], &maps[{index}], row, 1, {before});")
        before += network.steps[source].shape[2]
    return calls


def row_code(network: Network, index: int, plan: Plan) -> list[str]:
    """C statements that compute row `row` of a step, and set it to -1 if more turns are needed."""
    step = network.steps[index]
    if index in plan.signs:
        return [f"sign_row(&maps[{step.sources[0]}], &maps[{index}], {plan.signs[index].threshold}, row);"]
    match step:
        case Input():
            return ["input_row(image, row);"]
        case Convolution(grid=None):
            return [f"logits_of(&step_{index}, logits);"]
        case Convolution():
            return [f"convolution_row(&step_{index}, row);"]
        case Addition():
            return [f"addition_row(&step_{index}, row);"]
        case MaxPooling():
            return [f"max_pooling_row(&step_{index}, row);"]
        case AveragePooling() if is_whole_mean(step):
            return [f"row = mean_turn(&step_{index}, row);"]
        case AveragePooling():
            return [f"average_pooling_row(&step_{index}, row);"]
        case Lookup():
            return [f"lookup_row(&maps[{step.sources[0]}], &maps[{index}], step_{index}, row);"]
        case Subsampling():
            clear = f"fill(row_of(&maps[{index}], row), {step.shape[1] * step.shape[2]}, {step.grid.zero});"
            return [clear, f"place(&maps[{step.sources[0]}], &maps[{index}], row, {step.stride}, {step.before});"]
        case Concatenation():
            return _concatenation(step, index, network)
