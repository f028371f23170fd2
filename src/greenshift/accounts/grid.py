"""The carbon intensity of electricity: by country and year from a dated table, as given, or hour by hour."""

import csv
import difflib
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from greenshift.errors import InputError

# Tools put Germany's average between 332 (eco2AI) and 381 g/kWh (codecarbon): they differ by 15 %.
COUNTRY_FACTOR = 1.15
# Assumption: how much less certain each year makes a figure that is held for later ones.
_YEARLY_DRIFT = 1.05

_HOURS = 24
_HOUR_S = 3600.0
_ALIASES = {"UK": "GB"}  # reserved in ISO 3166-1 for the country whose code is GB


@dataclass(frozen=True)
class Grid:
    """Electricity of a place and a time.

    Attributes:
        g_per_kwh: Carbon intensity in gCO2e per kWh, location-based and average; the mean of `hourly` if
            there is one.
        place: Country or what stands for it, in words, or None if it was not named.
        year: Year of the figure, or None if it has none.
        source: Where the figure comes from.
        factor: Multiplicative uncertainty, at least 1; 1 for what the user gave.
        hourly: Intensity of each hour of the day (UTC), empty if it is not known.
        as_in: Year whose figure stands for a later `year`, or None if the figure is of its own year.
    """

    g_per_kwh: float
    place: str | None
    year: int | None
    source: str
    factor: float = 1.0
    hourly: tuple[float, ...] = ()
    as_in: int | None = None

    def over(self, begin_s: float, end_s: float) -> float:
        """Return the mean intensity between two times, in gCO2e per kWh.

        Args:
            begin_s: Unix time of the beginning.
            end_s: Unix time of the end; the hour of `begin_s` counts if it is no later.
        """
        if not self.hourly:
            return self.g_per_kwh
        if end_s <= begin_s:
            return self.hourly[_hour(begin_s)]
        days = math.floor((end_s - begin_s) / (_HOURS * _HOUR_S))
        total = days * _HOURS * _HOUR_S * self.g_per_kwh
        time_s = begin_s + days * _HOURS * _HOUR_S
        while time_s < end_s:
            until_s = min((math.floor(time_s / _HOUR_S) + 1) * _HOUR_S, end_s)
            total += (until_s - time_s) * self.hourly[_hour(time_s)]
            time_s = until_s
        return total / (end_s - begin_s)

    def describe(self) -> str:
        """Say which figure it is, such as `56 gCO2e/kWh, France 2023`."""
        place = "" if self.place is None else f", {self.place}"
        held = "" if self.as_in is None else f" (held as in {self.as_in})"
        return f"{self.g_per_kwh:.4g} gCO2e/kWh{place}" + ("" if self.year is None else f" {self.year}{held}")

    def to_json(self) -> dict[str, Any]:
        """Return the grid as a JSON object."""
        return {
            "g_per_kwh": self.g_per_kwh,
            "place": self.place,
            "year": self.year,
            "as_in": self.as_in,
            "source": self.source,
            "factor": self.factor,
            **({"hourly": list(self.hourly)} if self.hourly else {}),
        }


@dataclass(frozen=True)
class Country:
    """One row of the table that comes with greenshift.

    Attributes:
        iso3: ISO 3166-1 code of three letters.
        iso2: The one of two letters.
        name: Name.
        year: Year of the figures.
        g_per_kwh: Carbon intensity of the electricity generated there, in gCO2e per kWh.
        generation_twh: Electricity generated in the year by kind of generation, in TWh.
        source: Where the row comes from.
    """

    iso3: str
    iso2: str
    name: str
    year: int
    g_per_kwh: float
    source: str
    generation_twh: Mapping[str, float] = field(default_factory=dict)


def find_grid(text: str, year: int | None = None) -> Grid:
    """Return the grid of a country, or of an intensity that is given.

    Args:
        text: ISO 3166-1 code of two or three letters, the country's name, or gCO2e per kWh.
        year: Year of the figure, or None for the newest there is. For a year after the newest the newest
            figure stands, as nothing is known; its uncertainty grows by a twentieth a year (assumption).

    Raises:
        InputError: If the country is unknown, there is no figure of that year, or the intensity is no
            number of at least 0.
    """
    try:
        g_per_kwh = float(text)
    except ValueError:
        newest = find_country(text)
        ahead = 0 if year is None else max(0, year - newest.year)
        country = newest if ahead else find_country(text, year)
        factor = COUNTRY_FACTOR * _YEARLY_DRIFT**ahead
        as_in = newest.year if ahead else None
        when = year if ahead else country.year
        return Grid(country.g_per_kwh, country.name, when, country.source, factor, as_in=as_in)
    if year is not None:
        raise InputError(f"grid {text}: an intensity that is given has no year; leave out --year or name a country")
    return given_grid(g_per_kwh, "as given")


def given_grid(g_per_kwh: float, source: str) -> Grid:
    """Return the grid of an intensity that somebody gave.

    Raises:
        InputError: If it is negative or not finite.
    """
    if not 0 <= g_per_kwh < math.inf:
        raise InputError(f"grid {g_per_kwh:g}: a carbon intensity must be at least 0 gCO2e/kWh and finite")
    return Grid(g_per_kwh, None, None, source)


def find_country(text: str, year: int | None = None) -> Country:
    """Return a country's row of a year, the newest if none is asked for.

    Raises:
        InputError: If the country is unknown (the message has a close match) or has no figure of the year
            (it names the years there are).
    """
    name = text.strip().casefold()
    code = _ALIASES.get(name.upper(), name).casefold()
    rows = [c for c in _countries() if code in (c.iso2.casefold(), c.iso3.casefold(), c.name.casefold())]
    if not rows:
        raise InputError(f"grid '{text}': unknown country; {_close(name)}")
    found = [row for row in rows if year in (None, row.year)]
    if not found:
        years = ", ".join(str(row.year) for row in rows)
        raise InputError(
            f"grid {text}: there is no figure for {rows[0].name} in {year}, only for {years}; "
            f'take one of them or a scenario, such as --scenario "{year}, 80 % wind"'
        )
    return max(found, key=lambda row: row.year)


def read_hourly(path: Path) -> Grid:
    """Read an hourly profile: a CSV file with the columns `hour` (0 to 23, UTC) and `g_per_kwh`.

    Raises:
        InputError: If the file cannot be read, an hour is missing or there twice, or a value is no
            intensity.
    """
    try:
        rows = list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"profile {path}: cannot be read ({error})") from error
    try:
        hours = {int(row["hour"]): float(row["g_per_kwh"]) for row in rows}
    except (KeyError, TypeError, ValueError) as error:
        raise InputError(f"profile {path}: expected numbers in the columns hour and g_per_kwh") from error
    if sorted(hours) != list(range(_HOURS)) or len(rows) != _HOURS:
        raise InputError(f"profile {path}: expected each hour from 0 to 23 (UTC) once, found {len(rows)} rows")
    hourly = tuple(hours[hour] for hour in range(_HOURS))
    if not all(0 <= value < math.inf for value in hourly):
        raise InputError(f"profile {path}: a carbon intensity must be at least 0 gCO2e/kWh and finite")
    return Grid(math.fsum(hourly) / _HOURS, "hourly profile", None, f"as given in {path.name}", hourly=hourly)


def read_table(name: str) -> list[dict[str, str]]:
    """Return the rows of a table that comes with greenshift; `benchmarks/make_grid_tables.py` makes them."""
    text = files("greenshift.accounts").joinpath(name).read_text(encoding="utf-8")
    return list(csv.DictReader(text.splitlines()))


@lru_cache(maxsize=1)
def _countries() -> tuple[Country, ...]:
    return tuple(
        Country(
            iso3=row["iso3"],
            iso2=row["iso2"],
            name=row["name"],
            year=int(row["year"]),
            g_per_kwh=float(row["g_per_kwh"]),
            source=row["source"],
            generation_twh={
                key.removesuffix("_twh"): float(value or 0) for key, value in row.items() if key.endswith("_twh")
            },
        )
        for row in read_table("grid_countries.csv")
    )


def _close(name: str) -> str:
    """Name the closest country, or say what a country looks like."""
    known = {key.casefold(): c for c in _countries() for key in (c.name, c.iso3, c.iso2)}
    close = difflib.get_close_matches(name, list(known), n=1)
    if not close:
        return "write a code such as FR or FRA, or gCO2e/kWh"
    return f"did you mean {known[close[0]].iso3} ({known[close[0]].name})?"


def _hour(time_s: float) -> int:
    """Hour of the day, UTC."""
    return math.floor(time_s / _HOUR_S) % _HOURS
