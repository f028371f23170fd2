"""Parallel coordinates of the configurations, one line per trial, in plain SVG lines."""

import html
import math
from collections.abc import Sequence
from typing import Any

from greenshift.front import comparable
from greenshift.records import Evaluation
from greenshift.report.data import ReportData
from greenshift.report.figures import FRONT_COLOUR, TRIAL_COLOUR, Json, hover_text
from greenshift.report.wording import format_setting

_LOG_RATIO = 50.0


def configurations_figure(data: ReportData) -> Json:
    """Every trial at the front's fidelity as a line over the hyperparameters that vary; front lines in blue.

    Values are placed between the smallest and the largest that was tried, by their logarithm where they
    span a factor of 50 or more; choices in the order of their names. A line is broken where the trial
    does not have the hyperparameter.
    """
    members = comparable(data.evaluations)
    columns = _varying(members)
    scales = [_Scale([m.configuration[name] for m in members if name in m.configuration]) for name in columns]
    on_front = {id(e) for e in data.front}
    traces = []
    for member in sorted(members, key=lambda e: id(e) in on_front):
        front = id(member) in on_front
        pairs = zip(columns, scales, strict=True)
        heights = [scale.place(member.configuration[n]) if n in member.configuration else None for n, scale in pairs]
        traces.append(
            {"x": list(range(len(columns))), "y": heights, "mode": "lines+markers", "name": f"trial {member.trial}"}
            | {"line": {"color": FRONT_COLOUR if front else TRIAL_COLOUR, "width": 2.5 if front else 1}}
            | {"marker": {"size": 7 if front else 4}, "opacity": 1 if front else 0.45, "showlegend": False}
            | {"hoverinfo": "text", "hovertext": [hover_text(member)] * len(columns)}
        )
    labels = [_label(i, text, y) for i, scale in enumerate(scales) for text, y in scale.labels()]
    layout = {
        "xaxis": {
            "tickvals": list(range(len(columns))),
            "ticktext": [html.escape(c.replace("_", " ")) for c in columns],
        }
        | {"range": [-0.3, len(columns) - 0.4], "showgrid": True, "side": "top"},
        "yaxis": {"visible": False, "range": [-0.06, 1.06]},
        "annotations": labels,
        "hovermode": "closest",
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
            return self._values.index(value) / max(len(self._values) - 1, 1)
        low, high, own = (math.log(v) if self._log else v for v in (self._values[0], self._values[-1], value))
        return float((own - low) / (high - low)) if high > low else 0.5

    def labels(self) -> list[tuple[str, float]]:
        shown = [self._values[0], self._values[-1]] if self._numeric and len(self._values) > 4 else self._values
        return [(format_setting(value), self.place(value)) for value in shown]


def _varying(members: Sequence[Evaluation]) -> list[str]:
    """Names of the hyperparameters with more than one value, in the order of the space."""
    names = dict.fromkeys(name for member in members for name in member.configuration)
    return [n for n in names if len({str(m.configuration[n]) for m in members if n in m.configuration}) > 1]


def _label(column: int, text: str, height: float) -> Json:
    return {"x": column, "y": height, "text": html.escape(text), "showarrow": False} | {
        "xanchor": "left",
        "xshift": 6,
        "font": {"size": 11},
    }
