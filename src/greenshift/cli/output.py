"""How results are shown: JSON for programs, tables for people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import typer
from rich.console import Console, JustifyMethod
from rich.table import Table

STORE = typer.Argument(..., help="Run folder of greenshift search.")
JSON_OPTION = typer.Option(False, "--json", help="Print JSON instead of text.")


def print_json(value: Any) -> None:
    """Print a value as indented JSON."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))


def print_table(columns: Sequence[str], rows: Iterable[Sequence[str]], title: str | None = None) -> None:
    """Print a table; a column is right-aligned if its name ends with a space, and may wrap if with `...`."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        name = column.removesuffix("...").strip()
        justify: JustifyMethod = "right" if column.endswith(" ") else "left"
        table.add_column(name, justify=justify, no_wrap=not column.endswith("..."), overflow="fold")
    for row in rows:
        table.add_row(*row)
    console = Console(highlight=False)
    # Piped output has no width of its own: a table squeezed into 80 columns would lose figures.
    width = console.width if console.is_terminal else 160
    console = Console(highlight=False, width=width)
    if title is not None:  # a title of the table's own would wrap at the table's width
        console.print(title, style="italic", markup=False)
    console.print(table, markup=False)


def print_facts(facts: Mapping[str, str]) -> None:
    """Print names and values, one pair a line, aligned."""
    width = max(map(len, facts), default=0)
    for name, value in facts.items():
        typer.echo(f"{name:{width}s}  {value}")


def next_step(command: str) -> None:
    """Print what to do next, as the last line."""
    typer.echo(f"next: {command}")


def shell_path(path: Path) -> str:
    """A path as one would type it: relative to the current folder if it lies below."""
    try:
        return str(path.resolve().relative_to(Path.cwd()))
    except ValueError:
        return str(path)
