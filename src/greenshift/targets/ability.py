"""Which layers a kernel can run, and what it makes of their zeros."""

from dataclasses import replace

from greenshift.errors import InputError
from greenshift.profile import LayerProfile
from greenshift.targets.target import Ability


def can_run(ability: Ability, layer: LayerProfile) -> bool:
    """Say whether a kernel can run a layer that has multiply-accumulates.

    Signs are bytes to a kernel that does not count bits: it has to be one for int8 layers.
    """
    layer = as_run(ability, layer)
    limits = [(ability.max_act_bits, layer.act_bits), (ability.max_weight_bits, layer.weight_bits)]
    if layer.arithmetic == "shift":
        limits.append((ability.max_levels, layer.weight_levels))
    return layer.arithmetic in ability.runs and all(most is None or value <= most.value for most, value in limits)


def as_run(ability: Ability, layer: LayerProfile) -> LayerProfile:
    """Return what a layer is to a kernel: itself, or for signs where bits are not counted an int8 layer."""
    return as_bytes(layer) if layer.arithmetic == "binary" and "binary" not in ability.runs else layer


def as_bytes(layer: LayerProfile) -> LayerProfile:
    """Return the int8 layer that takes the place of one of signs; what is stored stays as it is."""
    return replace(layer, arithmetic="int", weight_bits=8, act_bits=8)


def zero_ratio(ability: Ability, layer: LayerProfile) -> float:
    """Share of its work that a kernel has with a layer's zero weights, relative to those its speed was taken at.

    Never above 1: fewer zeros than that are not charged, as the difference is within the uncertainty.
    """
    if ability.zero_share is None:
        return 1.0
    return min(1.0, (1 - layer.sparsity) / (1 - ability.zero_share.value))


def is_depthwise(layer: LayerProfile) -> bool:
    """Say whether every channel of a convolution has its own filter, so that no loaded input is used twice."""
    return 1 < layer.groups == layer.output_shape[0]


def no_kernel(layer: LayerProfile, target: str) -> InputError:
    """Return the error that a target has nothing to run a layer with."""
    widths = f"{layer.weight_bits}-bit weights and {layer.act_bits}-bit activations"
    return InputError(f"target {target}: no kernel for {layer.arithmetic} layer '{layer.name}' with {widths}")
