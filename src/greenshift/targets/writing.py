"""Timed layers as text of a target's file: what `greenshift calibrate` and `greenshift bench` measure."""

import dataclasses
import json
import statistics
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Shape:
    """Shape of a convolution or linear layer, without the batch dimension.

    Attributes:
        kind: `conv` or `linear`.
        input_shape: Shape of the input.
        output_shape: Shape of the output.
        weights: Number of weights.
        groups: Convolution groups.
    """

    kind: str
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    weights: int
    groups: int = 1

    @property
    def name(self) -> str:
        """Text form, such as `conv-16x32x32-16x32x32-2304`."""
        sizes = ("x".join(map(str, shape)) for shape in (self.input_shape, self.output_shape))
        return "-".join((self.kind, *sizes, str(self.weights), *([f"g{self.groups}"] if self.groups > 1 else [])))


@dataclass(frozen=True)
class Measured:
    """A measured number with its uncertainty factor, at least 1."""

    value: float
    factor: float

    @staticmethod
    def of(values: Sequence[float]) -> "Measured":
        """Return the median of repeats, with the farthest of them as factor."""
        middle = statistics.median(values)
        return Measured(middle, max(max(values) / middle, middle / min(values)))


def figure_text(measured: Measured, source: str, note: str = "") -> str:
    """Return a figure as a table of TOML.

    Args:
        measured: The figure.
        source: Key of its source.
        note: More about it.
    """
    text = f", note = {json.dumps(note)}" if note else ""
    return f'{{ value = {measured.value:.6g}, factor = {measured.factor:.3f}, source = "{source}"{text} }}'


def layer_lines(kernel: str, shape: Shape, taken: Measured, source: str) -> list[str]:
    """Return the table of one timed layer of a kernel, as lines of TOML."""
    lines = [f"{key} = {json.dumps(value)}" for key, value in dataclasses.asdict(shape).items()]
    return ["", f"[{layer_table(kernel, shape)}]", *lines, f"latency_s = {figure_text(taken, source)}"]


def layer_table(kernel: str, shape: Shape) -> str:
    """Return the name of the table of one timed layer of a kernel."""
    return f"kernels.{kernel}.layers.{shape.name}"
