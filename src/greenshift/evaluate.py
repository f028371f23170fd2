"""Design to network, network to numbers: the torch side of a study behind a few functions."""

import dataclasses
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from greenshift.compress import Depth, Shift, Uniform, convert, profile
from greenshift.compress import weighted_layers as list_weighted_layers
from greenshift.data import Dataset, Splits, load_dataset, split
from greenshift.design import Design, Optimization, Recipe
from greenshift.energy import best_meter, carbon_g, meter
from greenshift.models import build_model
from greenshift.objectives import OBJECTIVES, Provenance
from greenshift.profile import NetworkProfile
from greenshift.records import DataChoice, EpochMetrics, Evaluation, Task
from greenshift.targets import cost, load_target
from greenshift.train import DivergedError, Training, choose_compute, error_rate, train


@lru_cache(maxsize=4)
def load_splits(data: DataChoice) -> tuple[Dataset, Splits]:
    """Load a dataset and split it, once per process."""
    dataset = load_dataset(data.name, data.folder)
    return dataset, split(dataset, data)


def build_network(design: Design, dataset: Dataset, device: torch.device | None = None) -> nn.Module:
    """Build the untrained network of a design; random initial weights come from torch's global seed.

    Args:
        design: What to build.
        dataset: Gives classes, channels and image size.
        device: Device, by default the CPU; `meta` gives a network without memory.

    Returns:
        The network, converted by the design's schemes, on `device`.
    """
    device = device or torch.device("cpu")
    with torch.device(device):
        model = build_model(
            design.backbone,
            num_classes=dataset.num_classes,
            in_channels=dataset.in_channels,
            image_size=dataset.image_size,
            width=design.width,
        )
    if not design.schemes:
        return model
    example = torch.zeros(2, *input_shape(dataset), device=device)
    return convert(model, dict(design.schemes), example)[0]


def input_shape(dataset: Dataset) -> tuple[int, int, int]:
    """Shape of one image, (channels, height, width)."""
    return dataset.in_channels, dataset.image_size, dataset.image_size


def profile_design(design: Design, data: DataChoice) -> NetworkProfile:
    """Profile a design without weights, in milliseconds.

    Args:
        design: What to profile.
        data: Gives classes and image shape.
    """
    dataset = load_dataset(data.name, data.folder)
    return profile(build_network(design, dataset, torch.device("meta")), input_shape(dataset))


def weighted_layers(backbone: str, data: DataChoice) -> int:
    """Number of convolutions and linear layers of a backbone: the largest useful shift depth."""
    dataset = load_dataset(data.name, data.folder)
    return len(list_weighted_layers(build_network(Design(backbone), dataset, torch.device("meta"))))


def epochs_range(data: DataChoice) -> tuple[int, int]:
    """Fewest and most epochs that a search on this dataset spends on a trial by default."""
    return load_dataset(data.name, data.folder).epochs_range


def baseline_designs(backbone: str, data: DataChoice, epochs: int, depth: int) -> dict[str, Design]:
    """The networks that every front is held against, trained for as many epochs as the front's.

    `float32`, `int8` and `float32 half width` are the untouched network, its 8-bit form and a
    narrower one; `paper default` is the paper's weak default (PS, SGD at 0.1, no schedule, no
    augmentation) and `expert default` a fully shifted network as DeepShift's authors would train it:
    Q, 4 bits. All but the paper's default share one recipe: SGD 0.05 with Nesterov momentum 0.9,
    cosine with warm-up, the dataset's augmentation.

    Args:
        backbone: Model name.
        data: Gives the augmentation that suits the images.
        epochs: Epochs of each training.
        depth: Number of convolutions and linear layers.
    """
    dataset = load_dataset(data.name, data.folder)
    expert = Recipe(
        epochs=epochs,
        optimization=Optimization(lr=0.05, weight_decay=5e-4, schedule="cosine", warmup=0.05, nesterov=True),
        augment=dataset.augment,
    )
    everything = Depth(depth)
    paper = Recipe(epochs=epochs, optimization=Optimization(lr=0.1, weight_decay=1e-4))
    designs = {
        "float32": Design(backbone, recipe=expert),
        "int8": Design(backbone, schemes=(("*", Uniform(8, 8)),), recipe=expert),
        "paper default": Design(backbone, schemes=((everything, Shift("PS", 5, 16, 16)),), recipe=paper),
        "expert default": Design(backbone, schemes=((everything, Shift("Q", 4, 8, 8)),), recipe=expert),
    }
    if ":" not in backbone:  # a model from elsewhere has no width to halve
        designs["float32 half width"] = Design(backbone, width=0.5, recipe=expert)
    return designs


def train_design(
    design: Design,
    data: DataChoice,
    *,
    epochs: int,
    seed: int,
    final: bool = False,
    checkpoint: Path | None = None,
    init: dict[str, Any] | None = None,
) -> tuple[nn.Module, Training, tuple[EpochMetrics, ...]]:
    """Build a design and train it.

    Args:
        design: What to train.
        data: On which images.
        epochs: Epochs in total, at most `design.recipe.epochs`.
        seed: Seed of initial weights and batches.
        final: Train on training and validation images together, as for a network to ship.
        checkpoint: File to resume from and to write.
        init: Float weights to start from, before the conversion.

    Returns:
        The trained network, what it was trained with, and its learning curve.

    Raises:
        DivergedError: If the training diverges.
    """
    dataset, splits = load_splits(data)
    torch.manual_seed(seed)
    compute = choose_compute()
    if init is None:
        model = build_network(design, dataset)
    else:
        plain = build_network(dataclasses.replace(design, schemes=()), dataset)
        plain.load_state_dict(init)
        example = torch.zeros(2, *input_shape(dataset))
        model = convert(plain, dict(design.schemes), example)[0] if design.schemes else plain
    model = model.to(compute.device, memory_format=torch.channels_last)  # type: ignore[call-overload]
    images = splits.train_and_validation if final else splits.train
    training = Training(dataset, images, None if final else splits.validation, design.recipe, seed, compute)
    return model, training, train(model, training, epochs, checkpoint=checkpoint)


def evaluate(task: Task, cpu_watts: float | None = None) -> Evaluation:
    """Train one design at one fidelity and fill in its objectives.

    Args:
        task: What to train, on what, for how long.
        cpu_watts: Watts of a busy core where there is no energy counter, or None for the default.

    Returns:
        The evaluation. A training that diverges or that torch refuses comes back as `failed` with the
        reason and what it consumed.
    """
    torch.set_num_threads(task.threads)
    names = task.objectives
    modelled = cost(profile_design(task.design, task.data), load_target(task.target)).to_json()
    objectives: dict[str, float] = {}
    provenance: dict[str, Provenance] = {}
    curve: tuple[EpochMetrics, ...] = ()
    reason = None
    with meter(best_meter(cpu_watts)) as metered:
        try:
            model, training, curve = train_design(
                task.design,
                task.data,
                epochs=task.epochs,
                seed=task.seed,
                checkpoint=None if task.checkpoint is None else Path(task.checkpoint),
            )
            for name in names:
                objectives[name] = _objective(name, modelled, curve, lambda: _validation_carbon_g(model, training, task, cpu_watts))
                provenance[name] = OBJECTIVES[name].provenance
        except DivergedError as error:
            curve, reason = error.curve, str(error)
        except (RuntimeError, MemoryError) as error:
            reason = f"{type(error).__name__}: {str(error).splitlines()[0]}"
    return Evaluation(
        trial=task.trial,
        label=task.label,
        configuration=task.configuration,
        design=task.design,
        fidelity=task.fidelity,
        outcome="ok" if reason is None else "failed",
        objectives=objectives if reason is None else {},
        provenance=provenance if reason is None else {},
        cost={key: value for key, value in modelled.items() if key != "layers"},
        curve=curve,
        reading=metered.reading,
        reason=reason,
        finished_at=time.time(),
    )


def _objective(
    name: str, modelled: Mapping[str, float], curve: tuple[EpochMetrics, ...], emissions: Callable[[], float]
) -> float:
    if OBJECTIVES[name].known:
        return modelled[name]
    if name == "emissions_g":
        return emissions()
    error = curve[-1].val_error
    if error is None:
        raise RuntimeError("no validation images: the validation error cannot be an objective")
    return error


def _validation_carbon_g(model: nn.Module, training: Training, task: Task, cpu_watts: float | None) -> float:
    """The paper's own objective: gCO2e of one validation pass of the simulated network on this host."""
    assert training.validation is not None
    with meter(best_meter(cpu_watts)) as metered:
        error_rate(model, training.dataset, training.validation, training.compute)
    if metered.reading.energy_j is None:
        raise RuntimeError("emissions_g needs an energy reading and none was possible")
    return carbon_g(metered.reading.energy_j, task.carbon_intensity_g_per_kwh)
