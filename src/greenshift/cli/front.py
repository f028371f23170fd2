"""`greenshift front` and `report`: look at a study, running or done."""

from functools import partial
from pathlib import Path

import typer

from greenshift.accounts import point_carbon, table_agreement
from greenshift.cli.accounting import (
    GRID,
    PROFILE,
    PUE,
    SCENARIO,
    TABLES,
    TARGET,
    YEAR,
    Electricity,
    look_at,
)
from greenshift.cli.output import JSON_OPTION, STORE, next_step, print_facts, print_json, shell_path
from greenshift.cli.tables import front_json, print_points
from greenshift.config import to_mapping


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("front")(show_front)
    app.command("report")(report)


def show_front(
    store: Path = STORE,
    baselines: bool = typer.Option(False, "--baselines", help="List the baselines too (JSON; the table always does)."),
    grid: str | None = GRID,
    year: int | None = YEAR,
    scenario: str | None = SCENARIO,
    profile: Path | None = PROFILE,
    pue: float = PUE,
    target: str | None = TARGET,
    tables: str | None = TABLES,
    as_json: bool = JSON_OPTION,
) -> None:
    """Show the front: the trials at the highest fidelity that no other trial beats.

    With other electricity or another target it is worked out again from what was recorded, without training.
    """
    chosen = Electricity(grid, year, scenario, profile, pue)
    look = look_at(store, chosen, target, tables)
    carbon = partial(point_carbon, grid=look.grid, pue=pue) if chosen.is_given else None
    if as_json:
        print_json(front_json(look.evaluations, look.objectives, baselines, carbon))
        return
    print_points(look.evaluations, look.objectives, carbon)
    if carbon is not None:
        print_facts({"carbon": f"of one inference on {look.target} and of the training; {look.grid.describe()}"})
    next_step(f"greenshift select {shell_path(store)}")


def report(
    store: Path = STORE,
    output: Path | None = typer.Option(None, "--output", "-o", help="File to write. [STORE/report.html]"),
    grid: str | None = GRID,
    year: int | None = YEAR,
    scenario: str | None = SCENARIO,
    profile: Path | None = PROFILE,
    pue: float = PUE,
    target: str | None = TARGET,
    tables: str | None = typer.Option(
        None, "--tables", help="Cost on this variant of the target's tables; all: say whether the order survives."
    ),
    as_json: bool = JSON_OPTION,
) -> None:
    """Write one offline HTML page about a study."""
    from greenshift.report.render import write_report
    from greenshift.report.reproduction import search_command

    compared = tables == "all"
    look = look_at(store, Electricity(grid, year, scenario, profile, pue), target, None if compared else tables)
    path = write_report(
        look.mapping,
        look.evaluations,
        look.consumed,
        look.selections,
        output or store / "report.html",
        known=look.known,
        command=search_command(to_mapping(look.config)),
        account=look.account(),
        stopped=(look.facts.get("stopped") or {}).get("detail", ""),
        tables=table_agreement(look.evaluations, look.config, look.target) if compared else (),
    )
    if as_json:
        print_json({"report": str(path), "size_bytes": path.stat().st_size})
        return
    typer.echo(f"wrote {shell_path(path)}")
    next_step(f"open {shell_path(path)} in a browser, or greenshift select {shell_path(store)}")
