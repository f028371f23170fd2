"""The cost model of built-for-the-job chips: operations and bytes, each at its price.

Horowitz, "Computing's energy problem (and what we can do about it)", ISSCC 2014, gives the prices of one
technology; every tensor is moved a fixed number of times, control and leakage are left out.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from greenshift.errors import InputError
from greenshift.profile import LayerProfile, NetworkProfile
from greenshift.targets.ability import as_bytes
from greenshift.targets.result import Cost, fused, layer_cost, network_cost
from greenshift.targets.target import Figure, FloatPrice, OperationsModel, Target
from greenshift.targets.uncertainty import product_factor, sum_factor
from greenshift.targets.widths import accumulator_bits

_PJ = 1e-12


class _NoPriceError(Exception):
    """The chip cannot do what its text says."""


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
        The cost. Where there is DRAM every network fits, as it has no end here.

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
        times.append(_latency(layer, traffic, model))
        energy = [*_moves(traffic, model), *_work(layer, target, model), *_static(times[-1], model)]
        energies += energy
        energy_j = math.fsum(part.value for part in energy)
        layers.append(layer_cost(layer, "operations", energy_j, times[-1].value, layer.parameter_bytes))
    limits = _overflows(size_bytes + peak_bytes, model)
    return network_cost(
        layers,
        target,
        "operations",
        factors=(
            sum_factor((part.value, part.factor) for part in energies),
            sum_factor((part.value, part.factor) for part in times),
        ),
        size_bytes=size_bytes,
        peak_memory_bytes=math.ceil(peak_bytes),
        limits=limits,
    )


def _factor(parts: Iterable[_Part]) -> float:
    return sum_factor((part.value, part.factor) for part in parts)


def _activation_bytes(layer: LayerProfile) -> float:
    inputs = math.prod(layer.input_shape) * _as_stored(layer).act_bits
    return (inputs + math.prod(layer.output_shape) * layer.output_bits) / 8


def _as_stored(layer: LayerProfile) -> LayerProfile:
    """Take signs for bytes: no price is known for counting bits."""
    return as_bytes(layer) if layer.arithmetic == "binary" else layer


def _traffic(layer: LayerProfile, resident: float, model: OperationsModel) -> _Traffic:
    activations = _activation_bytes(layer)
    spilled = max(0.0, activations - model.sram_bytes.value)
    beyond = spilled + layer.parameter_bytes * (1 - resident)
    moves = model.moves_per_byte.value
    return _Traffic((activations + layer.parameter_bytes - beyond) * moves, beyond * moves)


def _overflows(need_bytes: float, model: OperationsModel) -> tuple[str, ...]:
    room = model.sram_bytes.value
    if model.dram_pj_per_byte is not None or need_bytes <= room:
        return ()
    return (f"on-chip memory: {need_bytes / 1e3:.1f} kB of {room / 1e3:.1f} kB",)


def _moves(traffic: _Traffic, model: OperationsModel) -> list[_Part]:
    sram, moved = model.sram_pj_per_byte, model.moves_per_byte.factor
    # What overflows a chip without DRAM does not fit; it is priced as if it did, so that the cost stays finite.
    dram = model.dram_pj_per_byte or sram
    return [
        _Part(traffic.sram_bytes * sram.value * _PJ, product_factor(sram.factor, moved)),
        _Part(traffic.dram_bytes * dram.value * _PJ, product_factor(dram.factor, moved)),
    ]


def _work(layer: LayerProfile, target: Target, model: OperationsModel) -> list[_Part]:
    parts = []
    try:
        if layer.macs:
            parts += [_times(price, layer.macs * _PJ) for price in _mac_parts(layer, model)]
        if layer.ops:
            parts.append(_times(_add(layer, layer.act_bits, model), layer.ops * _PJ))
    except _NoPriceError as error:
        raise InputError(f"target {target.name}: layer '{layer.name}' needs {error}, which it does not have") from error
    return parts


def _static(time: _Part, model: OperationsModel) -> list[_Part]:
    power = model.static_power_w
    return [] if power is None else [_Part(time.value * power.value, product_factor(time.factor, power.factor))]


def _mac_parts(layer: LayerProfile, model: OperationsModel) -> list[_Part]:
    """Price in pJ of one multiply-accumulate: the product and the sum."""
    layer = _as_stored(layer)
    if layer.arithmetic == "float":
        bits = max(layer.act_bits, layer.weight_bits)
        multiply = _float_price(bits, model).multiply_pj
        return [_Part(multiply.value, multiply.factor), _add(layer, bits, model)]
    accumulate = _add(layer, accumulator_bits(layer), model)
    weight_bits = layer.weight_bits
    if layer.arithmetic == "shift":
        if model.shift_pj:
            # With one exponent every weight shifts by the same distance, which is wiring.
            return [accumulate] if layer.weight_levels == 1 else [_shift(layer.act_bits, model), accumulate]
        # Without a shifter a power of two is an integer: its sign, and a bit for each exponent.
        weight_bits = layer.weight_levels + 1
    multiply = model.int_multiply_pj_per_bit2
    bits2 = _operand_bits(layer.act_bits, model) * _operand_bits(weight_bits, model)
    return [_Part(multiply.value * bits2, multiply.factor), accumulate]


def _operand_bits(bits: int, model: OperationsModel) -> float:
    if model.int_bits is None:
        return bits
    if bits > model.int_bits.value:
        raise _NoPriceError(f"integers of {bits} bits")
    return model.int_bits.value


def _float_price(bits: int, model: OperationsModel) -> FloatPrice:
    price = model.fp16 if bits <= 16 and model.fp16 else model.fp32 if bits <= 32 else None
    if price is None:
        raise _NoPriceError(f"floats of {bits} bits")
    return price


def _add(layer: LayerProfile, bits: int, model: OperationsModel) -> _Part:
    if layer.arithmetic != "float":
        return _Part(model.int_add_pj_per_bit.value * bits, model.int_add_pj_per_bit.factor)
    # What lies between layers is added as float32, however wide the next layer wants it stored.
    add = _float_price(bits if layer.macs else min(bits, 32), model).add_pj
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
    dram = model.dram_bytes_per_s or model.sram_bytes_per_s
    dram_s = traffic.dram_bytes / dram.value
    if compute_s >= sram_s + dram_s:
        return _Part(compute_s, product_factor(model.lanes.factor, model.clock_hz.factor))
    factor = sum_factor(((sram_s, model.sram_bytes_per_s.factor), (dram_s, dram.factor)))
    return _Part(sram_s + dram_s, product_factor(factor, model.moves_per_byte.factor))


def _times(part: _Part, count: float) -> _Part:
    return _Part(part.value * count, part.factor)
