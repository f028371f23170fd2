"""What each layer loses by itself when a scheme is put on it without training: a cheap proxy for mixtures."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from greenshift.compress import convert
from greenshift.compress.convert import assign_schemes
from greenshift.data import ImageSet, evaluation_batches, normalise
from greenshift.design import Recipe
from greenshift.errors import InputError
from greenshift.networks import image_shape, load_splits
from greenshift.records import DataChoice
from greenshift.schemes import LayerKey, Scheme, scheme_to_json
from greenshift.train import Training, calibrate_network, choose_compute

_CALIBRATION_BATCH = 128


@dataclass(frozen=True)
class Sensitivity:
    """One scheme on one layer, or on one group of layers, of an otherwise float network.

    Attributes:
        layers: The layer's name, or the key of the group.
        scheme: What was put on it.
        loss_increase: Mean cross-entropy above the float network's, in nat; below 0 if it fell.
        standard_error: Of that mean over the images, in nat.
    """

    layers: str
    scheme: Scheme
    loss_increase: float
    standard_error: float

    def to_json(self) -> dict[str, Any]:
        """Return the row as a JSON object."""
        return {**dataclasses.asdict(self), "scheme": scheme_to_json(self.scheme)}


@dataclass(frozen=True)
class SensitivityTable:
    """Sensitivities of a network.

    Attributes:
        float_loss: Mean cross-entropy of the float network in nat, its batch norms re-estimated like the others'.
        images: Images of the training split that losses are means over.
        rows: One per layer, or group, and scheme, in the order of the network.
    """

    float_loss: float
    images: int
    rows: tuple[Sensitivity, ...]

    def loss_increase(self, schemes: Mapping[str, Scheme]) -> float:
        """Return the sum of what single layers lose, in nat: a score by which mixtures are ranked, not a forecast.

        What layers lose together is taken for the sum of what each loses by itself, as HAWQ-V2 does (Dong et al.,
        NeurIPS 2020); there the terms are second-order estimates, here they are measured.

        Args:
            schemes: Scheme by layer or group, as the rows name it; what is left out stays float.

        Raises:
            InputError: If a pair of the two is not in the table.
        """
        known = {(row.layers, row.scheme): row.loss_increase for row in self.rows}
        for pair in schemes.items():
            if pair not in known:
                raise InputError(f"sensitivity: {pair[1]} on {pair[0]} is not in the table; measure it first")
        return math.fsum(known[pair] for pair in schemes.items())

    def to_json(self) -> dict[str, Any]:
        """Return the table as a JSON object."""
        rows = [row.to_json() for row in self.rows]
        return {"float_loss": self.float_loss, "images": self.images, "rows": rows}


def measure_sensitivity(
    model: nn.Module,
    data: DataChoice,
    schemes: Sequence[Scheme],
    *,
    layers: Sequence[LayerKey] | None = None,
    images: int = 1000,
    batches: int = 5,
    on_row: Callable[[Sensitivity], None] | None = None,
) -> SensitivityTable:
    """Put each scheme on each layer alone, calibrate, and see how much the loss rises. Nothing is trained.

    The network is calibrated on augmented batches of 128 training images (`greenshift.compress.calibrate`). The loss
    is taken on images of the training split, stratified by class and not augmented, so that validation images stay
    unseen; both losses of a row are on the same images. In float32.

    Args:
        model: A float network on the CPU; it is left as it is.
        data: Its images.
        schemes: At least one.
        layers: Names, globs or depths, each of which is one row for every scheme; every layer alone if left out.
        images: Images of the loss, or as many as there are.
        batches: Batches of the calibration, at least 1.
        on_row: Called with every row as it comes.

    Raises:
        InputError: If there is no scheme, too few images or batches, or a key selects nothing that can be converted.
    """
    if not schemes or images < 2 or batches < 1:
        raise InputError("sensitivity: at least one scheme, two images and one batch are needed")
    dataset, splits = load_splits(data)
    share = min(1.0, images / len(splits.train))
    judged = load_splits(dataclasses.replace(data, train_fraction=share * data.train_fraction))[1].train
    recipe = Recipe(epochs=1, batch_size=_CALIBRATION_BATCH, augment=dataset.augment)
    training = Training(dataset, splits.train, None, recipe, data.seed, choose_compute("float32"))
    # What cannot be converted is told before anything is measured.
    keys = _convertible(model, schemes[0]) if layers is None else list(layers)
    for key in keys:
        assign_schemes(model, {key: schemes[0]})
    judge = _Judge(model, training, judged, torch.zeros(2, *image_shape(data).input), batches)
    reference = judge.losses({})
    rows = []
    for key in keys:
        for scheme in schemes:
            rows.append(_row(str(key), scheme, judge.losses({key: scheme}) - reference))
            if on_row is not None:
                on_row(rows[-1])
    return SensitivityTable(float(reference.mean()), len(judged), tuple(rows))


@dataclass(frozen=True, eq=False)
class _Judge:
    """A float network and the images that its conversions are calibrated and judged on."""

    model: nn.Module
    training: Training
    images: ImageSet
    example: Tensor
    batches: int

    def losses(self, schemes: Mapping[LayerKey, Scheme]) -> Tensor:
        """Cross-entropy of every image in nat, float64, after the conversion and its calibration."""
        training = self.training
        network = training.compute.place(convert(self.model, schemes, self.example)[0])
        calibrate_network(network, training, self.batches)
        network.eval()
        found = []
        with torch.inference_mode():
            for batch, labels in evaluation_batches(self.images):
                moved = normalise(batch.to(training.compute.device), training.dataset.mean, training.dataset.std)
                targets = labels.to(training.compute.device)
                found.append(functional.cross_entropy(network(moved), targets, reduction="none"))
        return torch.cat(found).double().cpu()


def _convertible(model: nn.Module, scheme: Scheme) -> list[LayerKey]:
    return [report.name for report in assign_schemes(model, {"*": scheme}) if report.scheme is not None]


def _row(layers: str, scheme: Scheme, increases: Tensor) -> Sensitivity:
    error = float(increases.std() / math.sqrt(len(increases)))
    return Sensitivity(layers, scheme, float(increases.mean()), error)
