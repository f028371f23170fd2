"""Make layers of a network cheaper."""

from greenshift.compress.convert import ConversionReport, LayerReport, convert, weighted_layers
from greenshift.compress.profiling import profile
from greenshift.schemes import Depth, Shift, Uniform

__all__ = [
    "ConversionReport",
    "Depth",
    "LayerReport",
    "Shift",
    "Uniform",
    "convert",
    "profile",
    "weighted_layers",
]
