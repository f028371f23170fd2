"""Make layers of a network cheaper."""

from greenshift.compress.calibration import calibrate, reestimate_batch_norm
from greenshift.compress.convert import ConversionReport, LayerReport, convert, weighted_layers
from greenshift.compress.profiling import profile
from greenshift.schemes import Depth, Shift, Uniform

__all__ = [
    "ConversionReport",
    "Depth",
    "LayerReport",
    "Shift",
    "Uniform",
    "calibrate",
    "convert",
    "profile",
    "reestimate_batch_norm",
    "weighted_layers",
]
