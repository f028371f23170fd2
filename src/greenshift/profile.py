"""What a network does in one inference, layer by layer. No weights, no torch: pure data for cost models."""

from dataclasses import dataclass
from typing import Literal

Arithmetic = Literal["float", "int", "shift", "binary"]


@dataclass(frozen=True)
class LayerProfile:
    """One layer that costs something, for one input image.

    Attributes:
        name: Qualified name in the network.
        kind: `conv`, `linear`, or `elementwise` (normalisation, activation, residual addition, pooling).
        arithmetic: What one multiply-accumulate is on the target: `float` multiplies floats, `int`
            multiplies integers, `shift` shifts an integer activation, `binary` compares a weight's sign
            with an activation's.
        input_shape: Shape of the input without the batch dimension.
        output_shape: Shape of the output without the batch dimension.
        macs: Multiply-accumulates (0 for elementwise layers); a weight that is a sum of two powers takes two.
        ops: Simple operations that are not multiply-accumulates.
        weights: Number of stored weights, biases not included.
        weight_bits: Bits of one stored weight.
        act_bits: Bits of one input activation.
        output_bits: Bits of one output activation.
        parameter_bytes: Bytes of everything stored for the layer (weights, biases, scales).
        weight_levels: Number of different exponents of a shift weight, 0 for other arithmetic.
        groups: Convolution groups, 1 otherwise.
        fused: True if the layer costs nothing at inference because its neighbour absorbs it.
        sparsity: Share of weights that are zero, wherever they lie.
        activation: Name of the activation function, if the layer is one that a design can replace.
    """

    name: str
    kind: Literal["conv", "linear", "elementwise"]
    arithmetic: Arithmetic
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...]
    macs: int
    ops: int = 0
    weights: int = 0
    weight_bits: int = 32
    act_bits: int = 32
    output_bits: int = 32
    parameter_bytes: int = 0
    weight_levels: int = 0
    groups: int = 1
    fused: bool = False
    sparsity: float = 0.0
    activation: str | None = None

    @property
    def input_bytes(self) -> int:
        """Bytes of the input activations, each activation rounded up to whole bytes."""
        return _count(self.input_shape) * -(-self.act_bits // 8)

    @property
    def output_bytes(self) -> int:
        """Bytes of the output activations, each activation rounded up to whole bytes."""
        return _count(self.output_shape) * -(-self.output_bits // 8)


@dataclass(frozen=True)
class NetworkProfile:
    """All layers of one network in the order they run, for one input.

    Attributes:
        layers: The layers.
        input_shape: Shape of one input, without the batch dimension.
    """

    layers: tuple[LayerProfile, ...]
    input_shape: tuple[int, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference."""
        return sum(layer.macs for layer in self.layers)

    @property
    def size_bytes(self) -> int:
        """Bytes of all stored parameters."""
        return sum(layer.parameter_bytes for layer in self.layers)

    @property
    def peak_activation_bytes(self) -> int:
        """Largest sum of input and output activations of one layer, in bytes."""
        return max((layer.input_bytes + layer.output_bytes for layer in self.layers), default=0)


def _count(shape: tuple[int, ...]) -> int:
    total = 1
    for size in shape:
        total *= size
    return total
