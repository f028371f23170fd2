"""From a design to a network: build it, profile it, train it."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch
from torch import Tensor, nn

from greenshift.compress import convert, prune_channels
from greenshift.compress import weighted_layers as list_weighted_layers
from greenshift.compress.activations import assign_activations, set_activations
from greenshift.compress.convert import assign_schemes
from greenshift.compress.handlers import storage_of
from greenshift.compress.profiling import Step, choose_activations, profile_steps, trace
from greenshift.compress.prune import add_masks, planned_sparsity
from greenshift.data import Dataset, Splits, check_resolution, load_dataset, resized, split, train_and_validation
from greenshift.design import Design, Recipe
from greenshift.models import build_model, copy_weights, replace_dense_blocks
from greenshift.profile import NetworkProfile
from greenshift.records import DataChoice, EpochMetrics
from greenshift.train import Training, calibrate_network, choose_compute, train, train_while_cutting


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


@dataclass(frozen=True, eq=False)
class Start:
    """Float weights to start a training from, and what comes before its first step.

    Attributes:
        weights: Tensors by name, of the design's backbone before its conversion.
        source: What to call them in an error.
        calibration_batches: Augmented training batches by which a converted network's grids and batch norms are
            fitted before the first step (`greenshift.compress.calibrate`); 0 to leave both to the training.
    """

    weights: Mapping[str, Tensor]
    source: str
    calibration_batches: int = 5


# Networks for the known datasets can be costed without having their files.
_KNOWN_SHAPES = {
    "digits": ImageShape(10, 1, 8),
    "fashion-mnist": ImageShape(10, 1, 28),
    "cifar10": ImageShape(10, 3, 32),
    "cifar100": ImageShape(100, 3, 32),
}


def image_shape(data: DataChoice, resolution: int | None = None) -> ImageShape:
    """Classes and image size of a dataset; reads its files only if it is an image folder.

    Args:
        data: The dataset.
        resolution: Height and width in pixels that a design asks for, or None for the data's own.

    Raises:
        InputError: If the resolution is above the data's.
    """
    if data.name in _KNOWN_SHAPES:
        shape = _KNOWN_SHAPES[data.name]
    else:
        dataset = load_dataset(data.name, data.folder)
        shape = ImageShape(dataset.num_classes, dataset.in_channels, dataset.image_size)
    if resolution is None:
        return shape
    check_resolution(resolution, shape.image_size, data.name)
    return dataclasses.replace(shape, image_size=resolution)


@lru_cache(maxsize=4)
def load_splits(data: DataChoice, resolution: int | None = None) -> tuple[Dataset, Splits]:
    """Load a dataset, at the resolution that a design asks for, and split it, once per process."""
    dataset = resized(load_dataset(data.name, data.folder), resolution)
    return dataset, split(dataset, data)


def build_network(design: Design, shape: ImageShape) -> nn.Module:
    """Build the untrained network of a design; random initial weights come from torch's global seed.

    Args:
        design: What to build.
        shape: Classes, and the size of the images at the design's resolution.

    Returns:
        The network on the CPU, without the channels that its pruning removes, converted by its schemes, with
        the masks of its pruning (which remove nothing yet).
    """
    return apply_schemes(_float_network(design, shape, None), design, shape)


def _dense(design: Design, shape: ImageShape) -> nn.Module:
    return build_model(design.backbone, width=design.width, depth=design.depth, **dataclasses.asdict(shape))


def apply_schemes(model: nn.Module, design: Design, shape: ImageShape) -> nn.Module:
    """Compress a float network by a design.

    Channels are removed, activations replaced, layers converted by the schemes, and masks of the pruning added, in this
    order. Channels are taken out of the given network itself, by the weights that it has. A design without any of them
    gives the network back as it is.
    """
    if design.channel_pruning is not None:
        prune_channels(model, design.channel_pruning, shape.input)
    if design.activations:
        model = set_activations(model, design.activations)
    if design.schemes:
        model = convert(model, dict(design.schemes), torch.zeros(2, *shape.input))[0]
    if design.weight_pruning is not None:
        add_masks(model, design.weight_pruning)
    return model


def profile_design(design: Design, data: DataChoice) -> NetworkProfile:
    """Profile a design without weights: milliseconds for a new backbone or cut, less than one after that.

    Args:
        design: What to profile; its recipe does not matter.
        data: Gives classes and image shape.

    Raises:
        InputError: If a scheme's or an activation's key selects nothing that can be converted, a layer cannot be
            pruned, or the resolution is above the data's.
    """
    shape = image_shape(data, design.resolution)
    model, steps = _traced(_plain(design), shape)
    reports = assign_schemes(model, dict(design.schemes)) if design.schemes else ()
    schemes = {report.name: report.scheme for report in reports}
    masks = design.weight_pruning
    sparsity = {} if masks is None else planned_sparsity(model, masks, schemes)
    steps = choose_activations(steps, assign_activations(model, design.activations))
    return profile_steps(steps, {name: storage_of(s) for name, s in schemes.items()}, shape.input, sparsity)


def _plain(design: Design) -> Design:
    """Return what of a design decides which layers there are, on which shapes."""
    return dataclasses.replace(design, schemes=(), recipe=Recipe(), pruning=design.channel_pruning, activations=())


@lru_cache(maxsize=256)
def _traced(design: Design, shape: ImageShape) -> tuple[nn.Module, tuple[Step, ...]]:
    # Not on the meta device: its kernels import torch's compiler, which takes seconds, the CPU milliseconds.
    with torch.random.fork_rng(devices=[]):
        model = build_network(design, shape)
    steps = trace(model, shape.input)
    return model.to("meta"), steps  # names and shapes are all that is asked of it from here on


def weighted_layers(backbone: str, data: DataChoice) -> int:
    """Number of convolutions and linear layers of a backbone: the largest useful shift depth."""
    return len(list_weighted_layers(_traced(Design(backbone), image_shape(data))[0]))


def epochs_range(data: DataChoice) -> tuple[int, int]:
    """Fewest and most epochs that a search on this dataset spends on a trial by default.

    The images are split as well: a study that cannot have its splits has to be refused before it starts.
    """
    return load_splits(data)[0].epochs_range


def train_design(
    design: Design,
    data: DataChoice,
    *,
    epochs: int,
    seed: int,
    final: bool = False,
    checkpoint: Path | None = None,
    start: Start | None = None,
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
        start: Float weights of the dense backbone to start from, before the conversion, or None for random ones;
            separable and bottleneck blocks start fresh in any case.
        teacher: Network to learn from, if the recipe distils; moved to the training's device.
        on_epoch: Called after every epoch.

    Returns:
        The trained network, what it was trained with, and its learning curve.

    Raises:
        DivergedError: If the training diverges.
        InputError: If the recipe distils and there is no teacher, or one that does not fit the data, or the
            weights to start from do not fit the design's float network.
    """
    dataset, splits = load_splits(data, design.resolution)
    torch.manual_seed(seed)
    compute, shape = choose_compute(), image_shape(data, design.resolution)
    model = _float_network(design, shape, start)
    if teacher is not None:
        teacher = compute.place(teacher)
    images = train_and_validation(splits) if final else splits.train
    validation = None if final else splits.validation
    training = Training(dataset, images, validation, design.recipe, seed, compute, design.weight_pruning)
    model, curve = _trained(
        model, design, shape, training, start, epochs, teacher=teacher, checkpoint=checkpoint, on_epoch=on_epoch
    )
    return model, training, curve


def _trained(
    model: nn.Module,
    design: Design,
    shape: ImageShape,
    training: Training,
    start: Start | None,
    epochs: int,
    *,
    teacher: nn.Module | None,
    checkpoint: Path | None,
    on_epoch: Callable[[EpochMetrics], None] | None,
) -> tuple[nn.Module, tuple[EpochMetrics, ...]]:
    """Convert a float network, at once or when its last channels are gone, and train it."""
    pruning = design.channel_pruning
    if pruning is not None and pruning.schedule == "gradual":
        rest = dataclasses.replace(design, pruning=None)
        return train_while_cutting(
            model,
            training,
            pruning,
            shape.input,
            epochs,
            convert=lambda cut, fresh: _converted(cut, rest, shape, training, start if fresh else None),
            teacher=teacher,
            checkpoint=checkpoint,
            on_epoch=on_epoch,
        )
    fresh = checkpoint is None or not checkpoint.exists()
    model = _converted(model, design, shape, training, start if fresh else None)
    return model, train(model, training, epochs, teacher=teacher, checkpoint=checkpoint, on_epoch=on_epoch)


def _converted(
    model: nn.Module, design: Design, shape: ImageShape, training: Training, start: Start | None
) -> nn.Module:
    """Compress a float network, place it, and fit it to a few batches if it has weights that were trained."""
    model = training.compute.place(apply_schemes(model, design, shape))
    if start is not None and (design.schemes or design.channel_pruning or design.activations):
        calibrate_network(model, training, start.calibration_batches)
    return model


def _float_network(design: Design, shape: ImageShape, start: Start | None) -> nn.Module:
    """The network before its conversion, with random weights or given ones."""
    dense = _dense(design, shape)
    if start is not None:
        copy_weights(dense, start.weights, f"init: {start.source}")
    return replace_dense_blocks(dense, design.blocks, design.backbone)
