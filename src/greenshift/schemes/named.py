"""Schemes by short names, such as `int4` or `shift3`, as one types them."""

import re
from typing import Any

from greenshift.errors import InputError
from greenshift.schemes.base import Scheme, scheme_from_json

# Where a short name is not the scheme's own, or its scheme has defaults of an older study.
_SHORT: dict[str, dict[str, Any]] = {
    "int": {"scheme": "uniform"},
    "shift": {"scheme": "shift", "kind": "Q", "weight_bits": 4, "act_integer_bits": 8, "act_fraction_bits": 8},
}


def named_scheme(name: str) -> Scheme:
    """Return a scheme by a short name.

    Args:
        name: `int` (uniform), `shift` (DeepShift-Q on 8.8 fixed-point activations) or the name of any scheme, such
            as `ternary`, with its other fields at their defaults; a number behind it is the bits of a weight.

    Raises:
        InputError: If there is no such scheme, it has no bits to choose, or not so many.
    """
    match = re.fullmatch(r"([a-z_]+)(\d*)", name)
    if match is None:
        raise InputError(f"scheme: '{name}' is no name of a scheme, such as int8, shift4 or ternary")
    fields = _SHORT.get(match[1], {"scheme": match[1]})
    return scheme_from_json({**fields, **({"weight_bits": int(match[2])} if match[2] else {})})
