"""Networks by name: the built-in families, any `package.module:factory`, and timm's by `timm:NAME`.

One file per family; a new one is a function marked with `register` and a line here.
"""

from greenshift.models import binary, googlenet, lenet, mobilenet, resnet, tiny, vgg
from greenshift.models.build import build_model
from greenshift.models.compact import replace_dense_blocks
from greenshift.models.registry import model_names
from greenshift.models.weights import copy_weights, load_weights

__all__ = [
    "binary",
    "build_model",
    "copy_weights",
    "googlenet",
    "lenet",
    "load_weights",
    "mobilenet",
    "model_names",
    "replace_dense_blocks",
    "resnet",
    "tiny",
    "vgg",
]
