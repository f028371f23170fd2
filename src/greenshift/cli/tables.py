"""The front and the baselines as JSON values and as tables."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from greenshift.cli.output import print_table
from greenshift.config import study_objectives
from greenshift.front import finished_baselines, front
from greenshift.objectives import Objective
from greenshift.quantities import format_objective, format_quantity
from greenshift.records import Evaluation
from greenshift.report.wording import describe_design
from greenshift.selection import dominating
from greenshift.store import Store

Carbon = Callable[[Evaluation], Mapping[str, float | None]]


def front_json(
    evaluations: Sequence[Evaluation], objectives: Sequence[Objective], baselines: bool, carbon: Carbon | None = None
) -> list[dict[str, Any]]:
    """Front points as JSON objects, with the labels of the baselines that dominate each, and carbon if asked for."""
    shown = [*front(evaluations, objectives), *(finished_baselines(evaluations) if baselines else [])]
    return [
        {
            "trial": point.trial,
            **({"baseline": point.label} if point.label else {}),
            "configuration": point.configuration,
            "design": point.design.to_json(),
            "fidelity": point.fidelity,
            "objectives": point.objectives,
            "provenance": point.provenance,
            "fits": None if point.cost is None else point.cost["fits"],
            "dominated_by": list(dominating(point, finished_baselines(evaluations), objectives)),
            **({"carbon": carbon(point)} if carbon else {}),
        }
        for point in shown
    ]


def print_front(folder: Path) -> None:
    """Print a store's front and baselines as one table."""
    with Store.open(folder) as store:
        print_points(store.evaluations(), study_objectives(store.config()))


def print_points(
    evaluations: Sequence[Evaluation], objectives: Sequence[Objective], carbon: Carbon | None = None
) -> None:
    """Print the front and the baselines of evaluations as one table, with the carbon of each if asked for."""
    points, baselines = front(evaluations, objectives), finished_baselines(evaluations)
    grams = ["inference ", "training "] if carbon else []
    columns = ["trial", *(f"{o.name} " for o in objectives), *grams, "fits", "fidelity", "dominated by...", "design..."]
    rows = []
    for point in [*points, *baselines]:
        fits = "-" if point.cost is None else ("yes" if point.cost["fits"] else "no")
        rows.append(
            [
                point.label or str(point.trial),
                *(format_objective(o.name, point.objectives[o.name]) for o in objectives),
                *(format_quantity(value, "gCO2e") for value in (carbon(point).values() if carbon else ())),
                fits,
                ", ".join(f"{name} {value:g}" for name, value in point.fidelity.items()) or "full",
                ", ".join(dominating(point, baselines, objectives)) or "-",
                describe_design(point.design),
            ]
        )
    kinds = ", ".join(f"{o.name} {o.provenance}" for o in objectives)
    print_table(columns, rows, title=f"front of {len(points)} and {len(baselines)} baselines ({kinds})")
