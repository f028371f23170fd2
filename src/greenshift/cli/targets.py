"""`greenshift targets`: the devices that networks can be costed on, and where their figures come from."""

from typing import Any

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_facts, print_json, print_table
from greenshift.quantities import format_quantity
from greenshift.targets import Target, capabilities, load_target, memory_bytes, target_names, unit_of


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("targets")(targets)


def targets(
    name: str | None = typer.Argument(None, help="A name, NAME:VARIANT or a TOML file, to see every figure."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Devices of the cost models: what they can do, and every figure with its source."""
    if name is None:
        _list(as_json)
    else:
        _show(load_target(name), as_json)


def _list(as_json: bool) -> None:
    found = [load_target(name) for name in target_names()]
    if as_json:
        print_json([_summary(target) for target in found])
        return
    columns = ["target", "model", "fp32", "int8 SIMD", "multiplier", "zeros skipped", "shift/int8 ", "title..."]
    print_table(columns, [_row(target) for target in found])
    typer.echo("shift/int8: energy of a convolution with 4-bit shift weights relative to int8, modelled")
    next_step(f"greenshift targets {found[0].name}")


def _row(target: Target) -> list[str]:
    can = capabilities(target)
    flags = (can.fp32, can.int8_simd, can.multiplier, can.sparsity)
    ratio = can.energy_over_int8["shift4"]
    title = target.title + (f" (variants: {', '.join(_variants(target))})" if target.variants else "")
    words = ["yes" if flag else "-" for flag in flags]
    return [target.name, target.kind, *words, "-" if ratio is None else f"{ratio:.2f}", title]


def _summary(target: Target) -> dict[str, Any]:
    return {
        "name": target.name,
        "title": target.title,
        "model": target.kind,
        "version": target.version,
        "variants": _variants(target),
        "capabilities": capabilities(target).to_json(),
        "memory_bytes": memory_bytes(target),
    }


def _variants(target: Target) -> dict[str, str]:
    base = target.name.partition(":")[0]
    return {f"{base}:{variant}": title for variant, title in target.variants}


def _show(target: Target, as_json: bool) -> None:
    sources = dict(target.sources)
    if as_json:
        figures = {
            key: {
                "value": figure.value,
                "unit": unit_of(key),
                "factor": figure.factor,
                "source": sources[figure.source],
                "note": figure.note,
            }
            for key, figure in target.figures
        }
        print_json({**_summary(target), "figures": figures})
        return
    columns = ["figure", "value ", "unit", "factor ", "source", "note..."]
    rows = [
        [key, f"{figure.value:.4g}", unit_of(key), f"{figure.factor:g}", figure.source, figure.note]
        for key, figure in target.figures
    ]
    print_table(columns, rows, title=f"{target.title}, version {target.version}, model: {target.kind}")
    can = capabilities(target)
    ratios = can.energy_over_int8.items()
    memories = memory_bytes(target).items()
    facts = {
        "energy over int8": ", ".join(f"{n} {'cannot run' if r is None else f'{r:.2f}'}" for n, r in ratios),
        "zeros": "skipped" if can.sparsity else "cost as much as other weights",
        "memory": ", ".join(f"{n} {'no end' if b is None else format_quantity(b, 'B')}" for n, b in memories),
        **{f"source {key}": text for key, text in sources.items()},
        **{f"variant {key}": text for key, text in _variants(target).items()},
    }
    print_facts({key: text for key, text in facts.items() if text})
    next_step(f"greenshift cost --target {target.name}" + (" --tables all" if target.variants else ""))
