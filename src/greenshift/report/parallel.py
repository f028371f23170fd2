"""Parallel coordinates of the configurations, one line per trial, in plain lines."""

import html
import math
from collections.abc import Sequence
from typing import Any

from greenshift.front import comparable
from greenshift.records import Evaluation
from greenshift.report.data import ReportData
from greenshift.report.figures import FRONT_COLOUR, TRIAL_COLOUR, Json
from greenshift.report.wording import describe_name, describe_value, format_setting

_LOG_RATIO = 50.0
_MOST_LABELS = 8


def configurations_figure(data: ReportData) -> Json:
    """Every trial at the front's fidelity as a line over the hyperparameters that vary; front lines in blue.

    Values are placed between the smallest and the largest that was tried, by their logarithm where they
    span a factor of 50 or more; choices in the order of their names. A line is broken where the trial
    does not have the hyperparameter.
    """
    members = comparable(data.evaluations)
    columns = _varying(members)
    scales = {name: _Scale([m.configuration[name] for m in members if name in m.configuration]) for name in columns}
    on_front = {id(e) for e in data.front}
    others = [member for member in members if id(member) not in on_front]
    traces = [_lines(others, scales, {"color": TRIAL_COLOUR, "width": 1}, 4, 0.5)]
    traces += [_lines([member], scales, {"color": FRONT_COLOUR, "width": 2.5}, 7, 1) for member in data.front]
    layout = {
        "xaxis": {
            "tickvals": list(range(len(columns))),
            "ticktext": [html.escape(c.replace("_", " ")) for c in columns],
        }
        | {"range": [-0.2, len(columns) - 0.3], "side": "top", "showline": False, "zeroline": False},
        "yaxis": {"visible": False, "range": [-0.06, 1.06]},
        "margin": {"l": 10, "r": 40, "t": 50, "b": 10},
        "annotations": [_label(i, *label) for i, scale in enumerate(scales.values()) for label in scale.labels()],
        "hovermode": "closest",
        "showlegend": False,
    }
    return {"id": "configurations", "data": traces, "layout": layout, "views": []}


class _Scale:
    """Places the values of one hyperparameter between 0 and 1."""

    def __init__(self, values: Sequence[Any]) -> None:
        self._numeric = all(isinstance(v, int | float) and not isinstance(v, bool) for v in values)
        self._values = sorted(set(values)) if self._numeric else sorted(set(values), key=str)
        low, high = self._values[0], self._values[-1]
        self._log = self._numeric and low > 0 and high / low >= _LOG_RATIO

    def place(self, value: Any) -> float:
        if not self._numeric:
            return self._values.index(value) / (len(self._values) - 1)
        low, high, own = (math.log(v) if self._log else v for v in (self._values[0], self._values[-1], value))
        return float((own - low) / (high - low))

    def labels(self) -> list[tuple[str, float]]:
        few = len(self._values) <= _MOST_LABELS and (not self._numeric or not isinstance(self._values[0], float))
        shown = self._values if few else [self._values[0], self._values[-1]]
        return [
            (f"{value:.2g}" if isinstance(value, float) else format_setting(value), self.place(value))
            for value in shown
        ]


def _lines(members: Sequence[Evaluation], scales: dict[str, _Scale], line: Json, size: int, opacity: float) -> Json:
    """One trace for all members, with a gap after each."""
    x: list[int | None] = []
    y: list[float | None] = []
    text: list[str] = []
    for member in members if scales else ():
        own = member.configuration
        x += [*range(len(scales)), None]
        y += [*(scale.place(own[name]) if name in own else None for name, scale in scales.items()), None]
        values = ", ".join(describe_value(name, value) for name, value in member.objectives.items())
        head = html.escape(f"{describe_name(member)}: {values}") + "<br>"
        text += [*(head + html.escape(f"{name} = {format_setting(own.get(name, '–'))}") for name in scales), ""]
    style = {"mode": "lines+markers", "line": line, "marker": {"size": size}, "opacity": opacity}
    return {"x": x, "y": y, "hoverinfo": "text", "hovertext": text, **style}


def _varying(members: Sequence[Evaluation]) -> list[str]:
    """Names of the hyperparameters with more than one value, in the order of the space."""
    names = dict.fromkeys(name for member in members for name in member.configuration)
    return [n for n in names if len({m.configuration[n] for m in members if n in m.configuration}) > 1]


def _label(column: int, text: str, height: float) -> Json:
    place = {"x": column, "y": height, "xanchor": "left", "xshift": 7}
    return {**place, "text": html.escape(text), "showarrow": False, "font": {"size": 11}, "opacity": 0.85}
