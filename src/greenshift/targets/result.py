"""What a cost model gives: the cost of one inference, in total and layer by layer."""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from greenshift.objectives import Provenance
from greenshift.profile import Arithmetic, LayerProfile
from greenshift.targets.target import Target


@dataclass(frozen=True)
class LayerCost:
    """Cost of one layer in one inference.

    Attributes:
        name: Qualified name of the layer in the network.
        arithmetic: `float`, `int` or `shift`.
        kernel: What runs the layer; `fused` if its neighbour absorbs it.
        macs: Multiply-accumulates.
        energy_j: Energy.
        latency_s: Time.
        size_bytes: Storage of the layer's parameters in the form that the kernel reads.
        latency_provenance: `measured` if this very shape was timed with this kernel, else `modelled`.
    """

    name: str
    arithmetic: Arithmetic
    kernel: str
    macs: int
    energy_j: float
    latency_s: float
    size_bytes: int
    latency_provenance: Provenance = "modelled"


@dataclass(frozen=True)
class Cost:
    """Cost of one inference of one network on one target.

    Attributes:
        energy_j: Energy, the sum over the layers.
        latency_s: Time, the sum over the layers.
        size_bytes: Storage of all parameters, the sum over the layers.
        peak_memory_bytes: Largest sum of input and output activations of one layer.
        provenance: `modelled`: even where every layer was timed, their sum is a model of the whole.
        uncertainty_factor: The energy is expected between `energy_j / factor` and `energy_j * factor`.
        latency_uncertainty_factor: The same for the time.
        layers: The layers in the order they run.
        fits: True if the network can be stored and run on the target.
        limits: Why it does not fit, in words; empty if it does.
        target: Name of the target.
        model: Cost model and version of the target's figures.
    """

    energy_j: float
    latency_s: float
    size_bytes: int
    peak_memory_bytes: int
    provenance: Provenance
    uncertainty_factor: float
    latency_uncertainty_factor: float
    layers: tuple[LayerCost, ...]
    fits: bool
    limits: tuple[str, ...]
    target: str
    model: str

    def to_json(self) -> dict[str, Any]:
        """Return the cost as a JSON object."""
        data = asdict(self)
        return {**data, "layers": list(data["layers"]), "limits": list(data["limits"])}


def layer_cost(layer: LayerProfile, kernel: str, energy_j: float, latency_s: float, size_bytes: int) -> LayerCost:
    """Cost of a layer, named after its profile."""
    return LayerCost(layer.name, layer.arithmetic, kernel, layer.macs, energy_j, latency_s, size_bytes)


def fused(layer: LayerProfile) -> LayerCost:
    """Cost of a layer that its neighbour absorbs: storage of what was folded, such as a bias, and no work."""
    return layer_cost(layer, "fused", 0.0, 0.0, layer.parameter_bytes)


def network_cost(
    layers: Sequence[LayerCost],
    target: Target,
    kind: str,
    *,
    factors: tuple[float, float],
    size_bytes: int,
    peak_memory_bytes: int,
    limits: tuple[str, ...] = (),
) -> Cost:
    """Cost of a network from that of its layers.

    Args:
        layers: Costs of all layers.
        target: The target, for its name and version.
        kind: What the cost model is called.
        factors: Uncertainty factors of the energy and of the latency.
        size_bytes: As in `Cost`.
        peak_memory_bytes: As in `Cost`.
        limits: What does not fit, empty if everything does.
    """
    return Cost(
        energy_j=math.fsum(layer.energy_j for layer in layers),
        latency_s=math.fsum(layer.latency_s for layer in layers),
        size_bytes=size_bytes,
        peak_memory_bytes=peak_memory_bytes,
        provenance="modelled",
        uncertainty_factor=factors[0],
        latency_uncertainty_factor=factors[1],
        layers=tuple(layers),
        fits=not limits,
        limits=limits,
        target=target.name,
        model=f"{kind} of {target.name} {target.version}",
    )
