"""scikit-learn's handwritten digits, inside the package: 1,797 grey images of 8x8 pixels, nothing to fetch.

Source: Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits" (UCI, 1998, CC BY 4.0), its test part,
with the images in the order of `sklearn.datasets.load_digits`. They are kept here because scikit-learn takes more
room than the rest of this package's needs together, and a test holds them equal.
"""

from pathlib import Path

import numpy as np
import torch

from greenshift.data.dataset import Dataset, channel_statistics
from greenshift.data.registry import register

_BRIGHTEST = 16
_FILE = Path(__file__).with_name("digits.npz")


@register("digits")
def load_digits(_roots: tuple[Path, ...] = ()) -> Dataset:
    """Load the digits, grey values 0..16 scaled to 0..255.

    The split is fixed and stratified: of each class, every fifth image in file order is for testing.
    """
    with np.load(_FILE, allow_pickle=False) as arrays:
        images = torch.from_numpy(np.rint(arrays["images"] * (255 / _BRIGHTEST)).astype(np.uint8)).unsqueeze(1)
        labels = torch.from_numpy(arrays["labels"].astype(np.int64))
    test = torch.zeros(len(labels), dtype=torch.bool)
    for label in range(10):
        test[(labels == label).nonzero().flatten()[4::5]] = True
    mean, std = channel_statistics(images[~test])
    return Dataset(
        name="digits",
        train_images=images[~test],
        train_labels=labels[~test],
        test_images=images[test],
        test_labels=labels[test],
        classes=tuple(str(label) for label in range(10)),
        mean=mean,
        std=std,
        augment="none",
        epochs_range=(2, 18),
    )
