"""Steps of a network as short JSON objects and a few flat arrays: the content of a packed file.

What follows from other values is left out: shapes after the input, the grids of steps that keep their source's, and
every value that is the usual one. Weights, biases, multipliers and tables stand in one array each, in the order of the
steps.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenshift.deploy.codes import pack_multipliers, pack_weights
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
)

Array = NDArray[Any]
ARRAYS: dict[str, np.dtype[Any]] = {
    "codes": np.dtype(np.uint8),
    "biases": np.dtype(np.int32),
    "multipliers": np.dtype(np.float16),
    "tables": np.dtype(np.uint8),
}

_KINDS: dict[type, str] = {
    Input: "input",
    Convolution: "conv",
    Addition: "add",
    MaxPooling: "max_pool",
    AveragePooling: "average_pool",
    Lookup: "lookup",
    Subsampling: "subsample",
    Concatenation: "concat",
}
_USUAL: dict[str, Any] = {"zero": 0, "stride": 1, "padding": 0, "groups": 1, "low": 0, "high": 255, "before": 0}


def step_kind(step: Step) -> str:
    """Return the word for the kind of a step, such as `conv` or `add`."""
    return _KINDS[type(step)]


def encode_steps(network: Network) -> tuple[list[dict[str, Any]], dict[str, Array]]:
    """Return the steps of a valid network as JSON objects, and the arrays that go with them."""
    parts: dict[str, list[Array]] = {name: [] for name in ARRAYS}
    entries = []
    for index, step in enumerate(network.steps):
        entry = {"name": step.name, "kind": step_kind(step), "sources": list(step.sources), **_encode(step, parts)}
        usual = {"sources": [index - 1] if index else [], **_USUAL}
        entries.append({key: value for key, value in entry.items() if key not in usual or usual[key] != value})
    joined = {
        name: np.concatenate([np.zeros(0, dtype), *(part.reshape(-1) for part in parts[name])])
        for name, dtype in ARRAYS.items()
    }
    return entries, joined


def _encode(step: Step, parts: Mapping[str, list[Array]]) -> dict[str, Any]:
    match step:
        case Input():
            parts["tables"].append(step.table)
            return {"shape": list(step.shape), **_grid_json(step.grid)}
        case Convolution():
            halves, scale = pack_multipliers(step.multiplier)
            parts["codes"].append(pack_weights(step.weight, step.storage))
            parts["biases"].append(step.bias)
            parts["multipliers"].append(halves)
            return {
                "storage": step.storage.name,
                "outputs": len(step.bias),
                **_window_json(step.kernel, step.stride, step.padding),
                "groups": step.groups,
                "scale": scale,
                **({} if step.grid is None else _grid_json(step.grid)),
                "low": step.low,
                "high": step.high,
            }
        case Addition():
            return {**_grid_json(step.grid), "low": step.low, "high": step.high}
        case MaxPooling():
            return _window_json(step.kernel, step.stride, step.padding)
        case AveragePooling():
            return {**_window_json(step.kernel, step.stride, (0, 0, 0, 0)), **_grid_json(step.grid)}
        case Lookup():
            parts["tables"].append(step.table)
            return _grid_json(step.grid)
        case Subsampling():
            return {"stride": step.stride, "before": step.before, "channels": step.shape[2]}
        case Concatenation():
            return {}


def _grid_json(grid: Grid) -> dict[str, int]:
    return {"exponent": grid.exponent, "zero": grid.zero}


def _window_json(kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> dict[str, Any]:
    return {"kernel": _short(kernel), "stride": _short(stride), "padding": _short(padding)}


def _short(values: Sequence[int]) -> int | list[int]:
    return values[0] if len(set(values)) == 1 else list(values)
