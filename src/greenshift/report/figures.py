"""The report's figures as plotly JSON. The page sets fonts, grids and grounds to suit its theme.

A figure with several views has them under `views`: the x values of every trace and the x axis of each.
"""

import html
import math
from collections.abc import Iterable, Sequence
from typing import Any

from greenshift.front import reached_fidelity
from greenshift.objectives import OBJECTIVES
from greenshift.quantities import format_error, format_objective
from greenshift.records import Evaluation
from greenshift.report.axes import cost_axis, objective_axis
from greenshift.report.data import ReportData
from greenshift.report.wording import (
    describe_configuration,
    describe_design,
    describe_fidelity,
    describe_fit,
    describe_name,
    objective_title,
)
from greenshift.selection import recommend

Json = dict[str, Any]
Series = list[tuple[Json, Sequence[Evaluation]]]

FRONT_COLOUR = "#0b7ac4"
TRIAL_COLOUR = "#8a9099"
_RECOMMENDED_COLOUR = "#f0c419"
# Okabe and Ito's palette without its blue, which is the front's: colour-blind readers can tell them apart.
_BASELINE_STYLES = (
    ("#d55e00", "square"),
    ("#009e73", "diamond"),
    ("#cc79a7", "triangle-up"),
    ("#b87d00", "star"),
    ("#7b61c9", "cross"),
    ("#3aa0d8", "hexagon"),
)
_COST_NAMES = ("energy_j", "latency_s", "size_bytes", "peak_memory_bytes")


def front_figure(data: ReportData) -> Json:
    """The first objective against every other quantity: trials, front, baselines. One view per quantity."""
    vertical, *others = (objective.name for objective in data.objectives)
    series = [_staircase(data, others), *_trial_series(data), _front_series(data), *_baseline_series(data)]
    traces = [
        {"type": "scatter", "hoverinfo": "text", **style}
        | {"y": [quantity(e, vertical) for e in members], "hovertext": [hover_text(e) for e in members]}
        for style, members in series
    ]
    views = []
    for name in [*others, *(name for name in _COST_NAMES if name not in {vertical, *others})]:
        columns = [[quantity(e, name) for e in members] for _, members in series]
        axis = objective_axis(name, _numbers(v for column in columns for v in column), _axis_title(data, name))
        if name not in others:
            columns[0] = []
        label = objective_title(name) + ("" if name in others else " (not an objective)")
        views.append({"label": label, "x": columns, "axis": axis})
    heights = _numbers(quantity(e, vertical) for _, members in series for e in members)
    y_axis = objective_axis(vertical, heights, _axis_title(data, vertical))
    return _figure("front", traces, views, {"yaxis": y_axis, "hovermode": "closest"})


def hypervolume_figure(data: ReportData) -> Json:
    """Hypervolume against trials, seconds and joules; joules only if every evaluation measured them."""
    columns = [
        ("finished trials", [float(point.trials) for point in data.curve], ""),
        ("training time, baselines included", [point.seconds for point in data.curve], "s"),
    ]
    joules = [point.energy_j for point in data.curve if point.energy_j is not None]
    if len(joules) == len(data.curve):
        columns.append((f"training energy on the host, baselines included, {data.consumed.provenance}", joules, "J"))
    level = data.baseline_hypervolume
    ends = [] if level is None else [level, level]
    traces: list[Json] = [
        {"mode": "lines+markers", "name": "search", "y": [point.hypervolume for point in data.curve]}
        | {"line": {"color": FRONT_COLOUR, "width": 2, "shape": "hv"}, "marker": {"size": 5}},
        {"mode": "lines", "name": "baselines alone", "y": ends, "hoverinfo": "skip"}
        | {"line": {"color": _BASELINE_STYLES[0][0], "width": 2, "dash": "dash"}},
    ]
    views = []
    for label, values, unit in columns:
        span = [0.0, 1.04 * max(values, default=1.0)] if ends else []
        views.append({"label": label.split(",")[0], "x": [values, span], "axis": cost_axis(values, unit, label)})
    unit = " × ".join(f"decades of {o.name}" if o.log else o.name for o in data.objectives)
    title = f"hypervolume<br>({unit})"
    return _figure("hypervolume", traces, views, {"yaxis": {"title": {"text": title}, "rangemode": "tozero"}})


def curves_figure(data: ReportData) -> Json:
    """Validation error per epoch of the front and the baselines."""
    entries = [(e, _ramp(index, len(data.front)), "solid") for index, e in enumerate(data.front)]
    entries += [(e, colour, "dash") for e, (colour, _) in zip(data.baselines, _styles(data), strict=True)]
    traces, heights = [], []
    for evaluation, colour, dash in entries:
        points = [(m.epoch, m.val_error) for m in evaluation.curve if m.val_error is not None]
        heights += [error for _, error in points]
        name = describe_name(evaluation)
        traces.append(
            {"mode": "lines+markers", "name": name, "x": [e for e, _ in points], "y": [error for _, error in points]}
            | {"line": {"color": colour, "dash": dash, "width": 2}, "marker": {"size": 4}, "hoverinfo": "text"}
            | {"hovertext": [f"{html.escape(name)}, epoch {e}: {format_error(error)}" for e, error in points]}
        )
    y_axis = objective_axis("error", heights, f"{objective_title('error')}, measured")
    return _figure(
        "curves", traces, [], {"yaxis": y_axis, "xaxis": {"title": {"text": "epoch"}, "rangemode": "tozero"}}
    )


def baseline_colours(data: ReportData) -> dict[str, str]:
    """Return the colour of each baseline in the figures."""
    return {b.label or "": colour for b, (colour, _) in zip(data.baselines, _styles(data), strict=True)}


def hover_text(evaluation: Evaluation) -> str:
    """Return what hovering over a point shows: values with provenance, fidelity, fit, configuration."""
    lines = [f"<b>{html.escape(describe_name(evaluation))}</b>, fidelity: {describe_fidelity(evaluation.fidelity)}"]
    lines += [
        f"{objective_title(name)}: {format_objective(name, value)} ({evaluation.provenance[name]})"
        for name, value in evaluation.objectives.items()
    ]
    words = [f"target: {describe_fit(evaluation.cost)}", *describe_configuration(evaluation.configuration)]
    if not evaluation.configuration:
        words.append(describe_design(evaluation.design))
    return "<br>".join([*lines, *map(html.escape, words)])


def quantity(evaluation: Evaluation, name: str) -> float | None:
    """Return an objective, or else a cost on the target, of that name; None if there is none that can be drawn."""
    value = evaluation.objectives.get(name, (evaluation.cost or {}).get(name))
    return value if value is not None and math.isfinite(value) else None


def _staircase(data: ReportData, others: Sequence[str]) -> tuple[Json, Sequence[Evaluation]]:
    """The line that bounds what the front dominates; it exists in the plane of exactly two objectives."""
    members = sorted(data.front, key=lambda e: e.objectives[others[0]]) if len(others) == 1 else []
    line = {"color": FRONT_COLOUR, "width": 2, "shape": "hv"}
    return {"name": "front", "mode": "lines", "line": line, "hoverinfo": "skip", "showlegend": False}, members


def _trial_series(data: ReportData) -> Series:
    """Trials that are not on the front, one series per fidelity, the paler the lower."""
    on_front = {id(e) for e in data.front}
    others = [e for e in data.evaluations if e.role == "trial" and e.outcome == "ok" and id(e) not in on_front]
    levels = sorted({reached_fidelity(e) for e in others})
    series: Series = []
    for rank, level in enumerate(levels, start=1):
        members = [e for e in others if reached_fidelity(e) == level]
        fidelity = members[0].fidelity
        name = f"trials at {describe_fidelity(fidelity)}" if fidelity else "other trials"
        marker = {"color": TRIAL_COLOUR, "size": 8, "opacity": 0.25 + 0.6 * rank / len(levels)}
        series.append(({"name": name, "mode": "markers", "marker": marker}, members))
    return series


def _front_series(data: ReportData) -> tuple[Json, Sequence[Evaluation]]:
    best = recommend(data.front, data.baselines, data.objectives)
    chosen = [member is best for member in data.front]
    outline = {"width": [3 if c else 0 for c in chosen], "color": _RECOMMENDED_COLOUR}
    marker = {"color": FRONT_COLOUR, "size": [16 if c else 11 for c in chosen], "opacity": 1, "line": outline}
    style = {"name": "front, by trial", "mode": "markers+text", "text": [str(e.trial) for e in data.front]}
    return {**style, "textposition": "bottom left", "cliponaxis": False, "marker": marker}, data.front


def _baseline_series(data: ReportData) -> Series:
    return [
        (
            {
                "name": b.label,
                "mode": "markers+text",
                "text": [b.label],
                "textposition": "top center",
                "cliponaxis": False,
            }
            | {"marker": {"color": colour, "symbol": symbol, "size": 13}},
            [b],
        )
        for b, (colour, symbol) in zip(data.baselines, _styles(data), strict=True)
    ]


def _styles(data: ReportData) -> list[tuple[str, str]]:
    return [_BASELINE_STYLES[index % len(_BASELINE_STYLES)] for index in range(len(data.baselines))]


def _axis_title(data: ReportData, name: str) -> str:
    where = f" on {html.escape(str(data.config['target']))}" if OBJECTIVES[name].known else ""
    found = (e.provenance[name] for e in data.evaluations if name in e.provenance)
    return f"{objective_title(name)}{where}, {next(found, OBJECTIVES[name].provenance)}"


def _numbers(values: Iterable[float | None]) -> list[float]:
    return [value for value in values if value is not None]


def _figure(name: str, traces: list[Json], views: list[Json], layout: Json) -> Json:
    """Put a figure together; it opens with its first view."""
    if views:
        layout = {**layout, "xaxis": views[0]["axis"]}
        traces = [{**trace, "x": x} for trace, x in zip(traces, views[0]["x"], strict=True)]
    return {"id": name, "data": traces, "layout": layout, "views": views}


def _ramp(index: int, count: int) -> str:
    """Colour of a front point's curve, from dark to light blue along the front."""
    start, end = (20, 84, 150), (86, 180, 233)
    share = index / max(count - 1, 1)
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in zip(start, end, strict=True))
