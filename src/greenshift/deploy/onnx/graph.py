"""An ONNX graph under construction, in which every map is uint8 between its steps."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenshift.deploy.network import Grid

Array = NDArray[Any]


def step_size(grid: Grid) -> np.float32:
    """Return the step of a grid, exact in float32."""
    return np.float32(2.0**grid.exponent)


class Graph:
    """Nodes and constants of one step after the other.

    Names of values are made of the name of the step that is being written.
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: dict[str, Array] = {}
        self._step = ""

    def begin(self, step: str) -> None:
        """Say which step the next nodes belong to."""
        self._step = step

    def node(self, operator: str, inputs: Sequence[str], output: str | None = None, **attributes: Any) -> str:
        """Append a node and return the name of its output."""
        from onnx import helper

        name = f"{self._step}/{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, inputs, [output or name], name=name, **attributes))
        return output or name

    def constant(self, name: str, value: Array | np.generic) -> str:
        """Keep a constant and return its name."""
        full = f"{self._step}/{name}"
        assert full not in self.constants, f"two constants named {full}"
        self.constants[full] = np.asarray(value)
        return full

    def dequantized(self, value: str, grid: Grid) -> str:
        """Return the real numbers that the bytes of a map stand for."""
        return self.node("DequantizeLinear", self._with_grid(value, grid))

    def quantized(self, value: str, grid: Grid, output: str | None = None) -> str:
        """Return real numbers as bytes of a grid."""
        return self.node("QuantizeLinear", self._with_grid(value, grid), output)

    def per_channel(self, name: str, values: Array, scale: Array) -> str:
        """Return constants that are kept as integers, each slice of the first axis with a scale of its own."""
        zeros = np.zeros(len(scale), values.dtype)
        inputs = [self.constant(name, values), self.constant(f"{name}_scale", scale)]
        return self.node("DequantizeLinear", [*inputs, self.constant(f"{name}_zero", zeros)], axis=0)

    def _with_grid(self, value: str, grid: Grid) -> list[str]:
        count = len(self.nodes)
        scale = self.constant(f"scale_{count}", step_size(grid))
        return [value, scale, self.constant(f"zero_{count}", np.uint8(grid.zero))]
