import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from greenshift.data import Dataset, load_dataset, split, train_and_validation
from greenshift.errors import InputError
from greenshift.records import DataChoice


def dataset(labels):
    """Every image holds its own number, so that it can be found again."""
    count = len(labels)
    numbers = torch.arange(count)
    images = torch.stack([numbers % 256, numbers // 256], 1).to(torch.uint8).view(count, 2, 1, 1)
    return Dataset(
        name="numbers",
        train_images=images,
        train_labels=torch.tensor(labels),
        test_images=images[:3] + 7,
        test_labels=torch.zeros(3, dtype=torch.int64),
        classes=tuple(str(k) for k in range(max(labels) + 1)),
        mean=(0.5, 0.5),
        std=(1.0, 1.0),
    )


def numbers(image_set):
    return (image_set.images[:, 0].long() + 256 * image_set.images[:, 1].long()).flatten()


labels_strategy = st.lists(st.integers(0, 4), min_size=20, max_size=300)


@settings(max_examples=50, deadline=None)
@given(labels_strategy, st.floats(0.1, 0.6), st.integers(0, 1000))
def test_train_and_validation_are_a_stratified_partition(labels, share, seed):
    data = dataset(labels)
    parts = split(data, DataChoice("numbers", validation_share=share, seed=seed))
    assert len(parts.validation) == round(len(labels) * share)
    both = torch.cat([numbers(parts.train), numbers(parts.validation)])
    assert torch.equal(both.sort().values, torch.arange(len(labels)))
    for part in (parts.train, parts.validation):
        assert torch.equal(part.labels, data.train_labels[numbers(part)])
    for label in range(5):
        in_class = labels.count(label)
        in_validation = int((parts.validation.labels == label).sum())
        # The cut falls between images, so a class is off by at most one, and the shared rounding adds some.
        assert abs(in_validation - share * in_class) <= 2


@settings(max_examples=50, deadline=None)
@given(labels_strategy, st.integers(0, 1000), st.integers(2, 15))
def test_a_limit_takes_a_part_of_the_same_cut(labels, seed, limit):
    data = dataset(labels)
    whole = split(data, DataChoice("numbers", seed=seed))
    part = split(data, DataChoice("numbers", seed=seed, train_limit=limit))
    assert len(part.train) == min(limit, len(whole.train))
    ratio = len(part.train) / len(whole.train)
    assert len(part.validation) == max(1, round(len(whole.validation) * ratio))
    assert set(numbers(part.train).tolist()) <= set(numbers(whole.train).tolist())
    assert set(numbers(part.validation).tolist()) <= set(numbers(whole.validation).tolist())


def test_the_seed_decides():
    data = dataset([0, 1] * 50)
    first, second, third = (split(data, DataChoice("numbers", seed=seed)) for seed in (0, 0, 1))
    assert torch.equal(numbers(first.validation), numbers(second.validation))
    assert not torch.equal(numbers(first.validation), numbers(third.validation))


def test_test_is_all_of_it_and_untouched():
    data = dataset([0, 1] * 50)
    parts = split(data, DataChoice("numbers", train_limit=10))
    assert parts.test.images is data.test_images
    assert parts.test.labels is data.test_labels


def test_merged_for_the_last_training():
    data = dataset([0, 1] * 50)
    merged = train_and_validation(split(data, DataChoice("numbers")))
    assert torch.equal(numbers(merged).sort().values, torch.arange(100))
    assert torch.equal(merged.labels, data.train_labels[numbers(merged)])


@pytest.mark.parametrize("limit", [None, 100])
def test_classes_of_digits_stay_even(limit):
    parts = split(load_dataset("digits"), DataChoice("digits", train_limit=limit))
    for part in (parts.train, parts.validation):
        counts = part.labels.bincount(minlength=10)
        assert counts.max() - counts.min() <= max(2, 0.06 * len(part) / 10)


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ({"validation_share": 0.0}, "validation_share must be above 0 and below 1"),
        ({"validation_share": 1.0}, "validation_share"),
        ({"validation_share": 0.001}, "into 20 and 0"),
        ({"validation_share": 0.97}, "into 1 and 19"),
        ({"train_limit": 1}, "train_limit must be at least 2 images, not 1"),
        ({"train_fraction": 0.0}, "train_fraction must be above 0 and at most 1, not 0.0"),
        ({"train_fraction": 1.5}, "train_fraction must be above 0 and at most 1, not 1.5"),
    ],
)
def test_impossible_cuts(choice, message):
    with pytest.raises(InputError, match=message):
        split(dataset([0, 1] * 10), DataChoice("numbers", **choice))


@settings(max_examples=50, deadline=None)
@given(labels_strategy, st.integers(0, 1000), st.floats(0.01, 1.0), st.floats(0.01, 1.0))
def test_a_fraction_takes_a_stratified_part_of_train_alone(labels, seed, one, other):
    data, few, many = dataset(labels), min(one, other), max(one, other)
    whole = split(data, DataChoice("numbers", seed=seed))
    small, large = (split(data, DataChoice("numbers", seed=seed, train_fraction=share)) for share in (few, many))
    kept, among, full = ({*numbers(part.train).tolist()} for part in (small, large, whole))
    assert kept <= among <= full
    assert len(kept) == max(2, round(few * len(full)))
    for part in (small, large):
        assert torch.equal(part.validation.images, whole.validation.images)
        assert torch.equal(part.test.images, whole.test.images)
    for label in range(max(labels) + 1):
        count = int((small.train.labels == label).sum())
        assert abs(count - len(kept) / len(full) * int((whole.train.labels == label).sum())) <= 2


def test_all_images_are_the_split_that_there_was():
    data = dataset([0, 1] * 40)
    assert torch.equal(
        split(data, DataChoice("numbers", train_fraction=1.0)).train.images,
        split(data, DataChoice("numbers")).train.images,
    )
