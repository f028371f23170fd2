"""Small networks for tests of targets."""

import math

from greenshift.profile import LayerProfile, NetworkProfile


def conv(arithmetic="int", *, name="conv", channels=16, size=16, weight_bits=8, act_bits=8, levels=0, **fields):
    """A 3x3 convolution that keeps its shape."""
    weights = channels * channels * 9
    shape = (channels, size, size)
    values = {
        "macs": weights * size * size,
        "weights": weights,
        "parameter_bytes": math.ceil(weights * weight_bits / 8),
        "weight_bits": weight_bits,
        "act_bits": act_bits,
        "output_bits": act_bits,
        "weight_levels": levels,
        **fields,
    }
    return LayerProfile(name, "conv", arithmetic, shape, shape, **values)


def shift(weight_bits=4, act_bits=8, **fields):
    """A convolution whose weights are powers of two."""
    return conv("shift", weight_bits=weight_bits, act_bits=act_bits, levels=2 ** (weight_bits - 1) - 1, **fields)


def float32(**fields):
    """A convolution in float32."""
    return conv("float", weight_bits=32, act_bits=32, **fields)


def network(*layers):
    """A network of some layers."""
    return NetworkProfile(layers, layers[0].input_shape)
