"""Networks by name: the built-in families, any `package.module:factory`, and timm's by `timm:NAME`.

One file per family; a new one is a function marked with `register` and a line here.
"""

from greenshift.models import googlenet, lenet, mobilenet, resnet, tiny, vgg
from greenshift.models.build import build_model
from greenshift.models.registry import model_names
from greenshift.models.weights import load_weights

__all__ = ["build_model", "googlenet", "lenet", "load_weights", "mobilenet", "model_names", "resnet", "tiny", "vgg"]
