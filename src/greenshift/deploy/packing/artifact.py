"""Pack what `greenshift select` wrote, with images of its own dataset."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from greenshift.artifacts import Artifact, load_artifact
from greenshift.data import Dataset, load_dataset, normalise, resized
from greenshift.deploy.network import Network
from greenshift.deploy.packing.pack import pack
from greenshift.deploy.packing.report import PackReport
from greenshift.deploy.packing.simulate import simulate
from greenshift.errors import InputError

_BATCH = 250


@dataclass(frozen=True)
class Tested:
    """Both networks on test images.

    Attributes:
        images: Number of test images.
        float_error: Share that the float network gets wrong.
        packed_error: Share that the packed network gets wrong; simulated in float arithmetic, to the same classes.
        agreement: Share to which both give the same class.
    """

    images: int
    float_error: float
    packed_error: float
    agreement: float

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values."""
        return dataclasses.asdict(self)


@dataclass(frozen=True)
class PackedArtifact:
    """What packing an artifact gave: what was done, and how both networks did on test images if that was asked."""

    report: PackReport
    tested: Tested | None


def pack_artifact(
    artifact: Path,
    path: Path,
    calibration: int,
    *,
    allow_rounding: bool = False,
    test: bool = False,
    data_dir: str | None = None,
    threads: int = 1,
) -> PackedArtifact:
    """Pack an artifact.

    Args:
        artifact: File of `greenshift select`.
        path: Packed file to write.
        calibration: How many training images, drawn evenly, the steps of activations are chosen by.
        allow_rounding: As for `pack`.
        test: Whether to run both networks on all test images.
        data_dir: Folder that holds the official dataset folders.
        threads: Threads for tensor arithmetic.

    Raises:
        InputError: If the file is no artifact or not of the dataset's images, or cannot be packed.
    """
    from greenshift.deploy.file import read_network

    torch.set_num_threads(threads)
    found = load_artifact(artifact)
    if found is None:
        raise InputError(f"{artifact}: plain weights without a design; greenshift pack takes what select writes")
    dataset = resized(load_dataset(found.description["data"], data_dir), found.design.resolution)
    mean, std = _normalisation(artifact, found, dataset)
    places = torch.linspace(0, len(dataset.train_images) - 1, min(calibration, len(dataset.train_images))).long()
    described = {"design": found.design.to_json(), "artifact": found.description}
    images = dataset.train_images[places].float() / 255
    options: dict[str, Any] = {"mean": mean, "std": std, "description": described, "allow_rounding": allow_rounding}
    report = pack(found.model, path, images, **options)
    if not test:
        return PackedArtifact(report, None)
    float_model = found.model.eval()
    return PackedArtifact(report, _tested(float_model, read_network(path), dataset, mean, std))


def _normalisation(path: Path, artifact: Artifact, dataset: Dataset) -> tuple[list[float], list[float]]:
    shape = [dataset.in_channels, dataset.image_size, dataset.image_size]
    if artifact.description["shape"] != shape:
        raise InputError(f"{path}: made for images of {artifact.description['shape']}, {dataset.name} has {shape}")
    try:
        return list(artifact.description["mean"]), list(artifact.description["std"])
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: its description lacks mean and std; select the trial again") from error


def _tested(model: nn.Module, network: Network, dataset: Dataset, mean: list[float], std: list[float]) -> Tested:
    packed = simulate(network)
    batches = dataset.test_images.split(_BATCH)
    with torch.no_grad():
        wanted = torch.cat([model(normalise(batch, mean, std)).argmax(1) for batch in batches])
        found = torch.cat([packed(batch.float() / 255).argmax(1) for batch in batches])
    wrong = [_share(classes != dataset.test_labels) for classes in (wanted, found)]
    return Tested(len(found), wrong[0], wrong[1], _share(wanted == found))


def _share(which: Tensor) -> float:
    return float(which.double().mean())
