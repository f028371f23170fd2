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
    "epochs,shift_depth",
    "epochs,weight_bits",
    "epochs,data_fraction",
    "epochs,resolution",
    "shift_depth,weight_bits",
    "shift_depth,data_fraction",
    "shift_depth,resolution",
    "weight_bits,data_fraction",
    "weight_bits,resolution",
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
        of_network: Whether it is cut in the network itself, so that baselines have none. A training costs as much
            with little of it.
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


def counted_in(name: str) -> str:
    """Return the quantity that a fidelity's resource is counted in: the first one that makes a training cheaper.

    Args:
        name: A `FidelityName`.
    """
    names = name.split(",")
    return next((part for part in names if not QUANTITIES[part].of_network), names[0])


def quantities_at(name: FidelityName, resource: float, full: float, depth: int) -> dict[str, float]:
    """Return what an evaluation at a resource is made of, by quantity.

    A resource of one quantity is counted in its unit. One of two that both make a training cheaper is counted in the
    first one's unit at the full amount of the second, and scales both along one line: a resource of r out of R is the
    share sqrt(r / R) of the first, epochs rounded to whole ones, and of the second what makes their product r / R.
    Costs stay proportional to the resource, and both shrink by the same factor, but for the rounding. As a training
    costs the square of its images' side, the share of a resolution is that of their pixels (`pixel_fraction`).
    What is cut in the network (shift depth, bits) makes no training cheaper: beside another quantity it follows as
    the same share r / R of what there is, in whole layers or bits.

    Args:
        name: The fidelity.
        resource: What to spend, at least 1.
        full: Resource of a full evaluation.
        depth: Number of layers that can be shifted.
    """
    first, _, second = name.partition(",")
    counted = counted_in(name)
    scale = QUANTITIES[counted].scale
    if not second:
        return {first: resource / scale}
    if QUANTITIES[first].of_network or QUANTITIES[second].of_network:
        other = second if counted == first else first
        fewest, most = network_ranges(depth)[other]
        return {counted: resource / scale, other: float(max(fewest, round(resource / full * most)))}
    amount = math.sqrt(resource * full)
    if first == "epochs":
        amount = float(max(round(amount), math.ceil(resource)))
    share = "pixel_fraction" if second == "resolution" else second
    return {first: amount / scale, share: resource / amount}


def network_ranges(depth: int) -> dict[str, tuple[int, int]]:
    """Return the least and the most of what is cut in a network, by quantity.

    Args:
        depth: Number of layers that can be shifted.
    """
    return {"shift_depth": (1, depth), "weight_bits": (FEWEST_WEIGHT_BITS, FULL_WEIGHT_BITS)}


def resource_of(quantities: Mapping[str, float]) -> float:
    """Return the resource of an evaluation, 0 if the study has no fidelity. Inverse of `quantities_at`."""
    if not quantities:
        return 0.0
    costly = without_network(quantities) or dict(list(quantities.items())[:1])
    scale = next(quantity.scale for name, quantity in QUANTITIES.items() if name in costly)
    return round(math.prod(costly.values()) * scale, _EXACT_DIGITS)


def without_network(quantities: Mapping[str, float]) -> dict[str, float]:
    """Return the quantities that baselines have too: those that are not cut in the searched network."""
    return {name: amount for name, amount in quantities.items() if not QUANTITIES[name].of_network}


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


def hyperparameters_of(name: str | None) -> tuple[str, ...]:
    """Return the hyperparameters that a fidelity takes the place of, none if the space keeps all of its own.

    Args:
        name: A `FidelityName`, or None.
    """
    return () if name is None else tuple(part for part in name.split(",") if QUANTITIES[part].searched)


def resource_unit(name: FidelityName) -> str:
    """Say what a fidelity's resource is counted in, such as `epochs`."""
    counted = counted_in(name)
    unit = QUANTITIES[counted].unit
    others = [part for part in name.split(",") if part != counted]
    if not others:
        return unit
    follows = QUANTITIES[others[0]].of_network
    return (
        f"{unit}, {others[0]} in proportion" if follows else f"{unit} at full {others[0]}, as a larger share of either"
    )
