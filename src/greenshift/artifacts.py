"""A trained network as one safetensors file: weights, design and everything needed to use it, also as a teacher."""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import nn

from greenshift import __version__
from greenshift.data import Dataset
from greenshift.design import Design, Recipe
from greenshift.errors import InputError
from greenshift.models import build_model, load_weights
from greenshift.networks import ImageShape, Start, build_network, image_shape, load_splits
from greenshift.records import DataChoice, WeightFile
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
        dataset: Gives classes, normalisation and image size: at the design's resolution, as the network was trained.
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
        raise InputError(
            f"{path}: its weights do not fit its design, as this version builds it; select the trial again ({problem})"
        ) from error
    return Artifact(model.eval(), design, description)


def load_network(
    path: Path, shape: ImageShape, backbone: str | None = None, *, asked: str = "what is asked for"
) -> Artifact | nn.Module:
    """Read a trained network from an artifact, or from the weights of a float32 backbone alone.

    Args:
        path: An artifact, or weights (safetensors or a torch state dict) of `backbone`.
        shape: Classes and image size that it is wanted for; an artifact may ask for a smaller resolution of them.
        backbone: Model name; may be None for an artifact, which knows its own.
        asked: What the images of that shape are called in an error.

    Returns:
        The artifact, or the network if the file holds weights alone; on the CPU.

    Raises:
        InputError: If the file is missing or damaged, does not fit the shape or the backbone, or no backbone
            is named where one is needed.
    """
    if not path.is_file():
        raise InputError(f"checkpoint {path}: there is no such file")
    artifact = load_artifact(path) if path.suffix == ".safetensors" else None
    if artifact is None:
        if backbone is None:
            raise InputError(f"{path}: plain weights do not name their model; add --model (--teacher-model)")
        network = build_model(backbone, **dataclasses.asdict(shape))
        load_weights(network, path)
        return network
    if backbone not in (None, artifact.design.backbone):
        raise InputError(f"{path}: an artifact of {artifact.design.backbone}, not of {backbone}")
    about = artifact.description
    taken = dataclasses.replace(shape, image_size=artifact.design.resolution or shape.image_size)
    if (len(about["classes"]), *about["shape"]) != (shape.num_classes, *taken.input):
        there, here = ("x".join(map(str, size)) for size in (about["shape"], shape.input))
        raise InputError(
            f"{path}: made for {about['data']} images, {len(about['classes'])} classes of {there}; "
            f"{asked} has {shape.num_classes} of {here}"
        )
    return artifact


def load_teacher(
    path: Path, shape: ImageShape, backbone: str | None = None, *, classes: Sequence[str] | None = None
) -> nn.Module:
    """Read a network to distil from.

    Args:
        path: An artifact, or weights of `backbone`, as for `load_network`.
        shape: Classes and image size of the student's images.
        backbone: Model name of weights alone.
        classes: Names of the student's classes by label, to be held against an artifact's; None to trust it.

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        InputError: As `load_network`, or if an artifact's classes have other names or another order.
    """
    found = _load_as("teacher", path, shape, backbone, classes)
    if not isinstance(found, Artifact):
        return found.eval()
    size = found.description["shape"][-1]
    if size != shape.image_size:
        raise InputError(
            f"teacher: {path}: takes images of {size} pixels a side, and the student's have {shape.image_size}; "
            "name one of the student's resolution"
        )
    return found.model


def load_float_network(
    role: str, path: Path, shape: ImageShape, backbone: str | None, *, classes: Sequence[str] | None = None
) -> nn.Module:
    """Read a trained network before any conversion.

    Args:
        role: What an error begins with.
        path: An artifact of a float design of full width, or weights of `backbone`, as for `load_network`.
        shape: Classes and image size of the images it is wanted for.
        backbone: Model name; may be None for an artifact, which knows its own.
        classes: Names of the classes by label, to be held against an artifact's; None to trust it.

    Returns:
        The network on the CPU, in evaluation mode.

    Raises:
        InputError: As `load_network`, or if an artifact's classes have other names or another order, or its
            network is not the plain float backbone.
    """
    found = _load_as(role, path, shape, backbone, classes)
    if not isinstance(found, Artifact):
        return found.eval()
    plain = Design(found.design.backbone)
    if dataclasses.replace(found.design, recipe=plain.recipe) != plain:
        raise InputError(
            f"{role}: {path}: its network is not the plain float32 {plain.backbone} (it is converted, pruned or of "
            "another width); name a float32 one"
        )
    return found.model


def _load_as(
    role: str, path: Path, shape: ImageShape, backbone: str | None, classes: Sequence[str] | None
) -> Artifact | nn.Module:
    try:
        found = load_network(path, shape, backbone)
    except InputError as error:
        raise InputError(f"{role}: {error}") from error
    if isinstance(found, Artifact) and classes is not None and found.description["classes"] != list(classes):
        raise InputError(
            f"{role}: {path}: trained on {found.description['data']}, whose classes have other names or another "
            "order; name one that was trained on the study's classes"
        )
    return found


def teacher_for(
    recipe: Recipe, teacher: WeightFile | None, data: DataChoice, resolution: int | None = None
) -> nn.Module | None:
    """Return the network that a recipe learns from in a study, None if it learns from the labels alone.

    Student and teacher see the same images: at a design's resolution, so does the teacher.

    Raises:
        InputError: As `load_teacher`, or if the file is not what it was when the study began.
    """
    if teacher is None or recipe.distillation is None:
        return None
    teacher.check_unchanged("teacher")
    classes = load_splits(data)[0].classes
    return load_teacher(Path(teacher.path), image_shape(data, resolution), teacher.backbone, classes=classes)


def start_for(init: WeightFile | None, data: DataChoice) -> Start | None:
    """Return what the trainings of a study start from, None for random weights.

    Raises:
        InputError: As `load_float_network`, or if the file is not what it was when the study began.
    """
    if init is None:
        return None
    init.check_unchanged("init")
    classes = load_splits(data)[0].classes
    network = load_float_network("init", Path(init.path), image_shape(data), init.backbone, classes=classes)
    return Start(network.state_dict(), init.path)
