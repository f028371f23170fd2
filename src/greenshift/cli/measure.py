"""`greenshift measure`: time and energy of one inference on this host."""

from pathlib import Path
from typing import Any

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_facts, print_json, shell_path
from greenshift.errors import InputError
from greenshift.quantities import NOT_MEASURED, format_quantity, format_ratio
from greenshift.records import DataChoice


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("measure")(measure)


def measure(
    artifact: Path = typer.Argument(..., help="Artifact of greenshift select."),
    target: str = typer.Option("host", help="Only `host`, this machine, can be measured."),
    data: str | None = typer.Option(None, help="Dataset whose test images are run; noise if left out."),
    data_dir: str | None = typer.Option(None, help="Folder that holds the official dataset folders."),
    width: str = typer.Option("5%", help="Greatest half width of the 95 % confidence intervals."),
    watts: float | None = typer.Option(None, help="Watts of a busy core where there is no energy counter."),
    threads: int = typer.Option(1, min=1, help="Threads for tensor arithmetic."),
    max_seconds: float = typer.Option(120.0, min=0.0, help="Give up after so long, with what was reached."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Time and energy of one inference on this machine, repeated until they are known well enough."""
    if target != "host":
        raise InputError(f"measure: --target {target} is not this machine; greenshift cost models other devices")
    share = _share(width)
    from greenshift.measure import measure_artifact

    found = measure_artifact(
        artifact,
        data=None if data is None else DataChoice(data, data_dir),
        width=share,
        cpu_watts=watts,
        threads=threads,
        max_seconds=max_seconds,
    )
    if as_json:
        print_json(found.to_json())
        return
    _print(found.to_json())


def _share(text: str) -> float:
    """Read a percentage."""
    try:
        share = float(text.removesuffix("%")) / 100
    except ValueError:
        share = 0.0
    if not (text.endswith("%") and 0 < share < 1):
        raise InputError(f"measure: --width '{text}' is not a percentage between 0 and 100, such as 5%")
    return share


def _print(found: dict[str, Any]) -> None:
    facts = {"artifact": found["artifact"]}
    for title, name in (("network", "network"), ("float32 reference", "reference")):
        inference = found[name]
        latency = format_quantity(inference["latency_s"], "s")
        facts[title] = f"{inference['kernel']}: {inference['arithmetic']} arithmetic"
        facts[f"{title}: latency"] = f"{latency} ± {100 * inference['latency_half_width']:.1f} %, measured"
        facts[f"{title}: energy"] = _energy(inference)
    facts["energy source"] = found["network"]["energy_source"]
    facts["ratio"] = f"the network takes {format_ratio(found['latency_ratio'])} the reference's time"
    windows = " and ".join(map(str, found["inferences"]))
    facts["repeats"] = f"{found['repeats']} windows each, {windows} inferences"
    reached = f"half widths up to {100 * found['reached']:.1f} %, {100 * found['width']:g} % asked"
    facts["result"] = f"{'resolved' if found['resolved'] else 'unresolved'}: {reached}"
    if found["network"]["arithmetic"] == "simulated":
        facts["note"] = "a simulation on this machine; the deployed network's time and energy are not these"
    print_facts(facts)
    again = f"greenshift measure {shell_path(Path(found['artifact']))} with more --max-seconds, on a quieter machine"
    next_step("greenshift cost, for the device that the network is meant for" if found["resolved"] else again)


def _energy(inference: dict[str, Any]) -> str:
    if inference["energy_j"] is None:
        return NOT_MEASURED
    text = f"{format_quantity(inference['energy_j'], 'J')}, {inference['energy_provenance']}"
    if inference["energy_interval_j"] is not None:
        low, high = (format_quantity(end, "J") for end in inference["energy_interval_j"])
        text += f", between {low} and {high}"
    if inference["net_energy_j"] is not None:
        text += f"; {format_quantity(inference['net_energy_j'], 'J')} above idle"
    return text
