"""A network in integers as the float32 network that it stands for: what other runtimes get to run in float32."""

import numpy as np
from numpy.typing import NDArray

from greenshift.deploy.network import Addition, Bytes, Convolution, Grid, Lookup, Network
from greenshift.errors import InputError

Floats = NDArray[np.float32]


def real_images(network: Network, images: Bytes) -> Floats:
    """Return images as the float32 network takes them: what the bytes after the input's look-up stand for.

    Args:
        network: Gives the look-up and the grid.
        images: uint8 (batch, height, width, channels).

    Returns:
        float32 (batch, channels, height, width).
    """
    table, grid = network.input.table, network.input.grid
    values = (table.astype(np.float32) - grid.zero) * np.float32(2.0**grid.exponent)
    return np.stack([values[channel][images[..., channel]] for channel in range(images.shape[3])], axis=1)


def real_weights(step: Convolution, source: Grid) -> tuple[Floats, Floats]:
    """Return weights (outputs, inputs / groups, height, width) and biases of a layer in real numbers."""
    step_out = 1.0 if step.grid is None else 2.0**step.grid.exponent
    scale = step.multiplier.astype(np.float64) * step_out
    weight = step.weight * (scale / 2.0**source.exponent)[:, None, None, None]
    return weight.transpose(0, 3, 1, 2).astype(np.float32), (step.bias * scale).astype(np.float32)


def real_range(step: Convolution | Addition) -> tuple[float | None, float | None]:
    """Return the smallest and largest number that comes out of a step; None where only the bytes end.

    That bytes end at 255, and at 0 where they may be negative, is quantisation and no part of the network.
    """
    if step.grid is None:
        return None, None
    step_out, zero = 2.0**step.grid.exponent, step.grid.zero
    low = None if step.low == 0 and zero else (step.low - zero) * step_out
    high = None if step.high == 255 else (step.high - zero) * step_out
    return low, high


def source_grid(network: Network, index: int) -> Grid:
    """Return the grid of what a step reads first."""
    grid = network.steps[network.steps[index].sources[0]].grid
    assert grid is not None, "only the last step has no grid, and nothing reads it"
    return grid


def no_float_form(step: Lookup) -> InputError:
    """Return the error that a look-up table cannot be a float32 layer."""
    return InputError(f"step '{step.name}' is a table of bytes, which has no float32 form")
