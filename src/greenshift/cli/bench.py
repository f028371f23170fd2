"""`greenshift bench`: a packed network on this machine, beside other runtimes."""

from pathlib import Path
from typing import Any

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_facts, print_json, print_table, shell_path
from greenshift.errors import InputError
from greenshift.quantities import format_quantity


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("bench")(bench)


def bench(
    artifact: Path = typer.Argument(..., help="Packed file of greenshift pack."),
    batch: str = typer.Option("1,64", help="Images at a time; several with commas between them."),
    threads: int = typer.Option(1, help="Threads of the peers; the runtime itself uses one."),
    peers: str | None = typer.Option(None, help="Peers with commas between them, or none. [all but bfloat16]"),
    rounds: int = typer.Option(15, help="Rounds in which all of them take their turns."),
    isa: str | None = typer.Option(None, help="Keep to avx2, vnni or amx, and the peers that can be kept to it too."),
    target: Path | None = typer.Option(None, help="Also write the layers' times into this file of calibrate."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Time a packed network beside torch, ONNX Runtime and OpenVINO, in turns, and compare their bytes."""
    from greenshift.deploy.bench.comparison import compare
    from greenshift.deploy.bench.peers import DEFAULT_PEERS, get_peers

    names = DEFAULT_PEERS if peers is None else () if peers == "none" else tuple(map(str.strip, peers.split(",")))
    sizes = [_whole(part) for part in batch.split(",")]
    found = compare(artifact, get_peers(names), batches=sizes, threads=threads, rounds=rounds, isa=isa).to_json()
    if target is not None:
        found["target"] = _write_layers(artifact, target, isa)
    if as_json:
        print_json(found)
        return
    _print(found)


def _whole(text: str) -> int:
    if not text.strip().isdecimal():
        raise InputError(f"bench: --batch '{text.strip()}' is no whole number; write for example 1,64")
    return int(text)


def _write_layers(artifact: Path, target: Path, isa: str | None) -> dict[str, Any]:
    from greenshift.deploy.bench.host import time_layers
    from greenshift.deploy.bench.target import extend_target
    from greenshift.deploy.file import read_network

    times = time_layers(read_network(artifact), isa)
    return {"path": str(target), "kernel": extend_target(target, times), "shapes": len(times.times)}


def _print(found: dict[str, Any]) -> None:
    for size, figures in found["batches"].items():
        plural = "" if size == "1" else "s"
        print_table(
            ["runtime", "time per image ", "over ours ", "95 % interval ", "logits differ by ", "ran on..."],
            [_own_row(found, figures), *(_row(name, found, figures) for name in figures["peers"])],
            title=f"batch of {size} image{plural}, {found['clock']}, measured in {found['rounds']} rounds",
        )
    facts = {"kernel": found["kernel"]}
    if found["kernel"].startswith("numpy"):
        facts["note"] = "without the compiled library the network runs in NumPy, thousands of times slower"
    facts |= {name: "not run: " + reason for name, reason in found["absent"].items()}
    if found["uncapped"]:
        facts["not kept"] = f"{', '.join(found['uncapped'])} cannot be kept to {found['isa']} and used what there is"
    if found["widened"]:
        facts["widened"] = f"int8 peers compute {', '.join(found['widened'])} twice: one int8 does not hold the weights"
    facts["bytes"] = ", ".join(f"{name} {format_quantity(size, 'B')}" for name, size in found["bytes"].items() if size)
    written = found.get("target")
    if written is not None:
        facts["target"] = f"{written['shapes']} layer shapes of {written['kernel']} are in {written['path']}"
    print_facts(facts)
    if written is None:
        next_step(f"greenshift export {shell_path(Path(found['artifact']))} --to onnx,c -o DIR")
    else:
        next_step(f"greenshift cost --target {shell_path(Path(written['path']))}")


def _own_row(found: dict[str, Any], figures: dict[str, Any]) -> list[str]:
    return ["greenshift", _time(figures["ours_us"]), "1", "", "", found["kernel"]]


def _row(name: str, found: dict[str, Any], figures: dict[str, Any]) -> list[str]:
    low, high = figures["ratio_intervals"][name]
    difference = found["differences"][name]
    ratio = f"{figures['ratios'][name]:.2f}x"
    exact = "0" if difference == 0 else f"{difference:.1%}" if difference < 1 else "over 100%"
    return [
        name,
        _time(figures["peers"][name]),
        ratio,
        f"{low:.2f} to {high:.2f}",
        exact,
        found["peer_kernels"][name],
    ]


def _time(microseconds: float) -> str:
    return format_quantity(1e-6 * microseconds, "s")
