"""Plots of runs: hypervolume against cost, and attainment surfaces, as PNG and as one offline HTML page."""

import importlib.resources
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from greenshift.errors import InputError
from greenshift.objectives import Objective

from .runner import Record
from .summary import Runs

# Okabe and Ito's palette: colour-blind readers can tell its colours apart.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000")
_GRID_POINTS = 161
_COLUMNS = 3


def bands(runs: Runs, best: float) -> dict[str, NDArray[np.float64]]:
    """Return for each optimizer the columns cost, lower quartile, median, upper quartile of the hypervolume share."""
    result = {}
    for name, by_seed in runs.items():
        limit = next(iter(by_seed.values()))["limit"]
        grid = np.linspace(0, limit, _GRID_POINTS)
        levels = np.array([_steps(record, grid) for record in by_seed.values()]) / best
        result[name] = np.column_stack([grid, np.quantile(levels, [0.25, 0.5, 0.75], axis=0).T])
    return result


def _steps(record: Record, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    costs = [cost for cost, _ in record["curve"]]
    volumes = np.array([0.0, *(volume for _, volume in record["curve"])])
    return np.asarray(volumes[np.searchsorted(costs, grid, side="right")], dtype=float)


def attainment(records: Sequence[Record], cost: float, grid: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return the second objective that the best, the median and the worst run attain at each first one.

    Args:
        records: Runs of one optimizer on a problem with two objectives.
        cost: What each run may have cost.
        grid: Values of the first objective.

    Returns:
        Shape (3, len(grid)); infinite where a run has nothing as good in the first objective.
    """
    levels = []
    for record in records:
        found = [p for (at, _), p in zip(record["curve"], record["points"], strict=True) if at <= cost]
        points = np.array(found, dtype=float).reshape(-1, 2)
        reach = np.where(points[None, :, 0] <= grid[:, None], points[None, :, 1], np.inf)
        levels.append(reach.min(axis=1, initial=np.inf))
    ordered = np.sort(np.array(levels), axis=0)
    return ordered[[0, (len(ordered) - 1) // 2, -1]]


def plot_curves(problems: Mapping[str, Runs], best: Mapping[str, float], title: str, path: Path) -> None:
    """Draw the hypervolume against cost, one panel per problem: median and quartiles."""
    pyplot = _pyplot()
    names = sorted(problems)
    rows = -(-len(names) // _COLUMNS)
    figure, axes = pyplot.subplots(rows, min(_COLUMNS, len(names)), figsize=(12, 3.2 * rows), squeeze=False)
    colours = colour_of(problems)
    for name, panel in zip(names, axes.flat, strict=False):
        for optimizer, band in sorted(bands(problems[name], best[name]).items()):
            panel.plot(band[:, 0], band[:, 2], color=colours[optimizer], label=optimizer)
            panel.fill_between(band[:, 0], band[:, 1], band[:, 3], color=colours[optimizer], alpha=0.15, linewidth=0)
        panel.set(title=name, xlabel="cost in full trainings", ylabel="share of best hypervolume", ylim=(0, 1.02))
        panel.grid(alpha=0.3)
    for panel in axes.flat[len(names) :]:
        panel.set_axis_off()
    axes.flat[0].legend(fontsize="small")
    figure.suptitle(title)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def plot_attainment(
    runs: Runs, optimizers: Sequence[str], cost: float, objectives: Sequence[Objective], title: str, path: Path
) -> None:
    """Draw what the best, the median and the worst seed of some optimizers attained at a cost.

    The axes have the names, units and scales of the objectives.

    Raises:
        InputError: If there are no runs of an optimizer, or not two objectives.
    """
    for name in optimizers:
        if not any(record["points"] for record in runs.get(name, {}).values()):
            raise InputError(f"plot: no run of '{name}' to draw an attainment surface of")
    if len(objectives) != 2:
        raise InputError(f"plot: attainment surfaces need two objectives, not {len(objectives)}")
    points = np.array([p for name in optimizers for r in runs[name].values() for p in r["points"]], dtype=float)
    pyplot = _pyplot()
    figure, panel = pyplot.subplots(figsize=(7, 5))
    grid = np.linspace(points[:, 0].min(), points[:, 0].max(), 400)
    for name, colour in zip(optimizers, _COLOURS, strict=False):
        surfaces = attainment(list(runs[name].values()), cost, grid)
        for surface, style, seed in zip(surfaces, ("--", "-", ":"), ("best", "median", "worst"), strict=True):
            panel.step(grid, surface, style, where="post", color=colour, label=f"{name}, {seed}")
    names = [f"{o.name} ({o.unit})" if o.unit else o.name for o in objectives]
    scales = ["log" if objective.log else "linear" for objective in objectives]
    panel.set(title=title, xlabel=names[0], ylabel=names[1], xscale=scales[0], yscale=scales[1])
    panel.legend(fontsize="small")
    panel.grid(alpha=0.3)
    figure.tight_layout()
    figure.savefig(path, dpi=110)
    pyplot.close(figure)


def write_html(problems: Mapping[str, Runs], best: Mapping[str, float], title: str, path: Path) -> None:
    """Write the curves as one page with plotly inside, which needs no network."""
    colours = colour_of(problems)
    figures = []
    for name in sorted(problems):
        traces: list[dict[str, Any]] = []
        for optimizer, band in sorted(bands(problems[name], best[name]).items()):
            line = {"type": "scatter", "mode": "lines", "legendgroup": optimizer, "name": optimizer}
            cost = band[:, 0].tolist()
            area = {"x": cost + cost[::-1], "y": band[:, 1].tolist() + band[::-1, 3].tolist(), "fill": "toself"}
            thin = {"line": {"width": 0}, "fillcolor": colours[optimizer] + "26", "hoverinfo": "skip"}
            traces.append(line | area | thin | {"showlegend": False})
            traces.append(line | {"x": cost, "y": band[:, 2].tolist(), "line": {"color": colours[optimizer]}})
        layout: dict[str, Any] = {"title": {"text": name}, "height": 420}
        layout["xaxis"] = {"title": {"text": "cost in full trainings"}}
        layout["yaxis"] = {"title": {"text": "share of best hypervolume"}}
        figures.append({"data": traces, "layout": layout})
    script = importlib.resources.files("greenshift.report").joinpath("templates/plotly-basic.min.js")
    data = json.dumps(figures).replace("</", "<\\/")
    page = _PAGE.format(title=title, plotly=script.read_text(encoding="utf-8"), figures=data)
    path.write_text(page, encoding="utf-8")


_PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>{title}</title></head>
<body>
<h1>{title}</h1>
<p>Median and quartiles over seeds of the share of the best known hypervolume.</p>
<main></main>
<script>{plotly}</script>
<script>
for (const figure of {figures}) {{
  const place = document.createElement("div");
  document.querySelector("main").append(place);
  Plotly.newPlot(place, figure.data, figure.layout, {{responsive: true}});
}}
</script>
</body>
</html>
"""


def colour_of(problems: Mapping[str, Runs]) -> dict[str, str]:
    """The same colour for an optimizer in every panel."""
    names = sorted({name for runs in problems.values() for name in runs})
    return {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(names)}


def _pyplot() -> Any:
    try:
        import matplotlib
    except ModuleNotFoundError as error:
        raise InputError("plot: matplotlib is not installed; run pip install 'greenshift[bench]'") from error
    matplotlib.use("Agg")
    from matplotlib import pyplot

    return pyplot
