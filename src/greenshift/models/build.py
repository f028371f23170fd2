"""One way to a network: by name, by `package.module:factory`, or by `timm:NAME`."""

import difflib
import inspect
import math
from typing import Any

from torch import nn

from greenshift.errors import InputError
from greenshift.models.external import build_from_factory, build_from_timm
from greenshift.models.registry import find_builder, model_names

_SMALLEST_IMAGE = 8


def build_model(
    name: str, *, num_classes: int, in_channels: int, image_size: int, width: float = 1.0, depth: float = 1.0
) -> nn.Module:
    """Build a network with fresh weights from torch's global generator, in training mode.

    A built-in network takes float images [N, in_channels, image_size, image_size] of 8 pixels or more
    to logits [N, num_classes]; for images under 32 pixels its early strides become 1 where its maps would
    otherwise vanish. Under `torch.device("meta")` nothing is allocated.

    Args:
        name: A built-in name (see `model_names`), `package.module:factory`, or `timm:NAME`. The current
            directory can be imported from. A factory is a function or an `nn.Module` class; it gets those
            of `num_classes`, `in_channels`, `image_size` and `width` that its signature accepts.
        num_classes: Number of logits.
        in_channels: Image channels.
        image_size: Height and width of the images in pixels.
        width: Multiplier of the channels, above 0; counts are rounded to multiples of 4.
        depth: Multiplier of the blocks in a stage, above 0; at least one block stays. Built-in networks only: what
            a factory calls depth may be anything.

    Returns:
        The network.

    Raises:
        InputError: If the name is unknown, the factory cannot be imported, does not accept a width
            or a depth other than 1, fails, or gives something that does not map such images to such logits, timm is
            needed but missing, or a number is out of range.
    """
    _check_numbers(num_classes, in_channels, image_size)
    _check_multipliers(width=width, depth=depth)
    arguments = {"num_classes": num_classes, "in_channels": in_channels, "image_size": image_size, "width": width}
    if depth != 1 and ":" in name:
        raise InputError(f"model {name}: networks from elsewhere have no depth multiplier; use depth 1")
    if name.startswith("timm:"):
        return build_from_timm(name.removeprefix("timm:"), arguments)
    if ":" in name:
        return build_from_factory(name, arguments)
    return _build_own(name, arguments, depth)


def _build_own(name: str, arguments: dict[str, Any], depth: float) -> nn.Module:
    builder = find_builder(name)
    if builder is None:
        close = difflib.get_close_matches(name, model_names(), n=3)
        hint = f"did you mean {' or '.join(close)}?" if close else f"known: {', '.join(model_names())}"
        raise InputError(f"model '{name}' is unknown; {hint} (or package.module:factory, or timm:NAME)")
    size = arguments["image_size"]
    if size < _SMALLEST_IMAGE:
        raise InputError(f"model {name}: image_size must be at least {_SMALLEST_IMAGE} pixels, not {size}")
    if "depth" in inspect.signature(builder).parameters:
        return builder(**arguments, depth=depth)
    if depth != 1:
        raise InputError(f"model {name}: it has no depth multiplier; use depth 1")
    return builder(**arguments)


def _check_numbers(num_classes: int, in_channels: int, image_size: int) -> None:
    for label, value in (("num_classes", num_classes), ("in_channels", in_channels), ("image_size", image_size)):
        if value < 1:
            raise InputError(f"model: {label} must be at least 1, not {value}")


def _check_multipliers(**multipliers: float) -> None:
    for label, value in multipliers.items():
        if not (math.isfinite(value) and value > 0):
            raise InputError(f"model: {label} must be a number above 0, not {value}")
