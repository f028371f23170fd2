"""What a network in integers has to keep to, so that everything that runs it may rely on it."""

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from greenshift.deploy.codes import STORAGES, pack_multipliers, weight_codes
from greenshift.deploy.network import (
    Addition,
    AveragePooling,
    Concatenation,
    Convolution,
    Grid,
    Input,
    Lookup,
    MaxPooling,
    Network,
    Shape,
    Step,
    Subsampling,
)
from greenshift.errors import InputError

# Far above what such networks need; a damaged file cannot make a reader ask for gigabytes.
MAX_STEPS = 10_000
MAX_SIDE = 2**14
MAX_CHANNELS = 2**17
MAX_MAP_BYTES = 2**26
MAX_ALL_MAPS_BYTES = 2**29
MAX_WEIGHTS = 2**29
MAX_EXPONENT = 32
MAX_MULTIPLIER_EXPONENT = 64
MAX_SCALE = MAX_MULTIPLIER_EXPONENT + 16  # of the power of two that a layer's two-byte multipliers share

# Within this difference, the sum of two maps is exact in float32.
MAX_ADDITION_SHIFT = 14


def check(network: Network) -> None:
    """Check a network.

    Raises:
        InputError: If a step breaks a rule; names the step and the rule.
    """
    steps = network.steps
    if not 2 <= len(steps) <= MAX_STEPS:
        raise InputError(f"a network has 2 to {MAX_STEPS} steps, not {len(steps)}")
    for index, step in enumerate(steps):
        try:
            _check_place(index, step, steps)
            _CHECKS[type(step)](step, [steps[source] for source in step.sources])
            _check_shape(step.shape)
        except InputError as error:
            raise InputError(f"step {index} ({describe_name(step.name)}): {error}") from error
    if sum(math.prod(step.shape) for step in steps) > MAX_ALL_MAPS_BYTES:
        raise InputError(f"the maps of all steps take more than {MAX_ALL_MAPS_BYTES} bytes per image")
    if sum(step.weight.size for step in network.convolutions) > MAX_WEIGHTS:
        raise InputError(f"more than {MAX_WEIGHTS} weights")


def describe_name(name: object) -> str:
    """Return a step's name, fit for a message of one line."""
    return name if isinstance(name, str) and name.isprintable() and 0 < len(name) <= 200 else repr(name)[:60]


def window_count(shape: Shape, kernel: Sequence[int], stride: Sequence[int], padding: Sequence[int]) -> tuple[int, int]:
    """Return how many windows lie below each other and side by side on a padded map.

    Raises:
        InputError: If a size is out of range or no window fits.
    """
    if (len(kernel), len(stride), len(padding)) != (2, 2, 4):
        raise InputError("kernel and stride have 2 numbers, padding 4")
    top, left, bottom, right = padding
    if not all(0 <= amount < MAX_SIDE for amount in padding):
        raise InputError(f"padding {tuple(padding)} is out of range")
    if not all(1 <= amount <= MAX_SIDE for amount in (*kernel, *stride)):
        raise InputError(f"kernel {tuple(kernel)} or stride {tuple(stride)} is out of range")
    rooms = (shape[0] + top + bottom, shape[1] + left + right)
    if any(room < size for room, size in zip(rooms, kernel, strict=True)):
        raise InputError(f"a {kernel[0]}x{kernel[1]} kernel does not fit the padded map of {rooms[0]}x{rooms[1]}")
    down, across = ((r - k) // s + 1 for r, k, s in zip(rooms, kernel, stride, strict=True))
    return down, across


def check_channels(outputs: int, inputs: int, groups: int) -> None:
    """Check that groups divide the channels of a convolution.

    Raises:
        InputError: If they do not, or if a number is out of range.
    """
    if not 1 <= outputs <= MAX_CHANNELS:
        raise InputError(f"{outputs} output channels; 1 to {MAX_CHANNELS} are possible")
    if groups < 1 or inputs % groups or outputs % groups:
        raise InputError(f"{groups} groups do not divide {inputs} inputs and {outputs} outputs")


def _check_place(index: int, step: Step, steps: Sequence[Step]) -> None:
    if not (isinstance(step.name, str) and step.name.isprintable() and 0 < len(step.name) <= 200):
        raise InputError("a name is 1 to 200 printable characters")
    if isinstance(step, Input) != (index == 0):
        raise InputError("the first step is the input, and no other one is")
    if any(not 0 <= source < index for source in step.sources):
        raise InputError(f"reads steps {step.sources}; it can read earlier ones only")
    last = index == len(steps) - 1
    if (step.grid is None) != last or (last and not isinstance(step, Convolution)):
        raise InputError("the last step, and only that one, is a convolution or linear layer without a grid: logits")
    if last and step.shape[:2] != (1, 1):
        raise InputError(f"the logits are a map of {step.shape[0]}x{step.shape[1]}, not 1x1")
    if step.grid is not None:
        _check_grid(step.grid)


def _check_grid(grid: Grid) -> None:
    if grid.zero not in (0, 128):
        raise InputError(f"zero is the byte {grid.zero}; it has to be 0 or 128")
    if not -MAX_EXPONENT <= grid.exponent <= MAX_EXPONENT:
        raise InputError(
            f"its step is 2^{grid.exponent}; exponents from -{MAX_EXPONENT} to {MAX_EXPONENT} are possible"
        )


def _check_shape(shape: Shape) -> None:
    height, width, channels = shape
    if not (1 <= height <= MAX_SIDE and 1 <= width <= MAX_SIDE and 1 <= channels <= MAX_CHANNELS):
        raise InputError(f"a map of {height}x{width}x{channels} is out of range")
    if height * width * channels > MAX_MAP_BYTES:
        raise InputError(f"a map of {height}x{width}x{channels} takes more than {MAX_MAP_BYTES} bytes")


def _has_shape(step: Step, shape: Shape) -> None:
    if tuple(step.shape) != tuple(shape):
        raise InputError(f"its shape is {tuple(step.shape)}, but {shape} follows from its sources")


def _has_sources(sources: Sequence[Step], count: int) -> None:
    if len(sources) != count:
        raise InputError(f"reads {len(sources)} steps instead of {count}")


def _has_array(name: str, array: Any, dtype: type, shape: tuple[int, ...]) -> None:
    if not isinstance(array, np.ndarray) or array.dtype != dtype or array.shape != shape:
        found = f"{array.dtype} {array.shape}" if isinstance(array, np.ndarray) else type(array).__name__
        raise InputError(f"its {name} must be {np.dtype(dtype)} {shape}, not {found}")


def _shares_grid(step: Step, sources: Sequence[Step]) -> None:
    if any(source.grid != step.grid for source in sources):
        raise InputError("its grid must be that of what it reads")


def _check_range(step: Convolution | Addition) -> None:
    if not 0 <= step.low <= step.high <= 255:
        raise InputError(f"clips to {step.low}..{step.high}; bytes from 0 to 255 in order are needed")


def _check_input(step: Input, _: Sequence[Step]) -> None:
    _check_shape(step.shape)
    _has_array("table", step.table, np.uint8, (step.shape[2], 256))


def _check_convolution(step: Convolution, sources: Sequence[Step]) -> None:
    _has_sources(sources, 1)
    if step.storage not in STORAGES:
        raise InputError(f"no storage is {step.storage.kind} with {step.storage.bits} bits")
    if np.ndim(step.weight) != 4:
        raise InputError("its weight needs 4 dimensions")
    outputs, inputs = step.weight.shape[0], sources[0].shape[2]
    check_channels(outputs, inputs, step.groups)
    _has_array("weight", step.weight, np.int16, (outputs, *step.kernel, inputs // step.groups))
    _has_array("bias", step.bias, np.int32, (outputs,))
    _has_array("multiplier", step.multiplier, np.float32, (outputs,))
    _has_shape(step, (*window_count(sources[0].shape, step.kernel, step.stride, step.padding), outputs))
    _check_range(step)
    if step.grid is None and (step.low, step.high) != (0, 255):
        raise InputError("logits are not clipped: low and high must be 0 and 255")
    weight_codes(step.weight, step.storage)
    pack_multipliers(step.multiplier)
    if np.abs(np.frexp(step.multiplier)[1]).max() > MAX_MULTIPLIER_EXPONENT:
        raise InputError(f"a multiplier is outside of 2^-{MAX_MULTIPLIER_EXPONENT} to 2^{MAX_MULTIPLIER_EXPONENT}")
    sizes = np.abs(step.weight.reshape(outputs, -1)).sum(axis=1, dtype=np.int64)
    largest = np.abs(step.bias.astype(np.int64)) + 255 * sizes
    if largest.max() >= 2**31:
        channel = int(largest.argmax())
        raise InputError(f"the sums of output channel {channel} can reach {largest[channel]}: 2^31 is too much")


def _check_addition(step: Addition, sources: Sequence[Step]) -> None:
    _has_sources(sources, 2)
    _check_range(step)
    for source in sources:
        _has_shape(step, source.shape)
    exponents = [grid.exponent for part in (*sources, step) if (grid := part.grid) is not None]
    if max(exponents) - min(exponents) > MAX_ADDITION_SHIFT:
        raise InputError(f"grids with the exponents {exponents} differ by more than {MAX_ADDITION_SHIFT}")


def _check_max_pooling(step: MaxPooling, sources: Sequence[Step]) -> None:
    _has_sources(sources, 1)
    _shares_grid(step, sources)
    shape = sources[0].shape
    _has_shape(step, (*window_count(shape, step.kernel, step.stride, step.padding), shape[2]))
    if any(amount >= size for amount, size in zip(step.padding, step.kernel * 2, strict=True)):
        raise InputError(f"padding {step.padding} leaves windows of {step.kernel} without a pixel")


def _check_average_pooling(step: AveragePooling, sources: Sequence[Step]) -> None:
    _has_sources(sources, 1)
    shape = sources[0].shape
    _has_shape(step, (*window_count(shape, step.kernel, step.stride, (0, 0, 0, 0)), shape[2]))
    if 255 * math.prod(step.kernel) >= 2**31:
        raise InputError(f"the sums of {step.kernel} windows do not fit 32 bits")


def _check_lookup(step: Lookup, sources: Sequence[Step]) -> None:
    _has_sources(sources, 1)
    _has_shape(step, sources[0].shape)
    _has_array("table", step.table, np.uint8, (256,))


def _check_subsampling(step: Subsampling, sources: Sequence[Step]) -> None:
    _has_sources(sources, 1)
    _shares_grid(step, sources)
    height, width, channels = sources[0].shape
    if not 1 <= step.stride <= MAX_SIDE:
        raise InputError(f"a stride of {step.stride} is out of range")
    _has_shape(step, (-(-height // step.stride), -(-width // step.stride), step.shape[2]))
    if not 0 <= step.before <= step.shape[2] - channels:
        raise InputError(f"{channels} channels after {step.before} do not fit into {step.shape[2]}")


def _check_concatenation(step: Concatenation, sources: Sequence[Step]) -> None:
    if not sources:
        raise InputError("reads no step")
    _shares_grid(step, sources)
    if any(source.shape[:2] != sources[0].shape[:2] for source in sources):
        raise InputError("the maps that it joins differ in height or width")
    _has_shape(step, (*sources[0].shape[:2], sum(source.shape[2] for source in sources)))


_CHECKS: dict[type, Callable[..., None]] = {
    Input: _check_input,
    Convolution: _check_convolution,
    Addition: _check_addition,
    MaxPooling: _check_max_pooling,
    AveragePooling: _check_average_pooling,
    Lookup: _check_lookup,
    Subsampling: _check_subsampling,
    Concatenation: _check_concatenation,
}
