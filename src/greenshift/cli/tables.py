"""The front and the baselines as JSON values and as tables."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from greenshift.cli.output import print_table
from greenshift.front import front
from greenshift.objectives import Objective, get_objectives
from greenshift.quantities import format_objective
from greenshift.records import Evaluation
from greenshift.report.wording import describe_design
from greenshift.selection import dominating
from greenshift.store import Store


def front_json(
    evaluations: Sequence[Evaluation], objectives: Sequence[Objective], baselines: bool
) -> list[dict[str, Any]]:
    """Front points as JSON objects, with the labels of the baselines that dominate each."""
    shown = [*front(evaluations, objectives), *(finished_baselines(evaluations) if baselines else [])]
    return [
        {
            "trial": point.trial,
            **({"baseline": point.label} if point.label else {}),
            "configuration": point.configuration,
            "fidelity": point.fidelity,
            "objectives": point.objectives,
            "provenance": point.provenance,
            "fits": None if point.cost is None else point.cost["fits"],
            "dominated_by": list(dominating(point, finished_baselines(evaluations), objectives)),
        }
        for point in shown
    ]


def finished_baselines(evaluations: Sequence[Evaluation]) -> list[Evaluation]:
    """The baselines that gave their objectives, in the order they ran."""
    return [e for e in evaluations if e.role == "baseline" and e.outcome == "ok"]


def print_front(folder: Path) -> None:
    """Print a store's front and baselines as one table."""
    with Store.open(folder) as store:
        evaluations, objectives = store.evaluations(), get_objectives(store.config().objectives)
    points, baselines = front(evaluations, objectives), finished_baselines(evaluations)
    columns = ["trial", *(f"{o.name} " for o in objectives), "fits", "fidelity", "dominated by...", "design..."]
    rows = []
    for point in [*points, *baselines]:
        fits = "-" if point.cost is None else ("yes" if point.cost["fits"] else "no")
        rows.append(
            [
                point.label or str(point.trial),
                *(format_objective(o.name, point.objectives[o.name]) for o in objectives),
                fits,
                ", ".join(f"{name} {value:g}" for name, value in point.fidelity.items()) or "full",
                ", ".join(dominating(point, baselines, objectives)) or "-",
                describe_design(point.design),
            ]
        )
    kinds = ", ".join(f"{o.name} {o.provenance}" for o in objectives)
    print_table(columns, rows, title=f"front of {len(points)} and {len(baselines)} baselines ({kinds})")
