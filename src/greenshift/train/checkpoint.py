"""Weights, optimizer state and learning curve in one safetensors file: no pickle, written in one move."""

import dataclasses
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from greenshift.errors import InputError
from greenshift.records import EpochMetrics


def write_tensors(path: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Write a safetensors file so that a reader sees the old file or the new one, never a part.

    Args:
        path: The file; its folder must exist.
        tensors: Named tensors.
        metadata: Texts stored in the header.
    """
    part = path.with_name(path.name + ".part")
    save_file({name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()}, part, metadata)
    os.replace(part, path)


def read_tensors(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read all tensors and the metadata of a safetensors file.

    Raises:
        InputError: If the file is missing, truncated or no safetensors file.
    """
    with _opened(path) as file:
        return {name: file.get_tensor(name) for name in file.keys()}, file.metadata() or {}  # noqa: SIM118


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        with safe_open(path, "pt") as file:
            yield file
    except (OSError, SafetensorError) as error:
        raise InputError(f"{path}: cannot be read as safetensors: {error}") from error


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, curve: tuple[EpochMetrics, ...]
) -> None:
    """Save what a training needs to go on.

    Args:
        path: The file to write or replace.
        model: The network.
        optimizer: Its optimizer.
        curve: Learning curve so far.
    """
    tensors = {f"model.{name}": tensor.clone() for name, tensor in model.state_dict().items()}
    state = optimizer.state_dict()
    scalars: dict[str, dict[str, Any]] = {}
    for index, values in state["state"].items():
        for key, value in values.items():
            if isinstance(value, Tensor):
                tensors[f"optimizer.{index}.{key}"] = value.clone()
            else:
                scalars.setdefault(str(index), {})[key] = value
    metadata = {
        "scalars": json.dumps(scalars),
        "groups": json.dumps(state["param_groups"]),
        "curve": json.dumps([dataclasses.asdict(epoch) for epoch in curve]),
    }
    write_tensors(path, tensors, metadata)


def trained_epochs(path: Path | None) -> int:
    """Return how many epochs a checkpoint has, 0 if there is none; reads its header alone.

    Raises:
        InputError: If the file is damaged.
    """
    if path is None or not path.exists():
        return 0
    with _opened(path) as file:
        return len(json.loads(file.metadata()["curve"]))


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer) -> tuple[EpochMetrics, ...]:
    """Restore a training in place.

    Args:
        path: File of `save_checkpoint`.
        model: Network of the same design.
        optimizer: Optimizer built in the same way.

    Returns:
        The learning curve so far.

    Raises:
        InputError: If the file is damaged or belongs to another design.
    """
    tensors, metadata = read_tensors(path)
    state: dict[int, dict[str, Any]] = {}
    weights: dict[str, Tensor] = {}
    for name, tensor in tensors.items():
        kind, rest = name.split(".", 1)
        if kind == "model":
            weights[rest] = tensor
        else:
            index, key = rest.split(".", 1)
            state.setdefault(int(index), {})[key] = tensor
    for index, values in json.loads(metadata["scalars"]).items():
        state.setdefault(int(index), {}).update(values)
    try:
        model.load_state_dict(weights)
        optimizer.load_state_dict({"state": state, "param_groups": json.loads(metadata["groups"])})
    except (RuntimeError, ValueError) as error:
        problem = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: checkpoint of another design: {problem}") from error
    # The fused optimizers walk a parameter and its state side by side through memory, so that state in
    # another memory layout (channels_last is lost in the file) would silently go to the wrong weights.
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[key] = torch.empty_like(parameter, dtype=value.dtype).copy_(value)
    return tuple(EpochMetrics(**epoch) for epoch in json.loads(metadata["curve"]))
