"""Make layers of a network cheaper."""

from greenshift.compress.calibration import calibrate, reestimate_batch_norm
from greenshift.compress.channels import prune_channels
from greenshift.compress.convert import ConversionReport, LayerReport, convert, weighted_layers
from greenshift.compress.profiling import profile
from greenshift.compress.prune import apply_masks, planned_sparsity, prune, sparsity_of
from greenshift.schemes import Binary, Depth, Shift, Ternary, Uniform

__all__ = [
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
    "prune_channels",
    "reestimate_batch_norm",
    "sparsity_of",
    "weighted_layers",
]
