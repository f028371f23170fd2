"""What each layer loses by itself when a scheme is put on it without training: a cheap proxy for mixtures."""

import dataclasses
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

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
from greenshift.schemes import LayerKey, Scheme
from greenshift.sensitivity_table import Sensitivity, SensitivityTable
from greenshift.train import Training, calibrate_network, choose_compute

_CALIBRATION_BATCH = 128


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
