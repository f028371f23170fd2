"""A trained network as one safetensors file: weights, design and everything needed to use it."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from greenshift import __version__
from greenshift.data import Dataset
from greenshift.design import Design
from greenshift.errors import InputError
from greenshift.networks import ImageShape, build_network
from greenshift.train.checkpoint import read_tensors, write_tensors

FORMAT = 1


@dataclass(frozen=True)
class Artifact:
    """A trained network with its description.

    Attributes:
        model: The network, in evaluation mode.
        design: How it was built and trained.
        description: `data`, `classes`, `mean`, `std`, `shape`, and what the writer added.
    """

    model: nn.Module
    design: Design
    description: dict[str, Any]


def save_artifact(path: Path, model: nn.Module, design: Design, dataset: Dataset, extra: dict[str, Any]) -> None:
    """Write a trained network.

    Args:
        path: File to write; its folder is made if needed.
        model: The network of the design.
        design: The design.
        dataset: Gives classes and normalisation.
        extra: More JSON values for the description, such as test errors.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    description = {
        "data": dataset.name,
        "classes": list(dataset.classes),
        "mean": list(dataset.mean),
        "std": list(dataset.std),
        "shape": [dataset.in_channels, dataset.image_size, dataset.image_size],
        **extra,
    }
    metadata = {
        "greenshift": json.dumps({"format": FORMAT, "version": __version__}),
        "design": json.dumps(design.to_json()),
        "description": json.dumps(description),
    }
    write_tensors(path, dict(model.state_dict()), metadata)


def load_artifact(path: Path) -> Artifact | None:
    """Read a file of `save_artifact`.

    Returns:
        The artifact, or None if the file is a plain weight file without a design.

    Raises:
        InputError: If the file is damaged, of an unknown format, or its weights do not fit its design.
    """
    tensors, metadata = read_tensors(path)
    if "greenshift" not in metadata:
        return None
    try:
        found = json.loads(metadata["greenshift"]).get("format")
        design = Design.from_json(json.loads(metadata["design"])) if found == FORMAT else None
        description = json.loads(metadata["description"])
        channels, size, _ = description["shape"]
        shape = ImageShape(len(description["classes"]), channels, size)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        raise InputError(f"{path}: its description is damaged ({error!r}); select the trial again") from error
    if design is None:
        raise InputError(f"{path}: artifact of format {found}; this version of greenshift reads format {FORMAT}")
    model = build_network(design, shape)
    try:
        model.load_state_dict(tensors)
    except RuntimeError as error:
        problem = " ".join(str(error).split())[:300]
        raise InputError(f"{path}: its weights do not fit its design: {problem}") from error
    return Artifact(model.eval(), design, description)
