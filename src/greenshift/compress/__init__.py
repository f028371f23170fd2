"""Make layers of a network cheaper."""

from greenshift.compress.convert import ConversionReport, LayerReport, convert, weighted_layers
from greenshift.compress.profiling import profile
from greenshift.schemes import Binary, Depth, Shift, Ternary, Uniform

__all__ = [
    "Binary",
    "ConversionReport",
    "Depth",
    "LayerReport",
    "Shift",
    "Ternary",
    "Uniform",
    "convert",
    "profile",
    "weighted_layers",
]
