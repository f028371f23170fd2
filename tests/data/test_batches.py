import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from greenshift.data import ImageSet, augment, batches, evaluation_batches, normalise, training_steps
from greenshift.errors import InputError

CHANNELS_LAST = torch.channels_last


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def random_images(count=6, channels=3, size=20, seed=0):
    return torch.randint(1, 256, (count, channels, size, size), dtype=torch.uint8, generator=generator(seed))


@settings(deadline=None)
@given(st.integers(0, 10_000), st.sampled_from([1, 3]), st.floats(0.01, 0.99), st.floats(0.05, 2.0))
def test_normalise_is_the_formula(seed, channels, mean, std):
    images = random_images(3, channels, 5, seed)
    means, stds = [mean + 0.1 * c for c in range(channels)], [std + 0.1 * c for c in range(channels)]
    got = normalise(images, means, stds)
    for c in range(channels):
        expected = (images[:, c].double() / 255 - means[c]) / stds[c]
        torch.testing.assert_close(got[:, c].double(), expected, rtol=1e-4, atol=1e-5)


def test_normalise_leaves_its_input_and_rounds_only_at_the_end():
    images = random_images()
    before = images.clone()
    exact = normalise(images, (0.5,) * 3, (0.25,) * 3)
    half = normalise(images, (0.5,) * 3, (0.25,) * 3, torch.bfloat16)
    assert torch.equal(images, before)
    assert half.dtype == torch.bfloat16
    assert torch.equal(half, exact.to(torch.bfloat16))


@pytest.mark.parametrize("mode", ["none", "crop", "crop-flip"])
def test_channels_last_stays(mode):
    images = random_images()
    for image_format in (torch.contiguous_format, CHANNELS_LAST):
        augmented = augment(images.contiguous(memory_format=image_format), mode, generator())
        assert augmented.is_contiguous(memory_format=image_format)
        floats = normalise(augmented, (0.0,) * 3, (1.0,) * 3, torch.bfloat16)
        assert floats.is_contiguous(memory_format=image_format)


def test_normalise_refuses_other_channel_counts():
    with pytest.raises(InputError, match="3 channels, mean has 1"):
        normalise(random_images(), (0.5,), (0.5,))


def shifted(image, down, right):
    """The image moved over black, one pixel at a time."""
    result = torch.zeros_like(image)
    _, height, width = image.shape
    for row in range(height):
        for column in range(width):
            if 0 <= row + down < height and 0 <= column + right < width:
                result[:, row, column] = image[:, row + down, column + right]
    return result


@pytest.mark.parametrize(("size", "reach"), [(8, 1), (15, 1), (16, 4)])
@pytest.mark.parametrize("image_format", [torch.contiguous_format, CHANNELS_LAST])
def test_every_image_is_a_shift_of_itself_within_reach(size, reach, image_format):
    images = random_images(12, 2, size).contiguous(memory_format=image_format)
    cropped = augment(images, "crop", generator())
    assert cropped.shape == images.shape
    assert cropped.dtype == torch.uint8
    steps = range(-reach, reach + 1)
    for image, result in zip(images, cropped, strict=True):
        assert any(torch.equal(shifted(image, down, right), result) for down in steps for right in steps)


def test_all_shifts_and_both_sides_occur_evenly():
    image = torch.zeros(1, 1, 8, 8, dtype=torch.uint8)
    image[0, 0, 3, 2] = 255
    results = augment(image.expand(9000, -1, -1, -1), "crop-flip", generator())
    places = results.flatten(1).float().argmax(1).bincount(minlength=64).view(8, 8)
    expected = {(row, column) for row in (2, 3, 4) for column in (1, 2, 3, 4, 5, 6)}
    assert {tuple(place) for place in places.nonzero().tolist()} == expected
    assert places[2:5, 1:7].min() > 400
    assert places.sum() == 9000


def test_the_generator_decides():
    images = random_images(32)
    first, second = generator(1), generator(1)
    assert torch.equal(augment(images, "crop-flip", first), augment(images, "crop-flip", second))
    assert not torch.equal(augment(images, "crop-flip", first), augment(images, "crop-flip", generator(1)))


def test_none_is_free_and_unknown_modes_are_refused():
    images = random_images()
    assert augment(images, "none", generator()) is images
    with pytest.raises(InputError, match="crop-flip, not 'mixup'"):
        augment(images, "mixup", generator())


@settings(deadline=None)
@given(st.integers(2, 60), st.integers(1, 20))
def test_an_epoch_holds_every_image_once_but_a_last_single_one(count, size):
    image_set = ImageSet(torch.zeros(count, 1, 1, 1, dtype=torch.uint8), torch.arange(count))
    found = [labels for _, labels in batches(image_set, size, generator=generator())]
    assert len(found) == training_steps(count, size)
    assert all(len(labels) == size for labels in found[:-1])
    left_out = 1 if size > 1 and count % size == 1 else 0
    labels = torch.cat(found)
    assert len(labels) == len(labels.unique()) == count - left_out
    assert size == 1 or len(found[-1]) > 1


def test_images_stay_with_their_labels_and_epochs_differ():
    labels = torch.arange(50)
    image_set = ImageSet(labels.to(torch.uint8).view(-1, 1, 1, 1).expand(-1, 1, 4, 4), labels)
    source = generator()
    epochs = [list(batches(image_set, 8, generator=source)) for _ in range(2)]
    for epoch in epochs:
        for images, targets in epoch:
            assert torch.equal(images[:, 0, 0, 0].long(), targets)
    orders = [torch.cat([targets for _, targets in epoch]) for epoch in epochs]
    assert not torch.equal(orders[0], orders[1])
    assert not torch.equal(orders[0], labels)


def test_batches_are_augmented():
    image_set = ImageSet(random_images(64), torch.zeros(64, dtype=torch.int64))
    plain = [images for images, _ in batches(image_set, 32, generator=generator())]
    cropped = [images for images, _ in batches(image_set, 32, generator=generator(), augment="crop")]
    assert not torch.equal(plain[0], cropped[0])


@pytest.mark.parametrize(("count", "size"), [(1, 8), (0, 8), (10, 0), (10, -1)])
def test_no_batch_at_all_is_an_error(count, size):
    image_set = ImageSet(torch.zeros(count, 1, 2, 2, dtype=torch.uint8), torch.zeros(count, dtype=torch.int64))
    with pytest.raises(InputError, match=f"{count} images give no batch of size {size}"):
        next(batches(image_set, size, generator=generator()))


def test_evaluation_keeps_order_and_all_images():
    image_set = ImageSet(random_images(11), torch.arange(11))
    found = list(evaluation_batches(image_set, 5))
    assert [len(labels) for _, labels in found] == [5, 5, 1]
    assert torch.equal(torch.cat([images for images, _ in found]), image_set.images)
    assert torch.equal(torch.cat([labels for _, labels in found]), image_set.labels)
