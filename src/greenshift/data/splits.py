"""Three splits: train and validation are cut from the training images by seed; test is never touched."""

from dataclasses import dataclass

import torch
from torch import Tensor

from greenshift.data.dataset import Dataset, ImageSet
from greenshift.errors import InputError
from greenshift.records import DataChoice


@dataclass(frozen=True, eq=False)
class Splits:
    """The three sets of a study.

    Attributes:
        train: For the weights.
        validation: For the search.
        test: For one report at the end.
    """

    train: ImageSet
    validation: ImageSet
    test: ImageSet


def split(dataset: Dataset, choice: DataChoice) -> Splits:
    """Cut validation from the training images, stratified, the same for the same seed.

    With a `train_limit`, train keeps that many images and validation shrinks in the same proportion. Of what is
    left, train keeps the `train_fraction`, at least two images, and validation stays as it is. The images of a
    smaller limit or fraction are among those of a larger one.

    Args:
        dataset: The dataset.
        choice: Shares, limit and seed; its name and folder are not looked at.

    Returns:
        The splits; test is all of the dataset's.

    Raises:
        InputError: If the share is not above 0 and below 1, the fraction not above 0 and at most 1, the limit is
            below 2, or a part would be empty.
    """
    if not 0 < choice.validation_share < 1:
        raise InputError(f"data: validation_share must be above 0 and below 1, not {choice.validation_share}")
    if not 0 < choice.train_fraction <= 1:
        raise InputError(f"data: train_fraction must be above 0 and at most 1, not {choice.train_fraction}")
    if choice.train_limit is not None and choice.train_limit < 2:
        raise InputError(f"data: train_limit must be at least 2 images, not {choice.train_limit}")
    labels = dataset.train_labels
    validation_count = round(len(labels) * choice.validation_share)
    train_count = len(labels) - validation_count
    if validation_count < 1 or train_count < 2:
        raise InputError(
            f"data: a validation_share of {choice.validation_share} cuts {len(labels)} training images "
            f"into {train_count} and {validation_count}; change the share"
        )
    order = _stratified_order(labels, choice.seed)
    validation, train = order[:validation_count], order[validation_count:]
    if choice.train_limit is not None and choice.train_limit < train_count:
        train = train[: choice.train_limit]
        validation = validation[: max(1, round(validation_count * choice.train_limit / train_count))]
    train = train[: max(2, round(len(train) * choice.train_fraction))]
    return Splits(
        train=_pick(dataset, train),
        validation=_pick(dataset, validation),
        test=ImageSet(dataset.test_images, dataset.test_labels),
    )


def train_and_validation(splits: Splits) -> ImageSet:
    """Return train and validation as one set, for the final training of a selected design."""
    return ImageSet(
        torch.cat([splits.train.images, splits.validation.images]),
        torch.cat([splits.train.labels, splits.validation.labels]),
    )


def _stratified_order(labels: Tensor, seed: int) -> Tensor:
    """Return a random order of which every stretch holds the classes in their overall proportion.

    An image's place is its random rank within its class as a share of the class: after any share of the
    order, that share of every class has come, to within one image.

    Args:
        labels: int64 [N].
        seed: Seed of the ranks.

    Returns:
        int64 [N], a permutation.
    """
    shuffled = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
    shuffled_labels = labels[shuffled]
    place = torch.empty(len(labels), dtype=torch.float64)
    for label in range(int(labels.max()) + 1):
        members = (shuffled_labels == label).nonzero().flatten()
        place[members] = (torch.arange(len(members), dtype=torch.float64) + 0.5) / len(members)
    return shuffled[place.argsort(stable=True)]


def _pick(dataset: Dataset, indices: Tensor) -> ImageSet:
    """Gather in file order, which reads memory forwards; batches are shuffled anyway."""
    indices = indices.sort().values
    return ImageSet(dataset.train_images[indices], dataset.train_labels[indices])
