"""Make layers of a network cheaper."""

from greenshift.activations import Activation
from greenshift.compress.activations import set_activations
from greenshift.compress.calibration import calibrate, reestimate_batch_norm
from greenshift.compress.convert import ConversionReport, LayerReport, convert, weighted_layers
from greenshift.compress.profiling import profile
from greenshift.compress.prune import apply_masks, planned_sparsity, prune, sparsity_of
from greenshift.schemes import Binary, Depth, Shift, Ternary, Uniform

__all__ = [
    "Activation",
    "Binary",
    "ConversionReport",
    "Depth",
    "LayerReport",
    "Shift",
    "Ternary",
    "Uniform",
    "apply_masks",
    "calibrate",
    "convert",
    "planned_sparsity",
    "profile",
    "prune",
    "reestimate_batch_norm",
    "set_activations",
    "sparsity_of",
    "weighted_layers",
]
