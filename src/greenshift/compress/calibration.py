"""Fit a converted network to data without training it: ranges of activations, statistics of batch norms."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from greenshift.compress.affine import ActivationRange, input_statistics
from greenshift.compress.learned import LearnedRange
from greenshift.compress.sign import Sign
from greenshift.errors import InputError

Statistics = tuple[Tensor, Tensor, Tensor]


def calibrate(model: nn.Module, images: Tensor, *, batches: int) -> None:
    """Set the grids of uniform layers' inputs and re-estimate batch norms, in place and without training.

    Two passes over the images. The first runs with rounded weights and float activations, and sees the inputs
    of each uniform layer: a range becomes the mean over the batches of their smallest and largest value, which
    is what the exponential average of a training (Jacob et al., CVPR 2018, section 3.1) tends to; a learned
    step starts from the batches' mean magnitude (LSQ: Esser et al., ICLR 2020, section 2.1), and so does the
    threshold of signs where no input is negative. The second re-estimates the batch norms behind rounded weights
    and activations. Weights and learned steps of weights stay as they are.

    Args:
        model: A converted network; its mode is kept.
        images: Normalised inputs (N, C, H, W) on the network's device: training images, augmented as in the training.
            The borders that shifted images get change the statistics; without them even a float network loses.
        batches: Number of nearly equal parts that the images are run in, at least 1.

    Raises:
        InputError: If a batch would have fewer than two images, or the network has neither uniform layers nor
            batch norms.
    """
    if batches < 1 or len(images) < 2 * batches:
        raise InputError(f"calibrate: {len(images)} images give no {batches} batches of two or more; give more images")
    grids = _grids(model)
    if not can_calibrate(model):
        raise InputError("calibrate: the network has no uniform layer and no batch norm; convert it first")
    parts = images.tensor_split(batches)
    if grids:
        seen: dict[nn.Module, list[Statistics]] = {grid: [] for grid in grids}
        with torch.no_grad(), _batch_statistics(model), _observed(seen):
            for part in parts:
                model(part)
        for grid in grids:
            if seen[grid]:  # a layer that never runs keeps its grid
                low, high, magnitude = (torch.stack(values).mean() for values in zip(*seen[grid], strict=True))
                grid.fit(low, high, magnitude)
    reestimate_batch_norm(model, parts)


def can_calibrate(model: nn.Module) -> bool:
    """Say whether a network has anything that `calibrate` would fit."""
    return bool(_grids(model) or _norms(model))


def reestimate_batch_norm(model: nn.Module, batches: Iterable[Tensor]) -> None:
    """Replace the running statistics of batch norms by plain means over batches.

    Rounded weights and activations shift the statistics of what follows them, and the exponential average of a
    training lags behind its last steps. All else runs as in evaluation: no dropout, no stochastic rounding, no
    moving ranges.

    Args:
        model: The network; only the running statistics change, its mode is kept.
        batches: Normalised inputs (N, C, H, W) on the network's device, at least one batch; training images, augmented
            as in the training.

    Raises:
        InputError: If the network has batch norms and there is no batch.
    """
    if not _norms(model):
        return
    count = 0
    with torch.no_grad(), _batch_statistics(model):
        for count, images in enumerate(batches, 1):  # noqa: B007 - read after the loop
            model(images)
    if count == 0:
        raise InputError("batch norms cannot be re-estimated without a batch; give at least one")


def _grids(model: nn.Module) -> list[ActivationRange | LearnedRange | Sign]:
    return [module for module in model.modules() if isinstance(module, ActivationRange | LearnedRange | Sign)]


def _norms(model: nn.Module) -> list[nn.BatchNorm1d | nn.BatchNorm2d]:
    norms = (module for module in model.modules() if isinstance(module, nn.BatchNorm2d | nn.BatchNorm1d))
    return [norm for norm in norms if norm.track_running_stats]


@contextmanager
def _batch_statistics(model: nn.Module) -> Iterator[None]:
    """Evaluation mode, but batch norms use each batch's statistics and average them from scratch."""
    modes = [(module, module.training) for module in model.modules()]
    norms = [(norm, norm.momentum) for norm in _norms(model)]
    model.eval()
    for norm, _ in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain mean over batches
        norm.train()
    try:
        yield
    finally:
        for norm, momentum in norms:
            norm.momentum = momentum
        for module, training in modes:
            module.training = training


@contextmanager
def _observed(seen: dict[nn.Module, list[Statistics]]) -> Iterator[None]:
    """Let grids pass their inputs through as they are, and note the inputs' statistics."""

    def pass_through(grid: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:  # noqa: ARG001
        seen[grid].append(input_statistics(inputs[0]))
        return inputs[0]

    handles = [grid.register_forward_hook(pass_through) for grid in seen]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
