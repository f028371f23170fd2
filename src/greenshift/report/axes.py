"""Plotly axes whose ticks are round numbers with a unit of their own size, such as `200 nJ` beside `1 µJ`."""

import math
import re
from collections.abc import Sequence
from typing import Any

from greenshift.objectives import OBJECTIVES
from greenshift.quantities import format_error, format_objective, format_quantity

Json = dict[str, Any]

_MANTISSAS = ((1.0,), (1.0, 3.0), (1.0, 2.0, 5.0), (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0))
_ENOUGH = 4
_MARGIN = 1.25


def log_ticks(low: float, high: float) -> list[float]:
    """Return round numbers for a logarithmic axis, the sparsest choice that gives at least four.

    Args:
        low: Lower end, above 0.
        high: Upper end, above `low`.

    Returns:
        Rising values in [low, high]; evenly spaced ones over a range too narrow for round mantissas.
    """
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    for mantissas in _MANTISSAS:
        values = [float(f"{m:g}e{e}") for e in range(first, last + 1) for m in mantissas]
        ticks = [value for value in values if low <= value <= high]
        if len(ticks) >= _ENOUGH:
            return ticks[:: -(-len(ticks) // (2 * _ENOUGH))]
    return linear_ticks(low, high)


def linear_ticks(low: float, high: float) -> list[float]:
    """Return four to eleven evenly spaced round numbers in [low, high], or `low` alone if the range is empty."""
    if high <= low:
        return [low]
    raw = (high - low) / _ENOUGH
    exponent = math.floor(math.log10(raw))
    step = max(m for m in (1, 2, 5) if m * 10.0**exponent <= raw * (1 + 1e-9)) * 10.0**exponent
    start, end = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [float(f"{index * step:.12g}") for index in range(start, end + 1)]


def objective_axis(name: str, values: Sequence[float], title: str) -> Json:
    """Return an axis for an objective: logarithmic wherever no value forbids it, as networks differ by factors.

    Args:
        name: Name of the objective.
        values: What is drawn, in the objective's unit.
        title: Title of the axis.
    """
    axis: Json = {"title": {"text": title}}
    if not values or min(values) <= 0:
        high = max(values, default=0.0) or 1.0
        ticks = linear_ticks(0.0, high * _MARGIN)
        axis |= {"type": "linear", "range": [-0.03 * high, high * _MARGIN]}
    else:
        low, high = min(values) / _MARGIN, max(values) * _MARGIN
        ticks = log_ticks(low, high)
        axis |= {"type": "log", "range": [math.log10(low), math.log10(high)]}
    return {**axis, "tickvals": ticks, "ticktext": [_tick_text(name, tick) for tick in ticks]}


def cost_axis(values: Sequence[float], unit: str, title: str) -> Json:
    """Return a linear axis from zero for what was spent.

    Args:
        values: What is drawn.
        unit: Its unit, empty for a number.
        title: Title of the axis.
    """
    high = max(values, default=0.0) or 1.0
    ticks = linear_ticks(0.0, high)
    text = [f"{tick:g}" if not unit else _trim(format_quantity(tick, unit)) for tick in ticks]
    return {"title": {"text": title}, "type": "linear", "range": [0, high * 1.04], "tickvals": ticks, "ticktext": text}


def _tick_text(name: str, value: float) -> str:
    return _trim(format_objective(name, value) if OBJECTIVES[name].unit else format_error(value))


def _trim(text: str) -> str:
    """Drop the zeros behind the point: ticks are round."""
    return re.sub(r"\.(\d*?)0+(?=\D|$)", lambda match: f".{match[1]}" if match[1] else "", text)
