"""The cost model of built-for-the-job chips: operations and bytes, each at its price.

Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, gives the prices of one
technology; every tensor is moved a fixed number of times, control and leakage are left out.
"""

import math
from dataclasses import dataclass

from greenshift.errors import InputError
from greenshift.profile import LayerProfile, NetworkProfile
from greenshift.targets.result import Cost, fused, layer_cost
from greenshift.targets.target import Figure, OperationsModel, Target
from greenshift.targets.uncertainty import product_factor, sum_factor
from greenshift.targets.widths import accumulator_bits

_PJ = 1e-12


@dataclass(frozen=True)
class _Part:
    """A share of a cost, with its uncertainty factor."""

    value: float
    factor: float


@dataclass(frozen=True)
class _Traffic:
    """Bytes that a layer moves on chip and beyond."""

    sram_bytes: float
    dram_bytes: float


def operations_cost(profile: NetworkProfile, target: Target, model: OperationsModel) -> Cost:
    """Cost of one inference as a sum over operations and moved bytes.

    Activations have the on-chip memory first. What is left of it holds an equal share of every layer's
    weights; the other weights, and activations of layers too large for the chip, come from DRAM. Tensors are
    packed to the bit. A layer takes the longer of its computing and its moving.

    Args:
        profile: What the network does.
        target: The target, for its name and version.
        model: The target's figures.

    Returns:
        The cost; every network fits, as DRAM has no end here.

    Raises:
        InputError: If a layer has arithmetic without a price.
    """
    active = [layer for layer in profile.layers if not layer.fused]
    peak_bytes = max((_activation_bytes(layer) for layer in active), default=0.0)
    size_bytes = profile.size_bytes
    room = max(0.0, model.sram_bytes.value - peak_bytes)
    resident = min(1.0, room / size_bytes) if size_bytes else 1.0
    layers, energies, times = [], [], []
    for layer in profile.layers:
        if layer.fused:
            layers.append(fused(layer))
            continue
        traffic = _traffic(layer, resident, model)
        energy, time = _energy_parts(layer, traffic, model), _latency(layer, traffic, model)
        energies += energy
        times.append(time)
        energy_j = math.fsum(part.value for part in energy)
        layers.append(layer_cost(layer, "operations", energy_j, time.value, layer.parameter_bytes))
    return Cost(
        energy_j=math.fsum(layer.energy_j for layer in layers),
        latency_s=math.fsum(layer.latency_s for layer in layers),
        size_bytes=size_bytes,
        peak_memory_bytes=math.ceil(peak_bytes),
        provenance="modelled",
        uncertainty_factor=sum_factor((part.value, part.factor) for part in energies),
        latency_uncertainty_factor=sum_factor((part.value, part.factor) for part in times),
        layers=tuple(layers),
        fits=True,
        limits=(),
        target=target.name,
        model=f"operations of {target.name} {target.version}",
    )


def _activation_bytes(layer: LayerProfile) -> float:
    inputs = math.prod(layer.input_shape) * layer.act_bits
    return (inputs + math.prod(layer.output_shape) * layer.output_bits) / 8


def _traffic(layer: LayerProfile, resident: float, model: OperationsModel) -> _Traffic:
    activations = _activation_bytes(layer)
    spilled = max(0.0, activations - model.sram_bytes.value)
    beyond = spilled + layer.parameter_bytes * (1 - resident)
    moves = model.moves_per_byte.value
    return _Traffic((activations + layer.parameter_bytes - beyond) * moves, beyond * moves)


def _energy_parts(layer: LayerProfile, traffic: _Traffic, model: OperationsModel) -> list[_Part]:
    moved = model.moves_per_byte.factor
    parts = [
        _Part(traffic.sram_bytes * model.sram_pj_per_byte.value, product_factor(model.sram_pj_per_byte.factor, moved)),
        _Part(traffic.dram_bytes * model.dram_pj_per_byte.value, product_factor(model.dram_pj_per_byte.factor, moved)),
    ]
    if layer.macs:
        parts += [_times(price, layer.macs) for price in _mac_parts(layer, model)]
    if layer.ops:
        parts.append(_times(_add(layer, layer.act_bits, model), layer.ops))
    return [_times(part, _PJ) for part in parts]


def _mac_parts(layer: LayerProfile, model: OperationsModel) -> list[_Part]:
    """Price in pJ of one multiply-accumulate: the product and the sum."""
    if layer.arithmetic == "float":
        bits = max(layer.act_bits, layer.weight_bits)
        multiply = model.fp16_multiply_pj if bits <= 16 else model.fp32_multiply_pj
        return [_Part(multiply.value, multiply.factor), _add(layer, bits, model)]
    accumulate = _add(layer, accumulator_bits(layer), model)
    if layer.arithmetic == "shift":
        # With one exponent every weight shifts by the same distance, which is wiring.
        return [accumulate] if layer.weight_levels == 1 else [_shift(layer.act_bits, model), accumulate]
    multiply = model.int_multiply_pj_per_bit2
    return [_Part(multiply.value * layer.act_bits * layer.weight_bits, multiply.factor), accumulate]


def _add(layer: LayerProfile, bits: int, model: OperationsModel) -> _Part:
    if layer.arithmetic != "float":
        return _Part(model.int_add_pj_per_bit.value * bits, model.int_add_pj_per_bit.factor)
    # What lies between layers is added as float32, however wide the next layer wants it stored.
    if bits > 32 and layer.macs:
        raise InputError(f"profile: layer '{layer.name}' has floats of {bits} bits; this target prices 16 and 32")
    add = model.fp16_add_pj if bits <= 16 else model.fp32_add_pj
    return _Part(add.value, add.factor)


def _shift(bits: int, model: OperationsModel) -> _Part:
    """Price in pJ of one shift: linear between the known widths and beyond the last, from zero to the first."""
    origin: tuple[int, Figure] = (0, Figure(0.0, model.shift_pj[0][1].factor, ""))
    points = (origin, *model.shift_pj)
    last = next((i for i in range(1, len(points)) if bits <= points[i][0]), len(points) - 1)
    (low_bits, low), (high_bits, high) = points[last - 1], points[last]
    slope = (high.value - low.value) / (high_bits - low_bits)
    return _Part(low.value + slope * (bits - low_bits), max(low.factor, high.factor))


def _latency(layer: LayerProfile, traffic: _Traffic, model: OperationsModel) -> _Part:
    compute_s = (layer.macs + layer.ops) / (model.lanes.value * model.clock_hz.value)
    sram_s = traffic.sram_bytes / model.sram_bytes_per_s.value
    dram_s = traffic.dram_bytes / model.dram_bytes_per_s.value
    if compute_s >= sram_s + dram_s:
        return _Part(compute_s, product_factor(model.lanes.factor, model.clock_hz.factor))
    factor = sum_factor(((sram_s, model.sram_bytes_per_s.factor), (dram_s, model.dram_bytes_per_s.factor)))
    return _Part(sram_s + dram_s, product_factor(factor, model.moves_per_byte.factor))


def _times(part: _Part, count: float) -> _Part:
    return _Part(part.value * count, part.factor)
