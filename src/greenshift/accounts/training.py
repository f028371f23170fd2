"""What one full training takes on this machine, found on a short one."""

import dataclasses
from dataclasses import dataclass
from typing import Any

from greenshift.accounts.stages import ESTIMATED_FACTOR, MEASURED_FACTOR
from greenshift.amounts import Amount
from greenshift.config import StudyConfig
from greenshift.energy import meter
from greenshift.errors import InputError
from greenshift.fidelities import hyperparameters_of
from greenshift.records import DataChoice, WeightFile
from greenshift.targets.uncertainty import product_factor

_PROBE_IMAGES = 512
# Assumption: a training's energy follows from a short one of the float32 network within a factor of 1.5.
_PROBE_FACTOR = 1.5


@dataclass(frozen=True)
class Training:
    """What one full training takes on this machine.

    Attributes:
        energy: The energy.
        source: How it was found, in words.
    """

    energy: Amount
    source: str

    def to_json(self) -> dict[str, Any]:
        """Return the training as a JSON object."""
        return dataclasses.asdict(self)

    @staticmethod
    def from_json(data: dict[str, Any]) -> "Training":
        """Inverse of `to_json`."""
        return Training(Amount(**data["energy"]), data["source"])


def metered_training(config: StudyConfig) -> Training:
    """Return what a full training of the float32 network takes here, from a short one. Imports torch.

    Two trainings of one epoch on few images are made. The energy of the second, when everything is warm, is
    scaled by images and epochs; what both took is for the caller to meter.

    Args:
        config: The study.

    Raises:
        InputError: If the data cannot be loaded or no energy can be metered.
    """
    import torch

    from greenshift.artifacts import teacher_for
    from greenshift.design import Design, Distillation, Recipe
    from greenshift.networks import epochs_range, load_splits, train_design

    torch.set_num_threads(config.threads)
    data = DataChoice(config.data, config.data_dir, config.validation_share, config.train_limit, config.seed)
    images = len(load_splits(data)[1].train)
    probe = dataclasses.replace(data, train_limit=min(images, _PROBE_IMAGES))
    counted = "epochs" in hyperparameters_of(config.fidelity) and config.fidelity_max
    epochs = counted or config.epochs
    recipe = Recipe(epochs=1, distillation=None if config.teacher is None else Distillation())
    design, teacher = Design(config.model, recipe=recipe), teacher_for(recipe, WeightFile.of(config, "teacher"), data)
    train_design(design, probe, epochs=1, seed=0, teacher=teacher)
    with meter(config.cpu_watts) as metered:
        train_design(design, probe, epochs=1, seed=0, teacher=teacher)
    reading = metered.reading
    if reading.energy_j is None:
        raise InputError("plan: no energy can be metered here; give that of one training")
    passes = images * (epochs or epochs_range(data)[1])
    meters = MEASURED_FACTOR if reading.provenance == "measured" else ESTIMATED_FACTOR
    amount = Amount(reading.energy_j * passes / (probe.train_limit or images), product_factor(meters, _PROBE_FACTOR))
    source = f"{reading.provenance} on {probe.train_limit} images and scaled to {passes}: {reading.source}"
    return Training(amount, source)
