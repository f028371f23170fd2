"""What a study's fidelity is made of: the one resource that optimizers see, and the quantities that records name."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

FidelityName = Literal[
    "epochs",
    "shift_depth",
    "weight_bits",
    "data_fraction",
    "resolution",
    "epochs,data_fraction",
    "epochs,resolution",
    "data_fraction,resolution",
]

FULL_PERCENT = 100
FEWEST_WEIGHT_BITS, FULL_WEIGHT_BITS = 2, 8
_EXACT_DIGITS = 6  # resources are whole numbers; the digits that division and multiplication cost are cut


@dataclass(frozen=True)
class Quantity:
    """What may be cut in an evaluation.

    Attributes:
        unit: What a resource of it is counted in.
        words: How an amount of it reads, as a format.
        searched: Whether it takes the place of the hyperparameter of its name.
        resumable: Whether an evaluation with more of it may go on from one with less.
        of_network: Whether it is cut in the network itself, so that baselines have none.
        scale: Resource for each of it.
        eta: Ratio between the rungs of a search.
    """

    unit: str
    words: str
    searched: bool = False
    resumable: bool = False
    of_network: bool = False
    scale: int = 1
    eta: int = 3


# In the order in which two of them are named.
QUANTITIES = {
    "epochs": Quantity("epochs", "{:g} epochs", searched=True, resumable=True),
    "shift_depth": Quantity("layers to shift", "shift depth {:g}", searched=True, of_network=True),
    "weight_bits": Quantity("bits of a shifted weight", "weights of {:g} bits", searched=True, of_network=True),
    "data_fraction": Quantity("per cent of the images", "{:.3g} of the images", scale=FULL_PERCENT),
    "resolution": Quantity("pixels a side", "images of {:g} pixels a side", eta=2),  # costs a fourth each
    "pixel_fraction": Quantity("per cent of the pixels", "{:.3g} of the pixels", scale=FULL_PERCENT),
}


def quantities_at(name: FidelityName, resource: float, full: float) -> dict[str, float]:
    """Return what an evaluation at a resource is made of, by quantity.

    A resource of one quantity is counted in its unit. One of two is counted in the first one's unit at the full
    amount of the second, and scales both along one line: a resource of r out of R is the share sqrt(r / R) of the
    first, epochs rounded to whole ones, and of the second what makes their product r / R. Costs stay proportional
    to the resource, and both shrink by the same factor, but for the rounding. As a training costs the square of its
    images' side, the share of a resolution is that of their pixels (`pixel_fraction`).

    Args:
        name: The fidelity.
        resource: What to spend, at least 1.
        full: Resource of a full evaluation.
    """
    first, _, second = name.partition(",")
    scale = QUANTITIES[first].scale
    if not second:
        return {first: resource / scale}
    amount = math.sqrt(resource * full)
    if first == "epochs":
        amount = float(max(round(amount), math.ceil(resource)))
    share = "pixel_fraction" if second == "resolution" else second
    return {first: amount / scale, share: resource / amount}


def resource_of(quantities: Mapping[str, float]) -> float:
    """Return the resource of an evaluation, 0 if the study has no fidelity. Inverse of `quantities_at`."""
    if not quantities:
        return 0.0
    scale = next(quantity.scale for name, quantity in QUANTITIES.items() if name in quantities)
    return round(math.prod(quantities.values()) * scale, _EXACT_DIGITS)


def resolution_at(quantities: Mapping[str, float], full: int) -> int | None:
    """Return the height and width in pixels of an evaluation's images, None for the full ones.

    Args:
        quantities: Of `quantities_at`.
        full: Height and width of the full images in pixels.
    """
    side = quantities.get("resolution", full * math.sqrt(quantities.get("pixel_fraction", 1.0)))
    return None if round(side) == full else round(side)


def resumable(quantities: Mapping[str, float]) -> bool:
    """Say whether an evaluation may be the start of one with more of its quantities."""
    return all(QUANTITIES[name].resumable for name in quantities)


def hyperparameter_of(name: FidelityName | None) -> str | None:
    """Return the hyperparameter that a fidelity takes the place of, None if the space keeps all of its own."""
    first = "" if name is None else name.partition(",")[0]
    return first if first and QUANTITIES[first].searched else None


def cuts_network(name: FidelityName | None) -> bool:
    """Say whether a fidelity cuts the searched network itself, so that baselines have none."""
    return name in QUANTITIES and QUANTITIES[str(name)].of_network


def resource_unit(name: FidelityName) -> str:
    """Say what a fidelity's resource is counted in, such as `epochs`."""
    first, _, second = name.partition(",")
    unit = QUANTITIES[first].unit
    return f"{unit} at full {second}, as a larger share of either" if second else unit
