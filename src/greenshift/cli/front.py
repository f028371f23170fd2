"""`greenshift status`, `front` and `report`: look at a study, running or done."""

import dataclasses
from collections import Counter
from pathlib import Path

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_facts, print_json, shell_path
from greenshift.cli.tables import front_json, print_front
from greenshift.config import to_mapping
from greenshift.front import front, front_hypervolume, objective_values, study_reference
from greenshift.objectives import get_objectives
from greenshift.quantities import format_duration, format_quantity
from greenshift.store import Store

_STORE = typer.Argument(..., help="Run folder of greenshift search.")


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("status")(status)
    app.command("front")(show_front)
    app.command("report")(report)


def status(store: Path = _STORE, as_json: bool = JSON_OPTION) -> None:
    """Say how far a study is and what it has consumed."""
    with Store.open(store) as opened:
        config, evaluations, consumed = opened.config(), opened.evaluations(), opened.consumed()
        running, known = opened.is_running(), opened.facts().get("float32")
    objectives = get_objectives(config.objectives)
    counts = Counter(e.outcome for e in evaluations if e.role == "trial")
    points = front(evaluations, objectives)
    reference = study_reference(evaluations, objectives, known)
    volume = front_hypervolume([objective_values(p, objectives) for p in points], objectives, reference)
    if as_json:
        print_json(
            {
                "running": running,
                "trials": {name: counts[name] for name in ("ok", "failed", "infeasible", "interrupted")},
                "baselines": sum(e.role == "baseline" and e.outcome == "ok" for e in evaluations),
                "front_size": len(points),
                "hypervolume": volume,
                "consumption": dataclasses.asdict(consumed),
                "budget": config.budget,
            }
        )
        return
    energy = "not metered" if consumed.energy_j is None else format_quantity(consumed.energy_j, "J")
    print_facts(
        {
            "study": f"{config.model} on {config.data} for {config.target}, space {config.space}, {config.optimizer}",
            "state": "running" if running else "not running",
            "trials": f"{counts['ok']} ok, {counts['failed']} failed, {counts['infeasible']} refused",
            "front": f"{len(points)} points, hypervolume {volume:.3f}",
            "consumed": f"{format_duration(consumed.wall_s)}, {energy} ({consumed.provenance}: {consumed.source})",
            "budget": config.budget,
        }
    )
    next_step(f"greenshift front {shell_path(store)}")


def show_front(
    store: Path = _STORE,
    baselines: bool = typer.Option(False, "--baselines", help="List the baselines too (JSON; the table always does)."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Show the front: the trials at the highest fidelity that no other trial beats."""
    if not as_json:
        print_front(store)
        next_step(f"greenshift select {shell_path(store)}")
        return
    with Store.open(store) as opened:
        evaluations, objectives = opened.evaluations(), get_objectives(opened.config().objectives)
    print_json(front_json(evaluations, objectives, baselines))


def report(
    store: Path = _STORE,
    output: Path | None = typer.Option(None, "--output", "-o", help="File to write. [STORE/report.html]"),
    as_json: bool = JSON_OPTION,
) -> None:
    """Write one offline HTML page about a study."""
    from greenshift.report import write_report

    with Store.open(store) as opened:
        path = write_report(
            to_mapping(opened.config()),
            opened.evaluations(),
            opened.consumed(),
            opened.selections(),
            output or store / "report.html",
            known=opened.facts().get("float32"),
        )
    if as_json:
        print_json({"report": str(path), "size_bytes": path.stat().st_size})
        return
    typer.echo(f"wrote {shell_path(path)}")
    next_step(f"open {shell_path(path)} in a browser, or greenshift select {shell_path(store)}")
