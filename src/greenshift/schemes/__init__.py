"""Schemes: ways to make a layer cheaper, as frozen data.

A scheme is a frozen dataclass in a module of this package, marked with `@register`. Its handler,
which builds the layer, lives in `greenshift.compress`; its costs in the layer's profile.
"""

from greenshift.schemes.base import Depth, LayerKey, Scheme, parse_key, register, scheme_from_json, scheme_to_json
from greenshift.schemes.binary import Binary
from greenshift.schemes.power_of_two import PowerOfTwo
from greenshift.schemes.shift import Shift
from greenshift.schemes.ternary import Ternary
from greenshift.schemes.uniform import Uniform

__all__ = [
    "Binary",
    "Depth",
    "LayerKey",
    "PowerOfTwo",
    "Scheme",
    "Shift",
    "Ternary",
    "Uniform",
    "parse_key",
    "register",
    "scheme_from_json",
    "scheme_to_json",
]
