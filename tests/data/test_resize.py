"""Smaller images: exact averages over areas, never larger ones."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from greenshift.data import load_dataset, resized
from greenshift.data.resize import area_average
from greenshift.errors import InputError

DIGITS = load_dataset("digits")


def bytes_of(size, seed=0, count=3):
    return torch.randint(0, 256, (count, 2, size, size), generator=torch.Generator().manual_seed(seed)).byte()


@pytest.mark.parametrize(("old", "new"), [(8, 4), (28, 14), (32, 16), (12, 4)])
def test_whole_ratios_are_means_of_squares(old, new):
    images = bytes_of(old)
    wanted = torch.nn.functional.avg_pool2d(images.double(), old // new)
    assert (area_average(images, new).double() - wanted).abs().max() <= 0.5


def test_pixels_on_an_edge_count_by_their_share():
    line = torch.tensor([0, 90, 240], dtype=torch.uint8)
    found = area_average(line.expand(1, 1, 3, 3), 2)  # an old pixel of 1.5 lies in the first, half of the second
    assert found[0, 0].tolist() == [[30, 190], [30, 190]]


@given(st.integers(1, 20).flatmap(lambda old: st.tuples(st.just(old), st.integers(1, old))), st.integers(0, 99))
def test_the_mean_stays_and_the_range_does_not_grow(sizes, seed):
    old, new = sizes
    images = bytes_of(old, seed)
    found = area_average(images, new)
    assert found.dtype == torch.uint8
    assert found.shape == (3, 2, new, new)
    assert (found.double().mean((2, 3)) - images.double().mean((2, 3))).abs().max() <= 0.5
    assert found.min() >= images.min()
    assert found.max() <= images.max()


def test_many_images_are_resized_as_one_is():
    images = bytes_of(6, count=5003)
    found = area_average(images, 4)
    assert torch.equal(found[5001:], area_average(images[5001:], 4))


def test_a_dataset_changes_in_nothing_but_its_images():
    small = resized(DIGITS, 4)
    assert (small.image_size, small.in_channels, small.num_classes) == (4, 1, 10)
    assert (small.mean, small.std, small.name) == (DIGITS.mean, DIGITS.std, DIGITS.name)
    assert small.train_labels is DIGITS.train_labels
    assert len(small.test_images) == len(DIGITS.test_images)
    assert DIGITS.image_size == 8


@pytest.mark.parametrize("resolution", [None, 8])
def test_its_own_resolution_changes_nothing(resolution):
    assert resized(DIGITS, resolution) is DIGITS


def test_larger_images_are_refused():
    with pytest.raises(
        InputError, match="resolution of 9 is above that of digits, whose images have 8 pixels"
    ) as caught:
        resized(DIGITS, 9)
    assert "\n" not in str(caught.value)
