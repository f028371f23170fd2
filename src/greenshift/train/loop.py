"""Train a network for some epochs, with a checkpoint after each, so that it can go on later exactly."""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import torch
from torch import Tensor, nn

from greenshift.compress.calibration import calibrate, can_calibrate, reestimate_batch_norm
from greenshift.compress.power_of_two import refit_windows
from greenshift.compress.prune import apply_masks, prune
from greenshift.compress.shift import add_shift_decay
from greenshift.data import Dataset, ImageSet, batches, evaluation_batches, normalise
from greenshift.design import Pruning, Recipe
from greenshift.records import EpochMetrics
from greenshift.train.checkpoint import load_checkpoint, save_checkpoint, trained_epochs
from greenshift.train.device import Compute
from greenshift.train.distillation import Loss, check_teacher, make_loss
from greenshift.train.optimizers import build_optimizer, learning_rate

_PRUNINGS_PER_EPOCH = 10
_WINDOWS_FOLLOW = 0.3  # share of the recipe's epochs after which windows of powers of two are frozen


class DivergedError(RuntimeError):
    """The loss is no longer a finite number."""

    def __init__(self, reason: str, curve: tuple[EpochMetrics, ...]) -> None:
        super().__init__(reason)
        self.curve = curve


@dataclass(frozen=True)
class Training:
    """Everything that one training depends on.

    Attributes:
        dataset: Gives the normalisation.
        train: Images to learn from.
        validation: Images for the learning curve, or None to train without.
        recipe: Batch size, optimizer, schedule and its horizon, augmentation.
        seed: Seed of shuffling, augmentation and stochastic rounding.
        compute: Device and precision.
        pruning: Weights to remove, or None; masks that the network has already are kept either way.
    """

    dataset: Dataset
    train: ImageSet
    validation: ImageSet | None
    recipe: Recipe
    seed: int
    compute: Compute
    pruning: Pruning | None = None


def train(
    model: nn.Module,
    training: Training,
    epochs: int,
    *,
    before: tuple[EpochMetrics, ...] = (),
    teacher: nn.Module | None = None,
    checkpoint: Path | None = None,
    on_epoch: Callable[[EpochMetrics], None] | None = None,
) -> tuple[EpochMetrics, ...]:
    """Train a network in place up to `epochs` epochs in total.

    Every epoch draws its randomness from (seed, epoch) alone, and the learning rate depends on the
    step alone: a training that was cut after any epoch and resumed from its checkpoint ends with the
    same weights as one that was not.

    Args:
        model: Network on `training.compute.device`; changed in place.
        training: Data, recipe, seed, device.
        epochs: Epochs in total, those in the checkpoint included; at most `recipe.epochs`.
        before: Learning curve of the epochs that the network has had in another shape; its optimizer begins anew.
        teacher: Network to learn from, if the recipe distils, on the same device. It is put into evaluation
            mode and not part of the checkpoint: a resumed training needs the same one.
        checkpoint: File to resume from if it has more epochs than `before`, and to replace after every epoch.
        on_epoch: Called after every epoch.

    Returns:
        The learning curve from the first epoch on.

    Raises:
        DivergedError: If a loss is not finite; carries the curve so far.
        InputError: If recipe and teacher do not go together (`check_teacher`).
    """
    check_teacher(training.recipe, teacher, training.dataset, training.compute.device)
    loss_of = make_loss(training.recipe, teacher)
    optimizer = build_optimizer(model, training.recipe.optimization)
    curve = before
    if training.pruning is not None:
        prune(model, training.pruning, 0.0)
    if checkpoint is not None and trained_epochs(checkpoint) > len(before):
        curve = load_checkpoint(checkpoint, model, optimizer)
    while len(curve) < epochs:
        curve = (*curve, _epoch(model, optimizer, training, loss_of, curve))
        if checkpoint is not None:
            save_checkpoint(checkpoint, model, optimizer, curve)
        if on_epoch is not None:
            on_epoch(curve[-1])
    return curve


def _epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    training: Training,
    loss_of: Loss,
    curve: tuple[EpochMetrics, ...],
) -> EpochMetrics:
    """Train for the epoch after those of the curve, and validate."""
    started = time.perf_counter()
    loss, train_error, lr = _train_epoch(model, optimizer, training, loss_of, curve)
    val_error = _validation_error(model, training)
    return EpochMetrics(len(curve) + 1, loss, train_error, val_error, lr, time.perf_counter() - started)


def _validation_error(model: nn.Module, training: Training) -> float | None:
    if training.validation is None:
        return None
    return error_rate(model, training.dataset, training.validation, training.compute)


def _train_epoch(
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    training: Training,
    loss_of: Loss,
    curve: tuple[EpochMetrics, ...],
) -> tuple[float, float, float]:
    """Run the epoch after those of the curve; return mean loss, error rate and the last learning rate."""
    recipe, compute, epoch = training.recipe, training.compute, len(curve)
    seed = training.seed * 100_003 + epoch
    torch.manual_seed(seed)
    generator = torch.Generator().manual_seed(seed)
    steps = max(1, math.ceil(len(training.train.labels) / recipe.batch_size))
    if epoch < _WINDOWS_FOLLOW * recipe.epochs:
        refit_windows(model)
    model.train()
    total_loss, wrong, seen, lr = 0.0, 0, 0, 0.0
    source = batches(training.train, recipe.batch_size, generator=generator, augment=recipe.augment)
    for step, (images, labels) in enumerate(_on_device(source, training.dataset, compute)):
        lr = learning_rate(recipe.optimization, (epoch + step / steps) / recipe.epochs)
        for group in optimizer.param_groups:
            group["lr"] = lr
        optimizer.zero_grad()
        with compute.autocast():
            logits = model(images)
            loss = loss_of(images, logits, labels)
        value = loss.item()
        if not math.isfinite(value):
            reason = f"diverged: loss is {value} in epoch {epoch + 1}, step {step + 1} of {steps}, at lr {lr:.3g}"
            raise DivergedError(reason, curve)
        loss.backward()
        add_shift_decay(model, recipe.optimization.weight_decay)
        optimizer.step()
        _prune_after(model, training, epoch, step, steps)
        total_loss += value * len(labels)
        wrong += int((logits.argmax(1) != labels).sum())
        seen += len(labels)
    return total_loss / seen, wrong / seen, lr


def _prune_after(model: nn.Module, training: Training, epoch: int, step: int, steps: int) -> None:
    """Undo what the optimizer did to removed weights, and remove more where the schedule says so."""
    done = step + 1
    if training.pruning is not None and (done % max(1, steps // _PRUNINGS_PER_EPOCH) == 0 or done == steps):
        prune(model, training.pruning, (epoch + done / steps) / training.recipe.epochs)
    apply_masks(model)


def error_rate(model: nn.Module, dataset: Dataset, images: ImageSet, compute: Compute) -> float:
    """Share of images whose class the network gets wrong.

    Args:
        model: Network on `compute.device`; put into evaluation mode.
        dataset: Gives the normalisation.
        images: Images and labels, at least one.
        compute: Device and precision.
    """
    model.eval()
    wrong = 0
    with torch.inference_mode():
        for batch, labels in _on_device(evaluation_batches(images), dataset, compute):
            with compute.autocast():
                wrong += int((model(batch).argmax(1) != labels).sum())
    return wrong / len(images.labels)


def reestimate_normalisation(model: nn.Module, training: Training, batch_count: int = 40) -> None:
    """Re-estimate batch norms on training batches, as `greenshift.compress.reestimate_batch_norm` does.

    Args:
        model: Network on `training.compute.device`; its running statistics are changed.
        training: Data, batch size, seed, device.
        batch_count: Number of batches to average over.
    """
    with training.compute.autocast():
        reestimate_batch_norm(model, _some_batches(training, batch_count))


def calibrate_network(model: nn.Module, training: Training, batch_count: int) -> None:
    """Fit a converted network to training batches before its training, as `greenshift.compress.calibrate` does.

    A network with nothing to fit stays as it is, and so does any for 0 batches.

    Args:
        model: Network on `training.compute.device`; its grids and running statistics are changed.
        training: Data, batch size, augmentation, seed, device.
        batch_count: Number of batches, fewer if the images give fewer.
    """
    images = list(_some_batches(training, batch_count)) if can_calibrate(model) else []
    if images:
        with training.compute.autocast():
            calibrate(model, torch.cat(images), batches=len(images))


def _some_batches(training: Training, batch_count: int) -> Iterator[Tensor]:
    """Yield a few batches as the training sees them, without their labels."""
    generator = torch.Generator().manual_seed(training.seed)
    source = batches(training.train, training.recipe.batch_size, generator=generator, augment=training.recipe.augment)
    for images, _ in _on_device(islice(source, batch_count), training.dataset, training.compute):
        yield images


def _on_device(
    source: Iterator[tuple[Tensor, Tensor]], dataset: Dataset, compute: Compute
) -> Iterator[tuple[Tensor, Tensor]]:
    for images, labels in source:
        moved = images.to(compute.device, non_blocking=True)
        yield normalise(moved, dataset.mean, dataset.std, torch.float32), labels.to(compute.device)
