"""The cost model of processors with caches: a layer takes the longer of computing and of moving its data.

Williams, Waterman and Patterson, "Roofline: an insightful visual performance model for multicore
architectures", Communications of the ACM 2009, applied layer by layer.
"""

import math
from dataclasses import dataclass

from greenshift.profile import LayerProfile, NetworkProfile
from greenshift.targets.ability import can_run, is_depthwise, no_kernel, zero_ratio
from greenshift.targets.result import Cost, fused, layer_cost, network_cost
from greenshift.targets.target import Memory, RatedKernel, RooflineModel, Target
from greenshift.targets.uncertainty import product_factor, sum_factor


@dataclass(frozen=True)
class _Run:
    """One way to run one layer: the kernel's name, its time and the time's uncertainty factor."""

    kernel: str
    latency_s: float
    factor: float


def roofline_cost(profile: NetworkProfile, target: Target, model: RooflineModel) -> Cost:
    """Cost of one inference as time times active power, inferences running one after the other.

    All weights and the largest pair of activations are needed again in the next inference: the nearest memory
    that holds them together gives the bandwidth of every layer. Each layer takes the fastest kernel that can run it.

    Args:
        profile: What the network does.
        target: The target, for its name and version.
        model: The target's figures.

    Returns:
        The cost; every network fits. `size_bytes` are the stored parameters, however wide they become in memory.

    Raises:
        InputError: If no kernel of the target can run a layer.
    """
    active = [layer for layer in profile.layers if not layer.fused]
    peak_bytes = max((layer.input_bytes + layer.output_bytes for layer in active), default=0)
    memory = _memory(profile.size_bytes + peak_bytes, model)
    layers, parts = [], []
    for layer in profile.layers:
        if layer.fused:
            layers.append(fused(layer))
            continue
        run = _fastest(layer, target, model, memory)
        overhead = model.overhead_s_per_layer
        parts += [(run.latency_s, run.factor), (overhead.value, overhead.factor)]
        latency_s = run.latency_s + overhead.value
        energy_j = latency_s * model.active_power_w.value
        layers.append(layer_cost(layer, run.kernel, energy_j, latency_s, layer.parameter_bytes))
    latency_factor = sum_factor(parts)
    return network_cost(
        layers,
        target,
        "roofline",
        factors=(product_factor(latency_factor, model.active_power_w.factor), latency_factor),
        size_bytes=profile.size_bytes,
        peak_memory_bytes=peak_bytes,
    )


def _memory(working_set_bytes: int, model: RooflineModel) -> Memory:
    return next(
        level
        for level in model.memories
        if level.capacity_bytes is None or working_set_bytes <= level.capacity_bytes.value
    )


def _fastest(layer: LayerProfile, target: Target, model: RooflineModel, memory: Memory) -> _Run:
    if not layer.macs:
        moved_bytes = layer.input_bytes + layer.output_bytes + layer.parameter_bytes
        return _longer("elementwise", layer.ops / model.ops_per_s.value, model.ops_per_s.factor, moved_bytes, memory)
    runs = [_run(layer, kernel, model, memory) for kernel in model.kernels if can_run(kernel.ability, layer)]
    if not runs:
        raise no_kernel(layer, target.name)
    return min(runs, key=lambda run: (run.latency_s, run.kernel))


def _run(layer: LayerProfile, kernel: RatedKernel, model: RooflineModel, memory: Memory) -> _Run:
    compute_s = layer.macs / kernel.macs_per_s.value * zero_ratio(kernel.ability, layer)
    factors = [kernel.macs_per_s.factor]
    if is_depthwise(layer):
        compute_s *= model.depthwise_ratio.value
        factors.append(model.depthwise_ratio.factor)
    packed_bytes = math.ceil(layer.weights * layer.weight_bits / 8)
    read = packed_bytes if kernel.bytes_per_weight is None else layer.weights * kernel.bytes_per_weight.value
    moved_bytes = read + max(0, layer.parameter_bytes - packed_bytes) + layer.input_bytes + layer.output_bytes
    return _longer(kernel.name, compute_s, product_factor(*factors), moved_bytes, memory)


def _longer(kernel: str, compute_s: float, factor: float, moved_bytes: float, memory: Memory) -> _Run:
    moving_s = moved_bytes / memory.bytes_per_s.value
    if compute_s >= moving_s:
        return _Run(kernel, compute_s, factor)
    return _Run(kernel, moving_s, memory.bytes_per_s.factor)
