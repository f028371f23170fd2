"""A network in integers: the one description that the runtime, the file, ONNX and C all follow.

Activations are unsigned bytes on a grid whose step is a power of two: byte q stands for (q - zero) 2^exponent. Weights
are small integers, sums are 32-bit integers, and every layer says exactly how a sum becomes a byte again (see
`Convolution`). Everything that runs such a network gives the same bytes, whatever it runs on: docs/adr/0009 says why
it is this arithmetic. Images and maps are NHWC. Nothing here needs torch.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

Bytes = NDArray[np.uint8]
WeightKind = Literal["shift", "int8", "ternary", "binary"]
Shape = tuple[int, int, int]


@dataclass(frozen=True)
class Grid:
    """What the bytes of a map stand for.

    Attributes:
        exponent: The step is 2^exponent.
        zero: The byte that stands for zero: 0 for what is never negative, 128 for what may be.
    """

    exponent: int
    zero: int = 0


@dataclass(frozen=True)
class Storage:
    """How the weights of a layer are stored.

    Attributes:
        kind: `shift` weights are 0 or a signed power of two, `int8` ones whole numbers, `ternary` ones -1, 0 or 1,
            `binary` ones -1 or 1.
        bits: Bits of a stored weight: 4 or 5 for `shift` (magnitudes 2^0..2^6, or 2^0..2^13), 8, 2 and 1 for the
            others.
    """

    kind: WeightKind
    bits: int

    @property
    def name(self) -> str:
        """In one word, such as `shift4` or `ternary`."""
        return f"{self.kind}{self.bits}" if self.kind == "shift" else self.kind

    @property
    def largest(self) -> int:
        """Largest magnitude of a weight."""
        return {"shift": 64 if self.bits == 4 else 8192, "int8": 127}.get(self.kind, 1)


@dataclass(frozen=True)
class Input:
    """The image: raw bytes, looked up channel by channel. Normalisation is in the table.

    Attributes:
        name: Name of the step.
        shape: Height, width, channels.
        grid: Of the bytes after the look-up.
        table: The byte for every raw byte, uint8 (channels, 256).
    """

    name: str
    shape: Shape
    grid: Grid
    table: Bytes = field(repr=False)
    sources: tuple[int, ...] = ()


@dataclass(frozen=True)
class Convolution:
    """Convolution, or a linear layer as one whose kernel covers the whole map.

    With inputs q, the sum is acc = bias + sum w (q - zero_in), exact in int32; positions outside of the map hold
    `zero_in` and so add nothing. Then, all in float32 with rounding to nearest, ties to even:

        v = float32(acc) * multiplier
        out = clip(rint(v) + zero_out, low, high)

    The last layer of a network gives v itself: the logits.

    Attributes:
        name: Name of the layer.
        sources: Index of the step that it reads, as a tuple of one.
        shape: Height, width, channels of the output.
        grid: Of the output; None if the output is float32.
        weight: Integers, int16 (outputs, kernel height, kernel width, inputs / groups).
        bias: int32 (outputs,).
        multiplier: float32 (outputs,), above 0 and with at most 11 significant bits, so that it can be stored in two
            bytes and multiplied cheaply by a processor without floats.
        storage: How the weights are stored.
        stride: Vertical and horizontal.
        padding: Top, left, bottom, right.
        groups: Convolution groups.
        low: Smallest byte that comes out.
        high: Largest byte that comes out.
    """

    name: str
    sources: tuple[int]
    shape: Shape
    grid: Grid | None
    weight: NDArray[np.int16] = field(repr=False)
    bias: NDArray[np.int32] = field(repr=False)
    multiplier: NDArray[np.float32] = field(repr=False)
    storage: Storage
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    groups: int = 1
    low: int = 0
    high: int = 255

    @property
    def kernel(self) -> tuple[int, int]:
        """Height and width of the kernel."""
        return self.weight.shape[1], self.weight.shape[2]

    @property
    def macs(self) -> int:
        """Multiply-accumulates for one image."""
        return self.shape[0] * self.shape[1] * int(self.weight.size)


@dataclass(frozen=True)
class Addition:
    """Sum of two maps: clip(rint((a - zero_a) 2^(e_a - e_out) + (b - zero_b) 2^(e_b - e_out)) + zero_out, low, high).

    All of it is exact in float32; ties go to even.
    """

    name: str
    sources: tuple[int, int]
    shape: Shape
    grid: Grid
    low: int = 0
    high: int = 255


@dataclass(frozen=True)
class MaxPooling:
    """Largest byte of each window; positions outside of the map do not count. The grid is that of the source."""

    name: str
    sources: tuple[int]
    shape: Shape
    grid: Grid
    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)


@dataclass(frozen=True)
class AveragePooling:
    """Mean of each window, all inside of the map.

    With s the sum of (q - zero_in): clip(rint(float32(s) * multiplier) + zero_out, 0, 255), the multiplier being
    float32(2^(e_in - e_out) / window size).
    """

    name: str
    sources: tuple[int]
    shape: Shape
    grid: Grid
    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class Lookup:
    """Any function of one value: the byte for every byte, uint8 (256,)."""

    name: str
    sources: tuple[int]
    shape: Shape
    grid: Grid
    table: Bytes = field(repr=False)


@dataclass(frozen=True)
class Subsampling:
    """Every `stride`-th pixel, with channels of zeros before and after: a shortcut without parameters."""

    name: str
    sources: tuple[int]
    shape: Shape
    grid: Grid
    stride: int
    before: int


@dataclass(frozen=True)
class Concatenation:
    """Channels of several maps of one grid, one after the other."""

    name: str
    sources: tuple[int, ...]
    shape: Shape
    grid: Grid


Step = Input | Convolution | Addition | MaxPooling | AveragePooling | Lookup | Subsampling | Concatenation


@dataclass(frozen=True)
class Network:
    """Steps in the order in which they run; the first is the input, the last gives the logits.

    Attributes:
        steps: Each reads earlier steps only.
        description: JSON values that travel with it: design, dataset, classes, what packing changed.
    """

    steps: tuple[Step, ...]
    description: dict[str, Any] = field(default_factory=dict)

    @property
    def input(self) -> Input:
        """The first step."""
        first = self.steps[0]
        assert isinstance(first, Input)
        return first

    @property
    def classes(self) -> int:
        """Number of logits."""
        return self.steps[-1].shape[2]

    @property
    def convolutions(self) -> Iterator[Convolution]:
        """Convolutions and linear layers, in order."""
        return (step for step in self.steps if isinstance(step, Convolution))

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one image."""
        return sum(step.macs for step in self.convolutions)


def average_multiplier(step: AveragePooling, source: Grid) -> np.float32:
    """Return the factor between a window's sum and its mean on the output's grid."""
    return np.float32(2.0 ** (source.exponent - step.grid.exponent) / math.prod(step.kernel))
