"""The cost model of a machine that was asked: times of layer shapes, looked up or carried over from the nearest."""

import dataclasses
import math

from greenshift.objectives import Provenance
from greenshift.profile import LayerProfile, NetworkProfile
from greenshift.targets.ability import can_run, no_kernel
from greenshift.targets.result import Cost, LayerCost, fused, layer_cost, network_cost
from greenshift.targets.target import MeasuredModel, Target, TimedKernel, Timing
from greenshift.targets.uncertainty import product_factor, sum_factor


def measured_cost(profile: NetworkProfile, target: Target, model: MeasuredModel) -> Cost:
    """Cost of one inference as a sum over times of layers, times active power.

    A layer whose shape was timed takes that time. Another takes the time per multiply-accumulate of the nearest
    shape of its kind: the one with the fewest doublings between multiply-accumulates, weights and outputs. Of
    the kernels that can run a layer the fastest is taken. Elementwise layers take the time to move their data.

    Args:
        profile: What the network does.
        target: The target, for its name and version.
        model: The target's figures.

    Returns:
        The cost; every network fits.

    Raises:
        InputError: If no kernel of the target can run a layer, or none was timed on its kind of layer.
    """
    active = [layer for layer in profile.layers if not layer.fused]
    layers, parts = [], []
    for layer in profile.layers:
        if layer.fused:
            layers.append(fused(layer))
            continue
        found, factor = _layer(layer, target, model)
        layers.append(found)
        parts.append((found.latency_s, factor))
    # A network takes longer than its layers alone, by how much differs between networks: uncertainty, no correction.
    latency_factor = product_factor(sum_factor(parts), model.network_over_layers.value)
    return network_cost(
        layers,
        target,
        "measured times",
        factors=(product_factor(latency_factor, model.active_power_w.factor), latency_factor),
        size_bytes=profile.size_bytes,
        peak_memory_bytes=max((layer.input_bytes + layer.output_bytes for layer in active), default=0),
    )


def _layer(layer: LayerProfile, target: Target, model: MeasuredModel) -> tuple[LayerCost, float]:
    """Cost of a layer with the uncertainty factor of its time."""
    provenance: Provenance = "modelled"
    if layer.macs:
        kernel, latency_s, factor, doublings = _fastest(layer, target, model)
        provenance = "modelled" if doublings else "measured"
    else:
        kernel, factor = "elementwise", model.memory_bytes_per_s.factor
        latency_s = (layer.input_bytes + layer.output_bytes) / model.memory_bytes_per_s.value
    energy_j = latency_s * model.active_power_w.value
    found = layer_cost(layer, kernel, energy_j, latency_s, layer.parameter_bytes)
    return dataclasses.replace(found, latency_provenance=provenance), factor


def _fastest(layer: LayerProfile, target: Target, model: MeasuredModel) -> tuple[str, float, float, float]:
    """Kernel, time, its uncertainty factor, and doublings between the layer and what was timed."""
    runs = []
    for kernel in model.kernels:
        nearest = _nearest(layer, kernel) if can_run(kernel.ability, layer) else None
        if nearest is not None:
            doublings, timing = nearest
            latency_s = timing.latency_s.value * layer.macs / _macs(timing)
            spread = model.spread_per_doubling.value**doublings
            runs.append((latency_s, kernel.name, product_factor(timing.latency_s.factor, spread), doublings))
    if not runs:
        raise no_kernel(layer, target.name)
    latency_s, name, factor, doublings = min(runs)
    return name, latency_s, factor, doublings


def _nearest(layer: LayerProfile, kernel: TimedKernel) -> tuple[float, Timing] | None:
    """The timed shape nearest to a layer of its kind, with the doublings between them; 0 for the very shape."""
    found = [(_doublings(layer, timing), timing) for timing in kernel.timings if timing.kind == layer.kind]
    return min(found, key=lambda pair: (pair[0], pair[1].name), default=None)


def _doublings(layer: LayerProfile, timing: Timing) -> float:
    asked = (layer.input_shape, layer.output_shape, layer.weights, layer.groups)
    if asked == (timing.input_shape, timing.output_shape, timing.weights, timing.groups):
        return 0.0
    sizes = (
        (layer.macs, _macs(timing)),
        (layer.weights, timing.weights),
        (math.prod(layer.output_shape), math.prod(timing.output_shape)),
        (layer.groups, timing.groups),
    )
    # Shapes that agree in all of this may still differ, as by their stride: at least one doubling then.
    return max(1.0, math.fsum(abs(math.log2(one / other)) for one, other in sizes))


def _macs(timing: Timing) -> int:
    outputs = timing.output_shape[0] if timing.kind == "conv" else timing.output_shape[-1]
    return math.prod(timing.output_shape) // outputs * timing.weights
