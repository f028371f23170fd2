"""The report as one HTML file that needs no network: template, style, script and plotly.js all inside."""

import json
import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from greenshift.accounts import Account
from greenshift.energy import Reading
from greenshift.errors import InputError
from greenshift.quantities import (
    format_count,
    format_duration,
    format_error,
    format_objective,
    format_points,
    format_quantity,
)
from greenshift.records import Evaluation
from greenshift.report import wording
from greenshift.report.data import ReportData, report_data
from greenshift.report.figures import baseline_colours, curves_figure, front_figure, hypervolume_figure
from greenshift.report.headline import write_headline
from greenshift.report.parallel import configurations_figure
from greenshift.report.reproduction import reproduction
from greenshift.store import Consumption
from greenshift.targets import RankAgreement


def write_report(
    config: Mapping[str, Any],
    evaluations: Sequence[Evaluation],
    consumed: Consumption | Reading,
    selections: Sequence[Mapping[str, Any]],
    path: Path,
    *,
    known: Mapping[str, float] | None = None,
    command: str | None = None,
    account: Account | None = None,
    tables: Sequence[RankAgreement] = (),
    stopped: str = "",
) -> Path:
    """Write the report of a study to one HTML file.

    Args:
        config: The study's fields (`greenshift.config.to_mapping`).
        evaluations: Its evaluations, baselines included, in the order they finished.
        consumed: What its sessions consumed in total.
        selections: What `select` gave (`greenshift.report.data.read_selection`).
        path: The file, replaced if it exists; its folder is made if there is none.
        known: Cost of the untrained float32 network, for a study without trained baselines.
        command: The command line of the study, made up from `config` if left out.
        account: Energy and carbon by stages; at the study's own carbon intensity if left out.
        tables: How far the target's tables agree (`greenshift.accounts.table_agreement`).
        stopped: Why the search stopped, in words.

    Returns:
        `path`.

    Raises:
        InputError: If the file cannot be written or the study names an unknown objective.
    """
    told = reproduction(config, command)
    data = report_data(
        config, evaluations, consumed, selections, known=known, reproduction=told, account=account, tables=tables
    )
    data = replace(data, stopped=stopped)
    text = render(data)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _replace(path, text)
    except OSError as error:
        raise InputError(f"report {path}: cannot be written ({error.strerror}); name another file") from error
    return path


def render(data: ReportData) -> str:
    """Return the report as HTML."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    loader = PackageLoader("greenshift.report", "templates")
    environment = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    environment.filters.update(_FILTERS)
    figures = [front_figure(data), hypervolume_figure(data), curves_figure(data), configurations_figure(data)]
    drawn = [figure for figure in figures if any(trace["x"] for trace in figure["data"])]

    def asset(name: str) -> Markup:
        return Markup(loader.get_source(environment, name)[0])

    return environment.get_template("report.html").render(
        data=data,
        headline=write_headline(data),
        colours=baseline_colours(data),
        drawn={figure["id"] for figure in drawn},
        figures=Markup(_script_json(drawn)),
        views={figure["id"]: [view["label"] for view in figure["views"]] for figure in drawn},
        asset=asset,
        words=wording,
        cost_model=_describe_cost_model(data.evaluations),
    )


def _inferences(count: float | None) -> str:
    if count is None:
        return "unknown"
    return "never" if math.isinf(count) else format_count(count)


def _fleet_time(count: float | None) -> str:
    """How long a thousand devices take for that many inferences at one per second each."""
    return "" if count is None or math.isinf(count) else format_duration(count / 1000)


def _span(interval: tuple[float, float] | None) -> str:
    """A range of inferences; nothing if it is unknown."""
    return "–" if interval is None else " to ".join(map(_inferences, interval))


def _describe_cost_model(evaluations: Sequence[Evaluation]) -> str:
    """Name the cost models that were used and how far their energies may be off; empty if there was none."""
    costs = [evaluation.cost for evaluation in evaluations if evaluation.cost is not None]
    if not costs:
        return ""
    models = ", ".join(dict.fromkeys(cost["model"] for cost in costs))
    return f"{models}; energy within a factor of {max(cost['uncertainty_factor'] for cost in costs):.1f}"


_FILTERS = {
    "quantity": format_quantity,
    "error": format_error,
    "objective": lambda value, name: format_objective(name, value),
    "points": format_points,
    "duration": format_duration,
    "inferences": _inferences,
    "fleet_time": _fleet_time,
    "span": _span,
    "setting": wording.format_setting,
}


def _script_json(value: Any) -> str:
    """JSON that can stand in a script element: no tag can begin inside it."""
    return json.dumps(value, allow_nan=False, separators=(",", ":"), ensure_ascii=False).replace("<", "\\u003c")


def _replace(path: Path, text: str) -> None:
    """Write beside the file and rename, so that nobody opens half a report."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=path.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.chmod(name, 0o644)
        os.replace(name, path)
    except BaseException:
        os.unlink(name)
        raise
