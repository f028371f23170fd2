"""What a traced network computes, between its modules and the steps of the packed network."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from torch import Tensor, nn

from greenshift.deploy.network import Shape

Clamp = tuple[float, float]
Function = Callable[[Tensor], Tensor]

UNBOUNDED: Clamp = (-math.inf, math.inf)


@dataclass(frozen=True)
class Operation:
    """Base of all operations.

    Attributes:
        name: Unique; that of the module where there is one.
        sources: Names of the operations that it reads.
        shape: Height, width, channels of its map.
        node: Node of the trace whose value it gives, before its clamp.
    """

    name: str
    sources: tuple[str, ...]
    shape: Shape
    node: str


@dataclass(frozen=True)
class Source(Operation):
    """The normalised image, and what is computed of each of its values."""

    function: Function | None = None
    clamp: Clamp = UNBOUNDED


@dataclass(frozen=True)
class Weighted(Operation):
    """A convolution or linear layer, then scale * value + shift for each output, then the clamp.

    Attributes:
        layer: Holds the weights, and the scheme if there is one.
        scale: float64 (outputs,), from batch norms.
        shift: float64 (outputs,), from batch norms; the layer's own bias is scaled and comes on top.
        padding: Top, left, bottom, right.
        clamp: Smallest and largest value that comes out.
    """

    layer: nn.Conv2d | nn.Linear
    scale: Tensor
    shift: Tensor
    padding: tuple[int, int, int, int] = (0, 0, 0, 0)
    clamp: Clamp = UNBOUNDED


@dataclass(frozen=True)
class Sum(Operation):
    """Two maps added, then the clamp."""

    clamp: Clamp = UNBOUNDED


@dataclass(frozen=True)
class Elementwise(Operation):
    """A function of each value, then the clamp."""

    function: Function
    clamp: Clamp = UNBOUNDED


@dataclass(frozen=True)
class Rounding(Operation):
    """How a layer with a scheme rounds its own input: kept only where a byte does not do as much anyway.

    Attributes:
        function: The rounding; it never leaves `bounds`, and rounds a value outside of them as the bound.
        bounds: Smallest and largest value that comes out.
        signs: True if nothing but `bounds` comes out: always kept, on a grid that has both.
    """

    function: Function
    bounds: Clamp
    signs: bool = False


@dataclass(frozen=True)
class Maximum(Operation):
    """Largest value of each window."""

    kernel: tuple[int, int]
    stride: tuple[int, int]
    padding: tuple[int, int, int, int]


@dataclass(frozen=True)
class Average(Operation):
    """Mean of each window."""

    kernel: tuple[int, int]
    stride: tuple[int, int]


@dataclass(frozen=True)
class Subsample(Operation):
    """Every `stride`-th pixel, with channels of zeros before and after."""

    stride: int
    before: int


@dataclass(frozen=True)
class Join(Operation):
    """Channels of several maps, one after the other."""


def then_clamp(first: Clamp, second: Clamp) -> Clamp:
    """Return the clamp that does what two of them do, one after the other."""
    low, high = second
    return min(max(first[0], low), high), min(max(first[1], low), high)
