"""Energies, times and rates as people write them, and amounts with what they may be off by."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from greenshift.errors import InputError

_YEAR_S = 365.25 * 86400.0
TIME_UNITS: Mapping[str, float] = {
    "s": 1.0,
    "min": 60.0,
    "h": 3600.0,
    "d": 86400.0,
    "y": _YEAR_S,
}
ENERGY_UNITS: Mapping[str, float] = {
    "J": 1.0,
    "kJ": 1e3,
    "MJ": 1e6,
    "GJ": 1e9,
    "Wh": 3600.0,
    "kWh": 3.6e6,
    "MWh": 3.6e9,
}


@dataclass(frozen=True)
class Amount:
    """An energy and its uncertainty.

    Attributes:
        energy_j: The energy in J.
        factor: Multiplicative uncertainty, at least 1: 9 times in 10 the truth lies between
            `energy_j / factor` and `energy_j * factor`.
    """

    energy_j: float
    factor: float = 1.0

    @property
    def interval(self) -> tuple[float, float]:
        """Lower and upper bound in J."""
        return self.energy_j / self.factor, self.energy_j * self.factor


@dataclass(frozen=True)
class Fleet:
    """Where a network will run.

    Attributes:
        devices: How many devices.
        rate_per_s: Inferences per second on each.
    """

    devices: float
    rate_per_s: float

    @property
    def inferences_per_s(self) -> float:
        """Inferences per second of all devices together."""
        return self.devices * self.rate_per_s


def make_fleet(devices: int | None, rate: str | None) -> Fleet | None:
    """Return the declared fleet, None if there is none.

    Args:
        devices: Number of devices; 1 if only the rate is given.
        rate: Inferences of each, such as `1/s`.

    Raises:
        InputError: If there is a number of devices without a rate, or one of both makes no sense.
    """
    if rate is None:
        if devices is not None:
            raise InputError("fleet: say how often each device infers, such as --rate 1/s")
        return None
    count = 1 if devices is None else devices
    if count < 1:
        raise InputError(f"fleet must be at least 1 device, not {count}")
    return Fleet(count, parse_rate(rate))


def parse_rate(text: str) -> float:
    """Read a rate such as `1/s`, `10/min` or `0.5/h`, in 1/s.

    Raises:
        InputError: If it is no positive number per unit of time.
    """
    number, slash, unit = text.partition("/")
    if not slash or unit.strip() not in TIME_UNITS or not _is_positive(number):
        raise InputError(f"rate '{text}' is not a positive number per {', '.join(TIME_UNITS)}, such as 1/s")
    return float(number) / TIME_UNITS[unit.strip()]


def parse_time(name: str, text: str) -> float:
    """Read a span of time such as `3y` or `90 d`, in s.

    Raises:
        InputError: If it is no positive number with a unit of time.
    """
    return _parse(name, text, TIME_UNITS, "3y")


def parse_energy(name: str, text: str) -> float:
    """Read an energy such as `2kWh` or `500 kJ`, in J.

    Raises:
        InputError: If it is no positive number with a unit of energy.
    """
    return _parse(name, text, ENERGY_UNITS, "2kWh")


def _parse(name: str, text: str, units: Mapping[str, float], example: str) -> float:
    match = re.fullmatch(r"\s*(\S*?)\s*([A-Za-z]+)\s*", text)
    if match is None or match[2] not in units or not _is_positive(match[1]):
        raise InputError(f"{name} '{text}' is not a positive number with one of {', '.join(units)}, such as {example}")
    return float(match[1]) * units[match[2]]


def _is_positive(text: str) -> bool:
    try:
        return 0 < float(text) < math.inf
    except ValueError:
        return False
