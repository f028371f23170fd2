"""Make layers of a network cheaper."""

from greenshift.activations import Activation
from greenshift.compress.activations import set_activations
from greenshift.compress.calibration import calibrate, reestimate_batch_norm
from greenshift.compress.channels import prune_channels
from greenshift.compress.convert import ConversionReport, LayerReport, convert, weighted_layers
from greenshift.compress.gain import no_gain_of
from greenshift.compress.power_of_two import refit_windows
from greenshift.compress.profiling import profile
from greenshift.compress.prune import apply_masks, planned_sparsity, prune, sparsity_of
from greenshift.schemes import Binary, Depth, PowerOfTwo, Shift, Ternary, Uniform

__all__ = [
    "Activation",
    "Binary",
    "ConversionReport",
    "Depth",
    "LayerReport",
    "PowerOfTwo",
    "Shift",
    "Ternary",
    "Uniform",
    "apply_masks",
    "calibrate",
    "convert",
    "no_gain_of",
    "planned_sparsity",
    "profile",
    "prune",
    "prune_channels",
    "reestimate_batch_norm",
    "refit_windows",
    "set_activations",
    "sparsity_of",
    "weighted_layers",
]
