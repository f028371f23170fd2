"""A grid that is not there yet: some shares of its generation are given, the rest is today's."""

import math
import re
from functools import lru_cache

from greenshift.accounts.grid import Country, Grid, find_country, read_table
from greenshift.errors import InputError

# Assumption. The published range of one kind of generation is wide (IPCC AR5: biomass 130 to 420 g/kWh), and
# a year that has not come adds to it.
SCENARIO_FACTOR = 1.5

_PERCENT = 100.0


def scenario_grid(text: str, place: str) -> Grid:
    """Return the grid of a scenario such as `2035, 80 % wind, 5 % solar`.

    A kind of generation that is named counts with the factor of its kind. The rest of the demand is met by
    the kinds that are not named, in today's proportions. Their mean is scaled by what the country's
    intensity is today to what the same factors say of its mix today, because gas or coal is not equally
    dirty everywhere.

    Args:
        text: The year, then shares in percent.
        place: The country whose mix of today is the rest.

    Raises:
        InputError: If the text cannot be read, a kind is unknown or named twice, the shares are negative
            or exceed 100 %, the country is unknown, or its mix has nothing to fill the rest with.
    """
    year, shares = parse_scenario(text)
    country = find_country(place)
    g_per_kwh = math.fsum(share * _factors()[kind] for kind, share in shares.items())
    rest = 1 - math.fsum(shares.values())
    if rest > 0:
        g_per_kwh += rest * _rest_intensity(country, shares)
    source = (
        f"scenario '{text.strip()}' on the mix of {country.name} {country.year}; "
        f"factors by kind of generation and mix: {country.source.split(',')[0]}"
    )
    return Grid(g_per_kwh, f"{country.name} in the scenario", year, source, SCENARIO_FACTOR)


def parse_scenario(text: str) -> tuple[int, dict[str, float]]:
    """Read a scenario: its year, and the share (0 to 1) of each kind of generation it names.

    Raises:
        InputError: As `scenario_grid`.
    """
    year, *parts = (part.strip() for part in text.split(","))
    if not re.fullmatch(r"[12]\d{3}", year) or not parts:
        raise InputError(f"scenario '{text}': write a year and shares, such as \"2035, 80 % wind\"")
    shares: dict[str, float] = {}
    for part in parts:
        match = re.fullmatch(r"(\d+(?:\.\d+)?)\s*%\s*(\w+)", part)
        if match is None or match[2] not in _factors():
            raise InputError(f"scenario: '{part}' is not a percentage of {', '.join(_factors())}, such as 80 % wind")
        if match[2] in shares:
            raise InputError(f"scenario '{text}': names {match[2]} twice; give it once")
        shares[match[2]] = float(match[1]) / _PERCENT
    total = math.fsum(shares.values())
    if total > 1 + 1e-9:
        raise InputError(f"scenario '{text}': the shares add up to {total * _PERCENT:g} %, more than 100 %")
    return int(year), shares


def _rest_intensity(country: Country, named: dict[str, float]) -> float:
    """Intensity of what a scenario does not name."""
    generated = country.generation_twh
    rest = {kind: twh for kind, twh in generated.items() if kind not in named and twh > 0}
    if not rest:
        raise InputError(f"scenario: {country.name} generates with nothing but {', '.join(named)}; give 100 % in all")
    factors = _factors()

    def mean(mix: dict[str, float]) -> float:
        return math.fsum(twh * factors[kind] for kind, twh in mix.items()) / math.fsum(mix.values())

    return mean(rest) * country.g_per_kwh / mean({kind: twh for kind, twh in generated.items() if twh > 0})


@lru_cache(maxsize=1)
def _factors() -> dict[str, float]:
    """Intensity by kind of generation in gCO2e per kWh."""
    return {row["generation"]: float(row["g_per_kwh"]) for row in read_table("grid_factors.csv")}
