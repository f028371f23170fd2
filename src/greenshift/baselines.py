"""The networks that every front is held against."""

import math

from greenshift.data import load_dataset
from greenshift.design import Design, Optimization, Recipe
from greenshift.records import DataChoice
from greenshift.schemes import Depth, Shift, Uniform


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
