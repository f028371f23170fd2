"""`greenshift init` and `greenshift search`: write a study down, and run it."""

import dataclasses
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from greenshift.accounts import AutoBudget, resolve_budget
from greenshift.cli.options import study_config, with_study_options
from greenshift.cli.output import JSON_OPTION, next_step, print_json, shell_path
from greenshift.cli.tables import print_front
from greenshift.config import StudyConfig
from greenshift.errors import InputError, StoppedError, StudyError
from greenshift.quantities import format_objective, format_quantity

if TYPE_CHECKING:
    from greenshift.study import StudySummary


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
    store: Path | None = typer.Option(None, "--store", help="Run folder; the same folder resumes. [runs/DATA-MODEL]"),
    as_json: bool = JSON_OPTION,
    **given: Any,
) -> None:
    """Search for the best networks at every energy level; the same command resumes."""
    config = study_config(study, given)
    folder = store or Path("runs") / _folder_name(config)
    config, auto = resolve_budget(config, folder)
    if auto is not None:
        typer.echo(_found(auto), err=True)
    from greenshift.cli.progress import ProgressDisplay
    from greenshift.study import StudyInterrupted, run_study

    with ProgressDisplay(config, enabled=not as_json) as display:
        try:
            summary = run_study(config, folder, on_event=display.show, auto=auto)
        except StudyInterrupted as stopped:
            raise StoppedError(f"{stopped}; what had finished is in {shell_path(folder)}") from stopped
    if as_json:
        print_json(_summary(folder, summary))
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


def _summary(folder: Path, summary: "StudySummary") -> dict[str, Any]:
    return {
        "store": str(folder),
        "reason": summary.reason,
        "detail": summary.detail,
        "progress": dataclasses.asdict(summary.progress),
        "consumption": dataclasses.asdict(summary.consumption),
        "front": [evaluation.trial for evaluation in summary.front],
        "limits": summary.limits,
        "techniques": None if summary.scope is None else summary.scope.to_json(),
        "warm_start": {
            "taken": len(summary.warm_start.configurations),
            "skipped": summary.warm_start.skipped,
            "untried": summary.warm_start.untried,
        },
    }


def _found(auto: AutoBudget) -> str:
    bound, budget = (format_quantity(value, "J") for value in (auto.bound_j, auto.budget_j))
    took = "found before" if auto.probe is None else f"{format_quantity(auto.probe.energy_j, 'J')} went to finding it"
    return f"budget auto: {budget} ({took}); no search for {auto.target} could save more than {bound}"


def _folder_name(config: StudyConfig) -> str:
    """A replay has a folder apart from the study that trains."""
    if config.replay is not None:
        return f"{Path(config.replay).name.partition('.')[0]}-replay"
    return f"{Path(config.data).name}-{config.model.replace(':', '-')}"
