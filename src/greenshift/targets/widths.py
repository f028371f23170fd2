"""How wide the sums of a layer become when no bit is lost."""

import math

from greenshift.errors import InputError
from greenshift.profile import LayerProfile


def accumulator_bits(layer: LayerProfile) -> int:
    """Bits of a sum that holds a layer's integer or shift products exactly.

    The product of integers has the bits of both factors. A shift widens the activation by the distance
    between the largest and the smallest exponent; what would be shifted out by more than the activation's
    own width is under its last bit and dropped. One guard bit is added per doubling of the fan-in.

    Args:
        layer: An integer or shift layer with multiply-accumulates.

    Raises:
        InputError: If a shift layer does not say how many exponents its weights have.
    """
    if layer.arithmetic == "shift":
        if layer.weight_levels < 1:
            raise InputError(f"profile: shift layer '{layer.name}' has weight_levels {layer.weight_levels}, not >= 1")
        widened = layer.act_bits + min(layer.weight_levels - 1, layer.act_bits)
    else:
        widened = layer.act_bits + layer.weight_bits
    return widened + math.ceil(math.log2(max(1.0, fan_in(layer))))


def fan_in(layer: LayerProfile) -> float:
    """Multiply-accumulates behind one output of a layer."""
    return layer.macs / math.prod(layer.output_shape)
