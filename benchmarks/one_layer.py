"""Networks of a single layer with random weights, for timing a kernel."""

import numpy as np

from greenshift.deploy.network import Convolution, Grid, Input, Network, Shape, Storage

SHIFT4, INT8, BINARY = Storage("shift", 4), Storage("int8", 8), Storage("binary", 1)


def one_layer(shape: Shape, outputs: int, kernel: int, storage: Storage, seed: int = 0) -> Network:
    """Return raw bytes and one convolution without padding over them, which gives sums scaled to float32.

    Args:
        shape: Height, width and channels of the image.
        outputs: Channels that come out.
        kernel: Height and width of the kernel; that of the image for a linear layer.
        storage: Kind of weights.
        seed: Of the weights.
    """
    rng = np.random.default_rng(seed)
    size = (outputs, kernel, kernel, shape[2])
    signs = rng.integers(0, 2, size, dtype=np.int16) * 2 - 1
    if storage.kind == "shift":
        weight = (signs << rng.integers(0, 7, size, dtype=np.int16)).astype(np.int16)
    else:
        weight = signs if storage.kind == "binary" else rng.integers(-127, 128, size, dtype=np.int16)
    table = np.tile(np.arange(256, dtype=np.uint8), (shape[2], 1))
    image = Input("image", shape, Grid(-8), table)
    layer = Convolution(
        "layer",
        (0,),
        (shape[0] - kernel + 1, shape[1] - kernel + 1, outputs),
        None,
        weight,
        np.zeros(outputs, np.int32),
        np.full(outputs, 2.0**-12, np.float32),
        storage,
    )
    return Network((image, layer))
