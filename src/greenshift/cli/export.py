"""`greenshift export`: a packed network in the forms that other tools and microcontrollers take."""

from pathlib import Path

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_facts, print_json, shell_path
from greenshift.targets import load_target


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("export")(export)


def export(
    artifact: Path = typer.Argument(..., help="Packed file of greenshift pack."),
    to: str = typer.Option("onnx", help="Forms, with commas between them: onnx, c."),
    target: str | None = typer.Option(None, help="Device for C: a name of the catalog or a TOML file."),
    output: Path = typer.Option(Path("exported"), "--output", "-o", help="Folder to write to."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Write a packed network as ONNX or C, and check that it computes the same."""
    from greenshift.deploy.exports import export as write
    from greenshift.deploy.file import read_network

    device = None if target is None else load_target(target)
    kinds = [kind.strip() for kind in to.split(",")]
    done = write(read_network(artifact), artifact.stem, output, kinds, device)
    if as_json:
        print_json({each.kind: {**each.report, "files": [str(file) for file in each.files]} for each in done})
        return
    for each in done:
        names = ", ".join(shell_path(file) for file in each.files)
        print_facts({f"{each.kind} files": names, **each.facts, "verified": each.verification})
    next_step(f"greenshift inspect {shell_path(artifact)}")
