"""What packing did to a network."""

import dataclasses
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class PackedLayer:
    """One convolution or linear layer.

    Attributes:
        name: Its name in the model.
        kind: `shift`, `int8`, `ternary` or `binary`.
        bits: Bits of a stored weight.
        weights: Number of weights.
        trained_as: The scheme that it was trained with; None if its integers were made after the training.
        rounded: Weights changed to fit the window of exponents.
        rounded_energy: Share of its squared weights that this changed, 0 to 1.
    """

    name: str
    kind: str
    bits: int
    weights: int
    trained_as: str | None
    rounded: int = 0
    rounded_energy: float = 0.0


@dataclass(frozen=True)
class PackReport:
    """What packing did.

    Attributes:
        layers: Convolutions and linear layers, in order.
        steps: Number of steps of the packed network.
        merged: Batch norms, activations and other parts of the model that went into another step.
        calibration_images: Images that the grids of the maps were chosen on.
        agreement: Share of these images to which the packed network gives the class of the float model.
        largest_difference: Largest difference of a logit on them, as a share of the largest logit.
        float32_bytes: Weights and biases in float32, batch norms folded.
        size_bytes: Of the packed file; None if none was written.
    """

    layers: tuple[PackedLayer, ...]
    steps: int
    merged: tuple[str, ...]
    calibration_images: int
    agreement: float
    largest_difference: float
    float32_bytes: int
    size_bytes: int | None = None

    @property
    def int8_layers(self) -> tuple[str, ...]:
        """Layers without a scheme, whose weights were rounded to int8 after the training."""
        return tuple(layer.name for layer in self.layers if layer.trained_as is None)

    @property
    def rounded(self) -> tuple[PackedLayer, ...]:
        """Layers of which weights were changed to fit the window of exponents."""
        return tuple(layer for layer in self.layers if layer.rounded)

    def changes(self) -> dict[str, Any]:
        """Return what was changed as JSON values, for the file's description."""
        return {
            "calibration_images": self.calibration_images,
            "agreement": self.agreement,
            "int8_layers": list(self.int8_layers),
            "rounded_weights": {
                layer.name: {"count": layer.rounded, "share_of_squares": layer.rounded_energy} for layer in self.rounded
            },
        }

    def to_json(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {**dataclasses.asdict(self), "int8_layers": list(self.int8_layers)}
