"""The cost model of processors: modelled cycles, at the power that the board draws while it computes.

On one board power hardly depends on the network (MLPerf Tiny: 1 to 5 % over four models), so energy is
time times a constant and a cheaper layer saves what it saves in cycles, and nothing else.
"""

import math

from greenshift.profile import LayerProfile, NetworkProfile
from greenshift.targets.ability import no_kernel
from greenshift.targets.kernels import Option, choose, options
from greenshift.targets.result import Cost, fused, layer_cost, network_cost
from greenshift.targets.target import CyclesModel, Target
from greenshift.targets.uncertainty import product_factor, sum_factor


def cycles_cost(profile: NetworkProfile, target: Target, model: CyclesModel, max_size_bytes: float) -> Cost:
    """Cost of one inference as cycles times active power over clock.

    Args:
        profile: What the network does.
        target: The target, for its name and version.
        model: The target's figures.
        max_size_bytes: Flash that kernels are chosen for, if it is less than the target's.

    Returns:
        The cost. `size_bytes` is the flash that the chosen kernels need, which for generated code is more
        than the packed weights.

    Raises:
        InputError: If no kernel of the target can run a layer.
    """
    active = [layer for layer in profile.layers if not layer.fused]
    flash_bytes = model.flash_bytes.value - model.flash_reserved_bytes.value
    room = min(flash_bytes, max_size_bytes) - sum(layer.parameter_bytes for layer in profile.layers if layer.fused)
    chosen = iter(choose([_candidates(layer, target, model) for layer in active], room))
    layers, parts = [], []
    for layer in profile.layers:
        if layer.fused:
            layers.append(fused(layer))
            continue
        option = next(chosen)
        spent = [(option.cycles, option.factor), *_other_cycles(layer, model)]
        parts += spent
        latency_s = math.fsum(cycles for cycles, _ in spent) / model.clock_hz.value
        energy_j = latency_s * model.active_power_w.value
        layers.append(layer_cost(layer, option.kernel, energy_j, latency_s, option.size_bytes))
    size_bytes = sum(layer.size_bytes for layer in layers)
    peak_bytes = max((layer.input_bytes + layer.output_bytes for layer in active), default=0)
    limits = _overflows(size_bytes, flash_bytes, peak_bytes, model)
    latency_factor = product_factor(sum_factor(parts), model.clock_hz.factor)
    return network_cost(
        layers,
        target,
        "cycles",
        factors=(product_factor(latency_factor, model.active_power_w.factor), latency_factor),
        size_bytes=size_bytes,
        peak_memory_bytes=peak_bytes,
        limits=limits,
    )


def _candidates(layer: LayerProfile, target: Target, model: CyclesModel) -> list[Option]:
    if not layer.macs:
        return [Option("elementwise", 0.0, 1.0, layer.parameter_bytes)]
    found = options(layer, model)
    if not found:
        raise no_kernel(layer, target.name)
    return found


def _other_cycles(layer: LayerProfile, model: CyclesModel) -> list[tuple[float, float]]:
    """Cycles, with their factors, of elementwise operations and of moving activations."""
    moved = (layer.input_bytes + layer.output_bytes) * model.cycles_per_byte.value
    if layer.arithmetic == "float":
        per_op, words = model.float_cycles_per_op, 1
    else:
        per_op, words = model.int_cycles_per_op, -(-layer.act_bits // int(model.word_bits.value))
    return [(layer.ops * per_op.value * words, per_op.factor), (moved, model.cycles_per_byte.factor)]


def _overflows(size_bytes: int, flash_bytes: float, peak_bytes: int, model: CyclesModel) -> tuple[str, ...]:
    ram_bytes = model.ram_bytes.value - model.ram_reserved_bytes.value
    needs = (("flash", size_bytes, flash_bytes), ("RAM", peak_bytes, ram_bytes))
    return tuple(f"{name}: {need / 1e3:.1f} kB of {room / 1e3:.1f} kB" for name, need, room in needs if need > room)
