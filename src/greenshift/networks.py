"""From a design to a network: build it, profile it, train it."""

import dataclasses
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from greenshift.compress import Depth, Shift, Uniform, convert, profile
from greenshift.compress import weighted_layers as list_weighted_layers
from greenshift.data import Dataset, Splits, load_dataset, split, train_and_validation
from greenshift.design import Design, Optimization, Recipe
from greenshift.models import build_model
from greenshift.profile import NetworkProfile
from greenshift.records import DataChoice, EpochMetrics
from greenshift.train import Training, choose_compute, train


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
    images = train_and_validation(splits) if final else splits.train
    training = Training(dataset, images, None if final else splits.validation, design.recipe, seed, compute)
    return model, training, train(model, training, epochs, checkpoint=checkpoint)
