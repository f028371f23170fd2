"""Which kernel runs which layer on a processor, so that the network is fast and still fits its flash."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from greenshift.profile import LayerProfile
from greenshift.targets.ability import as_run, can_run, is_depthwise, zero_ratio
from greenshift.targets.target import CyclesModel, Kernel
from greenshift.targets.uncertainty import product_factor
from greenshift.targets.widths import accumulator_bits


@dataclass(frozen=True)
class Option:
    """One way to run one layer.

    Attributes:
        kernel: Name of the kernel.
        cycles: Cycles of the layer's multiply-accumulates.
        factor: Uncertainty factor of the cycles.
        size_bytes: Flash of the layer's parameters.
    """

    kernel: str
    cycles: float
    factor: float
    size_bytes: int


def options(layer: LayerProfile, model: CyclesModel) -> list[Option]:
    """All ways to run a layer that has multiply-accumulates, fastest first; empty if no kernel can."""
    found = [_option(layer, kernel, model) for kernel in model.kernels if can_run(kernel.ability, layer)]
    return sorted(found, key=lambda option: (option.cycles, option.size_bytes, option.kernel))


def choose(candidates: Sequence[Sequence[Option]], flash_bytes: float) -> list[Option]:
    """Pick one option per layer: fast, within the flash.

    Every layer starts with its fastest option. While the sum overflows the flash, the change with the most
    flash saved per cycle added is made. As the last change may have saved more than was needed, options are
    then taken back, those that save the most cycles first, as long as the sum still fits.

    Args:
        candidates: Options of each layer, fastest first, none empty.
        flash_bytes: Flash that all layers together may use.

    Returns:
        The chosen options in the order of the layers. Their sum overflows only if no single change
        is left that saves flash.
    """
    chosen = [layer[0] for layer in candidates]
    total = sum(option.size_bytes for option in chosen)
    while total > flash_bytes:
        smaller = [
            (_saving_rate(current, option), -index, option)
            for index, (current, layer) in enumerate(zip(chosen, candidates, strict=True))
            for option in layer
            if option.size_bytes < current.size_bytes
        ]
        if not smaller:
            return chosen
        _, negative, option = max(smaller, key=lambda change: change[:2])
        total += option.size_bytes - chosen[-negative].size_bytes
        chosen[-negative] = option
    return _take_back(chosen, candidates, flash_bytes - total)


def _saving_rate(current: Option, smaller: Option) -> float:
    added = smaller.cycles - current.cycles
    return (current.size_bytes - smaller.size_bytes) / added if added > 0 else math.inf


def _take_back(chosen: list[Option], candidates: Sequence[Sequence[Option]], room: float) -> list[Option]:
    while True:
        faster = [
            (current.cycles - option.cycles, -index, option)
            for index, (current, layer) in enumerate(zip(chosen, candidates, strict=True))
            for option in layer
            if option.cycles < current.cycles and option.size_bytes - current.size_bytes <= room
        ]
        if not faster:
            return chosen
        _, negative, option = max(faster, key=lambda change: change[:2])
        room -= option.size_bytes - chosen[-negative].size_bytes
        chosen[-negative] = option


def _option(layer: LayerProfile, kernel: Kernel, model: CyclesModel) -> Option:
    ratio, factors = zero_ratio(kernel.ability, layer), [kernel.cycles_per_mac.factor]
    pairs = _word_pairs(as_run(kernel.ability, layer), model) if kernel.multiword else 1
    if pairs > 1:
        ratio *= 1 + model.multiword_penalty.value * (pairs - 1)
        factors.append(model.multiword_penalty.factor)
    instructions = ratio
    if is_depthwise(layer):
        ratio *= model.depthwise_ratio.value
        factors.append(model.depthwise_ratio.factor)
    packed_bytes = math.ceil(layer.weights * layer.weight_bits / 8)
    weight_bytes = (
        packed_bytes
        if kernel.bytes_per_weight is None
        else math.ceil(layer.weights * kernel.bytes_per_weight.value * (instructions if kernel.unrolled else 1))
    )
    others_bytes = max(0, layer.parameter_bytes - packed_bytes)
    cycles = layer.macs * kernel.cycles_per_mac.value * ratio
    return Option(kernel.name, cycles, product_factor(*factors), weight_bytes + others_bytes)


def _word_pairs(layer: LayerProfile, model: CyclesModel) -> int:
    """Words of the sum times words of the activation: every pair takes its own shifted addition with carry."""
    word = int(model.word_bits.value)
    return -(-accumulator_bits(layer) // word) * -(-layer.act_bits // word)
