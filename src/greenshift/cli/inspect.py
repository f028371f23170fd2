"""`greenshift inspect`: what a packed file holds."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_facts, print_json, print_table, shell_path
from greenshift.quantities import format_count, format_quantity

if TYPE_CHECKING:
    from greenshift.deploy.file import PackedFile


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("inspect")(inspect)


def inspect(
    file: Path = typer.Argument(..., help="Packed file of greenshift pack."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Layers, storage, sizes and description of a packed network."""
    from greenshift.deploy.file import read_file
    from greenshift.deploy.summary import summary

    packed = read_file(file)
    found = summary(packed)
    if as_json:
        print_json({"path": str(file), **found})
        return
    _print_steps(found, packed)
    print_facts(_facts(found))
    next_step(f"greenshift export {shell_path(file)} --to onnx")


def _print_steps(found: dict[str, Any], packed: "PackedFile") -> None:
    columns = ["step", "kind", "reads", "output", "grid", "storage", "weights ", "bytes ", "MACs "]
    rows = []
    for index, step in enumerate(found["steps"]):
        grid = step["grid"]
        weighted = step["storage"] is not None
        names = [packed.network.steps[source].name for source in step["sources"]]
        rows.append(
            [
                step["name"],
                step["kind"],
                "-" if step["sources"] in ([], [index - 1]) else ", ".join(names),
                "x".join(map(str, step["shape"])),
                "float32" if grid is None else f"2^{grid['exponent']}, zero {grid['zero']}",
                step["storage"] or "-",
                format_count(step["weights"]) if weighted else "-",
                format_quantity(step["size_bytes"], "B") if step["size_bytes"] else "-",
                format_count(step["macs"]) if weighted else "-",
            ]
        )
    print_table(columns, rows, title=f"{len(rows)} steps; each reads the one before, or those that are named")


def _facts(found: dict[str, Any]) -> dict[str, str]:
    storages = ", ".join(f"{format_count(count)} {name}" for name, count in found["storages"].items())
    return {
        "input": "x".join(map(str, found["input"])) + " bytes",
        "classes": str(found["classes"]),
        "weights": f"{format_count(found['weights'])}: {storages}",
        "MACs": format_count(found["macs"]),
        "size": format_quantity(found["size_bytes"], "B"),
        "format": f"{found['format']}, written by greenshift {found['version']}",
        "checksum": f"{found['checksum']} (SHA-256, right)",
        **{str(key): _short(value) for key, value in found["description"].items()},
    }


def _short(value: Any) -> str:
    text = value if isinstance(value, str) else str(value)
    return " ".join(text.split()) if len(text) <= 200 else " ".join(text[:200].split()) + " ... (--json shows all)"
