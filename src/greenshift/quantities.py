"""Numbers as people read them: three significant digits, SI prefixes, and never `0.000000`."""

import math

from greenshift.errors import InputError
from greenshift.objectives import OBJECTIVES

NOT_MEASURED = "not measured"

_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "µ", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T"}
_WHOLE_UNITS = ("B",)
_COUNT_WORDS = ((1e12, "trillion"), (1e9, "billion"), (1e6, "million"))
_MINUTE_S, _HOUR_S, _DAY_S, _YEAR_S = 60.0, 3600.0, 86400.0, 365.25 * 86400.0


def format_quantity(value: float | None, unit: str) -> str:
    """Write a quantity with three significant digits and an SI prefix.

    Bytes are decimal (1 kB is 1000 B) and whole below 1 kB. Seconds from two minutes on are written as
    a duration.

    Args:
        value: The quantity in `unit`, or None if it was not measured.
        unit: `J`, `s`, `B`, `W`, `gCO2e`, or empty for a plain number, which gets no prefix.

    Returns:
        Text such as `410 nJ`, `41.3 kB`, `2 min 41 s`, `0 J` or `not measured`.
    """
    if value is None:
        return NOT_MEASURED
    suffix = f" {unit}" if unit else ""
    if not unit and math.isfinite(value):
        return f"{value:.3g}" if abs(value) < 1000 else _grouped(float(f"{value:.3g}"))
    if not math.isfinite(value):
        return ("not a number" if math.isnan(value) else "∞" if value > 0 else "-∞") + suffix
    if value == 0:
        return f"0 {unit}"
    if unit == "s" and abs(value) >= 2 * _MINUTE_S:
        return format_duration(value)
    if unit in _WHOLE_UNITS and abs(value) < 999.5:
        return f"{value:.0f} {unit}"
    rounded = float(f"{value:.3g}")
    exponent = min(max(3 * math.floor(math.log10(abs(rounded)) / 3 + 1e-12), min(_PREFIXES)), max(_PREFIXES))
    number = _three_digits(rounded / 10.0**exponent)
    return f"{number} {_PREFIXES[exponent]}{unit}"


def format_error(share: float | None) -> str:
    """Write an error given as a share as a percentage, such as `1.94 %`.

    Two decimals below 10 %, one above; more only where a value would read as zero.
    """
    if share is None:
        return NOT_MEASURED
    percent = 100.0 * share
    if not math.isfinite(percent):
        return format_quantity(percent, "%")
    if percent == 0:
        return "0 %"
    if abs(percent) < 0.005:
        return f"{percent:.1g} %"
    return f"{percent:.2f} %" if abs(percent) < 9.995 else f"{percent:.1f} %"


def format_points(difference: float) -> str:
    """Write a difference of two error shares in signed percentage points, such as `+0.42 points`."""
    points = 100.0 * difference
    return f"{points:+.2f} points" if abs(points) >= 0.005 else "±0 points"


def format_ratio(ratio: float) -> str:
    """Write a ratio, such as `7.3x`; two digits below 10, whole above."""
    return f"{ratio:.2g}x" if ratio < 9.95 else f"{ratio:,.0f}x"


def format_duration(seconds: float | None) -> str:
    """Write a time span in at most two units, such as `48.2 s`, `2 min 41 s`, `3 h 5 min` or `54 years`."""
    if seconds is None:
        return NOT_MEASURED
    if not math.isfinite(seconds) or abs(seconds) < 2 * _MINUTE_S:
        return format_quantity(seconds, "s")
    if seconds < 0:
        return "-" + format_duration(-seconds)
    if seconds >= 2 * _YEAR_S:
        return f"{format_count(seconds / _YEAR_S)} years"
    whole = round(seconds)
    if whole < _HOUR_S:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole % 60 else "")
    minutes = round(seconds / _MINUTE_S)
    if minutes < 2 * _DAY_S / _MINUTE_S:
        return f"{minutes // 60} h" + (f" {minutes % 60} min" if minutes % 60 else "")
    return f"{seconds / _DAY_S:.0f} days"


def format_count(count: float) -> str:
    """Write a count with three significant digits: `12 300` up to a million, then `3.21 billion`."""
    if not math.isfinite(count):
        return format_quantity(count, "")
    rounded = float(f"{count:.3g}")
    for size, word in _COUNT_WORDS:
        if rounded >= size:
            scaled = rounded / size
            return f"{_three_digits(scaled) if scaled < 1000 else _grouped(scaled)} {word}"
    return _grouped(rounded)


def format_objective(name: str, value: float | None) -> str:
    """Write the value of an objective in its own unit; an objective without a unit is a share.

    Args:
        name: Name of a known objective, such as `energy_j`.
        value: Its value in its unit, or None if it was not measured.

    Raises:
        InputError: If the objective is unknown.
    """
    if name not in OBJECTIVES:
        raise InputError(f"objectives: unknown objective '{name}'; known: {', '.join(OBJECTIVES)}")
    unit = OBJECTIVES[name].unit
    return format_quantity(value, unit) if unit else format_error(value)


def _three_digits(number: float) -> str:
    """Three significant digits without an exponent."""
    size = abs(number)
    if size >= 99.95:
        return f"{number:.0f}"
    if size >= 9.995:
        return f"{number:.1f}"
    return f"{number:.2f}" if size >= 0.995 else f"{number:.3g}"


def _grouped(number: float) -> str:
    """A whole number with thin spaces between its thousands."""
    return f"{number:,.0f}".replace(",", "\u2009")
