"""What a study's fidelity is made of: the one resource that optimizers see, and the quantities that records name."""

import math
from collections.abc import Mapping
from typing import Literal

FidelityName = Literal["epochs", "shift_depth", "data_fraction", "epochs,data_fraction"]

FULL_DATA_PERCENT = 100
_EXACT_DIGITS = 6  # resources are whole numbers; the digits that division and multiplication cost are cut


def quantities_at(name: FidelityName, resource: float, full: float) -> dict[str, float]:
    """Return what an evaluation at a resource is made of, by quantity.

    A resource is counted in epochs, layers or per cent of the training images. That of `epochs,data_fraction` is
    counted in epochs over all images, and scales both along one line: r of R such epochs are e = round(sqrt(r R))
    epochs over the share r/e of the images, so that costs stay proportional to the resource and r = R is the full
    training. Both shrink by the same factor, but for the rounding.

    Args:
        name: The fidelity.
        resource: What to spend, at least 1.
        full: Resource of a full evaluation.
    """
    if name == "data_fraction":
        return {"data_fraction": resource / FULL_DATA_PERCENT}
    if name == "epochs,data_fraction":
        epochs = max(round(math.sqrt(resource * full)), math.ceil(resource))
        return {"epochs": float(epochs), "data_fraction": resource / epochs}
    return {name: float(resource)}


def resource_of(quantities: Mapping[str, float]) -> float:
    """Return the resource of an evaluation, 0 if the study has no fidelity. Inverse of `quantities_at`."""
    if not quantities:
        return 0.0
    if set(quantities) == {"data_fraction"}:
        return round(quantities["data_fraction"] * FULL_DATA_PERCENT, _EXACT_DIGITS)
    return round(math.prod(quantities.values()), _EXACT_DIGITS)


def hyperparameter_of(name: FidelityName | None) -> str | None:
    """Return the hyperparameter that a fidelity takes the place of, None if the space keeps all of its own."""
    if name is None or name == "data_fraction":
        return None
    return "shift_depth" if name == "shift_depth" else "epochs"
