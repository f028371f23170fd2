"""What makes a backbone smaller before any scheme: fewer blocks, cheaper blocks, smaller images."""

import math
from typing import Any, Literal, get_args

from greenshift.errors import InputError

BlockName = Literal["dense", "separable", "bottleneck"]
_DEFAULTS = {"depth": 1.0, "blocks": "dense", "resolution": None}


def check_compactness(depth: float, blocks: str, resolution: int | None) -> None:
    """Check what can be checked without the data and the backbone.

    Args:
        depth: Multiplier of the blocks in a stage.
        blocks: What stands in place of dense 3x3 convolutions.
        resolution: Height and width of the network's images in pixels, or None for the data's own.

    Raises:
        InputError: If a value is out of range.
    """
    if type(depth) not in (int, float) or not (math.isfinite(depth) and depth > 0):
        raise InputError(f"design: depth must be a number above 0, not {depth}")
    if blocks not in get_args(BlockName):
        raise InputError(f"design: blocks '{blocks}' is unknown; known: {', '.join(get_args(BlockName))}")
    if resolution is not None and (type(resolution) is not int or resolution < 1):
        raise InputError(f"design: resolution must be a whole number of pixels above 0, not {resolution}")


def compactness_to_json(depth: float, blocks: str, resolution: int | None) -> dict[str, Any]:
    """Return those of the three that are not at their defaults: designs without them keep their digests."""
    values = {"depth": depth, "blocks": blocks, "resolution": resolution}
    return {name: value for name, value in values.items() if value != _DEFAULTS[name]}


def compactness_from_json(data: dict[str, Any]) -> dict[str, Any]:
    """Return the three by their names in `Design`, with the defaults of those that a JSON object lacks."""
    return {name: data.get(name, default) for name, default in _DEFAULTS.items()}
