"""`greenshift techniques`: the ways to a cheaper network, their parameters, and which targets profit from them."""

from typing import Any

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_json, print_table
from greenshift.targets import Target, load_target, target_names


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("techniques")(techniques)


def techniques(
    target: str | None = typer.Option(None, help="Judge them on this device only: a name of the catalog or a file."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Techniques that --space full searches: parameters, sources, and the targets that profit, by their cost models."""
    from greenshift.space.techniques import TECHNIQUES, parameters

    loaded = [load_target(name) for name in ((target,) if target else target_names())]
    devices = {found.name: found for found in loaded}
    if as_json:
        print_json([_described(name, devices) for name in TECHNIQUES])
        return
    rows = []
    for technique in TECHNIQUES.values():
        ranges = "; ".join(f"{name} {values}" for name, values in parameters(technique.name).items())
        rows.append([technique.name, technique.summary, ranges or "none", _profit(technique.name, devices)])
    where = "where it pays..." if target is None else f"on {target}..."
    print_table(["technique", "what it does...", "parameters...", where], rows)
    typer.echo("GROUP is stem, stage1 and so on, or head; where it pays is modelled; --json has sources and reasons")
    next_step(f"greenshift search --space full --techniques {next(iter(TECHNIQUES))},prune")


def _described(name: str, devices: dict[str, Target]) -> dict[str, Any]:
    from greenshift.scoping import judge
    from greenshift.space.techniques import TECHNIQUES, parameters

    technique = TECHNIQUES[name]
    verdicts = {device: judge(name, found) for device, found in devices.items()}
    return {
        "name": name,
        "summary": technique.summary,
        "parameters": parameters(name),
        "sources": list(technique.sources),
        "profits_on": [device for device, verdict in verdicts.items() if verdict.profits],
        "targets": {
            device: {"runs": verdict.runs, "profits": verdict.profits, "reason": verdict.reason}
            for device, verdict in verdicts.items()
        },
    }


def _profit(name: str, devices: dict[str, Target]) -> str:
    from greenshift.scoping import judge

    verdicts = {device: judge(name, found) for device, found in devices.items()}
    if len(verdicts) == 1:
        return next(iter(verdicts.values())).reason
    paying = [device for device, verdict in verdicts.items() if verdict.profits]
    if len(paying) == len(verdicts):
        return "every target"
    return ", ".join(paying) or "no target"
