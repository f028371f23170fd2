"""Checked fidelities and their rungs."""

from greenshift.errors import InputError
from greenshift.optimize.protocol import Fidelity


def make_fidelity(name: str, minimum: float, maximum: float, eta: int = 3, *, depth: int | None = None) -> Fidelity:
    """Return a checked fidelity for a study.

    Args:
        name: A `greenshift.fidelities.FidelityName`.
        minimum: Smallest useful value, at least 1.
        maximum: Value of a full evaluation.
        eta: Ratio between successive rungs, at least 2.
        depth: Number of layers that can be shifted; bounds the maximum of `shift_depth`.

    Raises:
        InputError: If a value is out of range; the message says which and what is allowed.
    """
    if not 1 <= minimum <= maximum < float("inf"):
        raise InputError(f"fidelity {name}: 1 <= minimum <= maximum is needed, not {minimum:g} and {maximum:g}")
    if eta < 2:
        raise InputError(f"fidelity {name}: eta is the ratio between rungs, at least 2, not {eta}")
    if name == "shift_depth" and depth is not None and maximum > depth:
        raise InputError(f"fidelity shift_depth: maximum {maximum:g} is more than the {depth} layers of the network")
    return Fidelity(name, minimum, maximum, eta)


def rungs(fidelity: Fidelity) -> tuple[float, ...]:
    """Return the values at which configurations are compared, ascending: the maximum divided by powers of eta.

    The lowest one may lie above the minimum: from 2 to 52 with eta 3 they are 6, 17 and 52.
    """
    values: list[float] = []
    value = fidelity.maximum
    while value >= fidelity.minimum * (1 - 1e-9):  # a hair below, because floating point may fall short of it
        values.append(proposed_fidelity(fidelity, value))
        value = fidelity.maximum / fidelity.eta ** len(values)
    return tuple(reversed(values))


def proposed_fidelity(fidelity: Fidelity, value: float) -> float:
    """Return a value as proposals carry it: whole if minimum and maximum are, and never below the minimum."""
    whole = float(fidelity.minimum).is_integer() and float(fidelity.maximum).is_integer()
    return float(max(round(value) if whole else value, fidelity.minimum))
