"""From a design to a network: build it, profile it, train it."""

import dataclasses
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import nn

from greenshift.compress import Depth, Shift, Uniform, convert
from greenshift.compress import weighted_layers as list_weighted_layers
from greenshift.compress.activations import assign_activations, set_activations
from greenshift.compress.convert import assign_schemes
from greenshift.compress.handlers import storage_of
from greenshift.compress.profiling import Step, choose_activations, profile_steps, trace
from greenshift.compress.prune import add_masks, planned_sparsity
from greenshift.data import Dataset, Splits, load_dataset, split, train_and_validation
from greenshift.design import Design, Optimization, Recipe
from greenshift.models import build_model
from greenshift.profile import NetworkProfile
from greenshift.records import DataChoice, EpochMetrics
from greenshift.train import Training, choose_compute, train


@dataclass(frozen=True)
class ImageShape:
    """What a network must know of a dataset: how many classes, and the size of a square image."""

    num_classes: int
    in_channels: int
    image_size: int

    @property
    def input(self) -> tuple[int, int, int]:
        """Shape of one image, (channels, height, width)."""
        return self.in_channels, self.image_size, self.image_size


# Networks for the known datasets can be costed without having their files.
_KNOWN_SHAPES = {
    "digits": ImageShape(10, 1, 8),
    "fashion-mnist": ImageShape(10, 1, 28),
    "cifar10": ImageShape(10, 3, 32),
    "cifar100": ImageShape(100, 3, 32),
}


def image_shape(data: DataChoice) -> ImageShape:
    """Classes and image size of a dataset; reads its files only if it is an image folder."""
    if data.name in _KNOWN_SHAPES:
        return _KNOWN_SHAPES[data.name]
    dataset = load_dataset(data.name, data.folder)
    return ImageShape(dataset.num_classes, dataset.in_channels, dataset.image_size)


@lru_cache(maxsize=4)
def load_splits(data: DataChoice) -> tuple[Dataset, Splits]:
    """Load a dataset and split it, once per process."""
    dataset = load_dataset(data.name, data.folder)
    return dataset, split(dataset, data)


def build_network(design: Design, shape: ImageShape) -> nn.Module:
    """Build the untrained network of a design; random initial weights come from torch's global seed.

    Args:
        design: What to build.
        shape: Classes and image size.

    Returns:
        The network, converted by the design's schemes, with the masks of its pruning (which remove
        nothing yet), on the CPU.
    """
    model = build_model(design.backbone, width=design.width, **dataclasses.asdict(shape))
    return apply_schemes(model, design, shape)


def apply_schemes(model: nn.Module, design: Design, shape: ImageShape) -> nn.Module:
    """Give a float network a design's activations, convert it by its schemes, and add the masks of its pruning.

    Without any of them it is returned as it is.
    """
    if design.activations:
        model = set_activations(model, design.activations)
    if design.schemes:
        model = convert(model, dict(design.schemes), torch.zeros(2, *shape.input))[0]
    if design.pruning is not None:
        add_masks(model, design.pruning)
    return model


def profile_design(design: Design, data: DataChoice) -> NetworkProfile:
    """Profile a design without weights: milliseconds for a new backbone, less than one after that.

    Args:
        design: What to profile; its recipe does not matter.
        data: Gives classes and image shape.

    Raises:
        InputError: If a scheme's or an activation's key selects nothing that can be converted, or a layer cannot
            be pruned.
    """
    shape = image_shape(data)
    model, steps = _traced(design.backbone, design.width, shape)
    reports = assign_schemes(model, dict(design.schemes)) if design.schemes else ()
    schemes = {report.name: report.scheme for report in reports}
    sparsity = {} if design.pruning is None else planned_sparsity(model, design.pruning, schemes)
    steps = choose_activations(steps, assign_activations(model, design.activations))
    return profile_steps(steps, {name: storage_of(s) for name, s in schemes.items()}, shape.input, sparsity)


@lru_cache(maxsize=16)
def _traced(backbone: str, width: float, shape: ImageShape) -> tuple[nn.Module, tuple[Step, ...]]:
    # Not on the meta device: its kernels import torch's compiler, which takes seconds, the CPU milliseconds.
    with torch.random.fork_rng(devices=[]):
        model = build_network(Design(backbone, width), shape)
    return model, trace(model, shape.input)


def weighted_layers(backbone: str, data: DataChoice) -> int:
    """Number of convolutions and linear layers of a backbone: the largest useful shift depth."""
    return len(list_weighted_layers(_traced(backbone, 1.0, image_shape(data))[0]))


def epochs_range(data: DataChoice) -> tuple[int, int]:
    """Fewest and most epochs that a search on this dataset spends on a trial by default.

    The images are split as well: a study that cannot have its splits has to be refused before it starts.
    """
    return load_splits(data)[0].epochs_range


def baseline_designs(backbone: str, data: DataChoice, epochs: int, depth: int) -> dict[str, Design]:
    """The networks that every front is held against, trained for as many epochs as the front's.

    `float32`, `int8` and `float32 half width` are the untouched network, its 8-bit form and a
    narrower one; `paper default` is the paper's weak default (PS, SGD at 0.1, no schedule, no
    augmentation) and `expert default` a fully shifted network as DeepShift's authors would train it:
    Q, 4 bits. All but the paper's default share one recipe: SGD 0.05 with Nesterov momentum 0.9,
    cosine with warm-up, the dataset's augmentation, smaller batches for small datasets.

    Args:
        backbone: Model name.
        data: Gives the augmentation that suits the images.
        epochs: Epochs of each training.
        depth: Number of convolutions and linear layers.
    """
    dataset = load_dataset(data.name, data.folder)
    expert = Recipe(
        epochs=epochs,
        batch_size=_expert_batch_size(len(dataset.train_labels)),
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


def _expert_batch_size(images: int) -> int:
    """128, but on small datasets so much less that an epoch still has about 40 steps."""
    return max(16, min(128, 1 << int(math.log2(max(images // 40, 1)))))


def train_design(
    design: Design,
    data: DataChoice,
    *,
    epochs: int,
    seed: int,
    final: bool = False,
    checkpoint: Path | None = None,
    init: dict[str, Any] | None = None,
    teacher: nn.Module | None = None,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
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
        teacher: Network to learn from, if the recipe distils; moved to the training's device.
        on_epoch: Called after every epoch.

    Returns:
        The trained network, what it was trained with, and its learning curve.

    Raises:
        DivergedError: If the training diverges.
        InputError: If the recipe distils and there is no teacher, or one that does not fit the data.
    """
    dataset, splits = load_splits(data)
    torch.manual_seed(seed)
    compute = choose_compute()
    model = compute.place(_initialised(design, image_shape(data), init))
    if teacher is not None:
        teacher = compute.place(teacher)
    images = train_and_validation(splits) if final else splits.train
    validation = None if final else splits.validation
    training = Training(dataset, images, validation, design.recipe, seed, compute, design.pruning)
    curve = train(model, training, epochs, teacher=teacher, checkpoint=checkpoint, on_epoch=on_epoch)
    return model, training, curve


def _initialised(design: Design, shape: ImageShape, init: dict[str, Any] | None) -> nn.Module:
    if init is None:
        return build_network(design, shape)
    plain = build_network(dataclasses.replace(design, schemes=(), pruning=None, activations=()), shape)
    plain.load_state_dict(init)
    return apply_schemes(plain, design, shape)
