"""`greenshift init` and `greenshift search`: write a study down, and run it."""

import dataclasses
from pathlib import Path
from typing import Any

import typer

from greenshift.accounts import resolve_budget
from greenshift.cli.options import study_config, with_study_options
from greenshift.cli.output import JSON_OPTION, next_step, print_json, shell_path
from greenshift.cli.tables import print_front
from greenshift.errors import InputError, StoppedError, StudyError
from greenshift.quantities import format_objective, format_quantity


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("init")(init)
    app.command("search")(search)


@with_study_options
def init(
    output: Path = typer.Option(Path("study.toml"), "--output", "-o", help="File to write."),
    **given: Any,
) -> None:
    """Write study.toml with every setting explained; options set values in it."""
    from greenshift.config import to_toml

    config = study_config(None, given)
    try:
        with output.open("x", encoding="utf-8") as file:
            file.write(to_toml(config))
    except FileExistsError as error:
        raise InputError(f"{output}: exists already; give another name with --output") from error
    except OSError as error:
        raise InputError(f"{output}: cannot be written ({error.strerror})") from error
    typer.echo(f"wrote {output}")
    next_step(f"greenshift search {output}")


@with_study_options
def search(
    study: Path | None = typer.Argument(None, help="study.toml of greenshift init; options override it."),
    store: Path | None = typer.Option(
        None, "--store", help="Run folder; the same folder resumes. [runs/DATA-MODEL, or TABLE-replay]"
    ),
    as_json: bool = JSON_OPTION,
    **given: Any,
) -> None:
    """Search for the best networks at every energy level; the same command resumes."""
    config = study_config(study, given)
    config, worth = resolve_budget(config)
    if worth is not None:
        bound, budget = (format_quantity(value, "J") for value in (worth.bound_j, worth.budget_j))
        typer.echo(f"budget auto: {budget}; no search for {worth.target} could save more than {bound}", err=True)
    replayed = "" if config.replay is None else f"{Path(config.replay).name.partition('.')[0]}-replay"
    folder = store or Path("runs") / (replayed or f"{Path(config.data).name}-{config.model.replace(':', '-')}")
    from greenshift.cli.progress import ProgressDisplay
    from greenshift.study import StudyInterrupted, run_study

    with ProgressDisplay(config, enabled=not as_json) as display:
        try:
            summary = run_study(config, folder, on_event=display.show)
        except StudyInterrupted as stopped:
            raise StoppedError(f"{stopped}; what had finished is in {shell_path(folder)}") from stopped
    if as_json:
        print_json(
            {
                "store": str(folder),
                "reason": summary.reason,
                "detail": summary.detail,
                "progress": dataclasses.asdict(summary.progress),
                "consumption": dataclasses.asdict(summary.consumption),
                "front": [evaluation.trial for evaluation in summary.front],
                "limits": summary.limits,
            }
        )
        return
    typer.echo(f"{summary.detail}. Store: {shell_path(folder)}")
    if config.replay is not None:
        typer.echo(f"nothing was trained: every evaluation is {summary.consumption.source}")
    if summary.nearest is not None:
        near = summary.nearest
        raise StudyError(
            f"no configuration satisfies the constraints; nearest is trial {near.evaluation.trial} with "
            f"{near.binding} {format_objective(near.binding, near.value)} against the bound "
            f"{format_objective(near.binding, near.limit)}"
        )
    print_front(folder)
    next_step(f"greenshift report {shell_path(folder)}")
