"""Train a network that loses its channels between epochs, the first half of its training long."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from torch import nn

from greenshift.compress.channels import channel_counts, prune_channels
from greenshift.design import PRUNING_ENDS, Pruning
from greenshift.records import EpochMetrics
from greenshift.train.checkpoint import trained_epochs
from greenshift.train.loop import Training, train


@dataclass(frozen=True)
class Stage:
    """Epochs in which a network has the same channels.

    Attributes:
        begin: Epochs before it.
        end: Epochs at its end.
        kept: Channels of every group of layers, None for all.
    """

    begin: int
    end: int
    kept: tuple[int, ...] | None


def cutting_stages(model: nn.Module, pruning: Pruning, input_shape: tuple[int, ...], epochs: int) -> tuple[Stage, ...]:
    """Say when a network loses how many channels: by the cubic schedule of Zhu and Gupta (arXiv 1710.01878, eq. 1).

    Groups never get channels back, and end with as many as at a one-shot pruning.

    Args:
        model: The whole float network on the CPU.
        pruning: What goes, gradually.
        input_shape: Shape of one input without the batch dimension.
        epochs: Epochs of the full training; with one there is no half to cut in, so that all goes before it.

    Raises:
        InputError: If so much cannot be removed.
    """
    cuts = int(epochs * PRUNING_ENDS)
    ramp = [pruning.ramp(PRUNING_ENDS * cut / cuts) for cut in range(1, cuts + 1)] or [1.0]
    planned = channel_counts(model, pruning, input_shape, [pruning.sparsity * done for done in ramp])
    if cuts == 0:
        return (Stage(0, epochs, planned[-1]),)
    stages, kept = [Stage(0, 1, None)], planned[0]
    for cut, counts in enumerate(planned, start=1):
        # Each plan fills room up with channels by itself, which may be another group's than before.
        kept = tuple(max(last, min(count, now)) for last, count, now in zip(planned[-1], counts, kept, strict=True))
        stages.append(Stage(cut, epochs if cut == cuts else cut + 1, kept))
    return tuple(stages)


def train_while_cutting(
    model: nn.Module,
    training: Training,
    pruning: Pruning,
    input_shape: tuple[int, ...],
    epochs: int,
    *,
    convert: Callable[[nn.Module, bool], nn.Module],
    teacher: nn.Module | None = None,
    checkpoint: Path | None = None,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
) -> tuple[nn.Module, tuple[EpochMetrics, ...]]:
    """Train a float network, cut it between epochs, convert it after the last cut, and train on.

    Which channels go is decided at each cut, by the weights at that time; the optimizer begins anew after it. Resumes
    exactly, like `train`.

    Args:
        model: The whole float network.
        training: Data, recipe, seed, device.
        pruning: What goes, gradually.
        input_shape: Shape of one input without the batch dimension.
        epochs: Epochs in total; a training that ends before the last cut has a network with more channels.
        convert: Gives a cut network its schemes and places it; told whether it is to be calibrated.
        teacher: As for `train`, like the rest.
        checkpoint: What to resume from and to replace.
        on_epoch: Called after every epoch.

    Returns:
        The network and its learning curve.

    Raises:
        DivergedError: If a loss is not finite.
        InputError: If so much cannot be removed, or recipe and teacher do not go together.
    """
    trained = trained_epochs(checkpoint)
    curve: tuple[EpochMetrics, ...] = ()
    stages = cutting_stages(model.cpu(), pruning, input_shape, training.recipe.epochs)
    for stage in stages:
        if stage.kept is not None:
            prune_channels(model.cpu(), pruning, input_shape, stage.kept)
        model = convert(model, trained <= stage.begin) if stage is stages[-1] else training.compute.place(model)
        if trained > stage.end:
            continue  # the checkpoint holds the weights of a later stage
        end = min(stage.end, epochs)
        curve = train(model, training, end, before=curve, teacher=teacher, checkpoint=checkpoint, on_epoch=on_epoch)
        if end == epochs:
            break
    return model, curve
