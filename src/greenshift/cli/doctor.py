"""`greenshift doctor`: what this machine can train and measure."""

import importlib.metadata
import importlib.util
import shutil

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_facts, print_json
from greenshift.energy.machine import Machine, machine
from greenshift.quantities import format_quantity

_PARTS = {"smac": "optimizer smac", "timm": "models timm:NAME", "codecarbon": "CodeCarbon adapter"}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(as_json: bool = JSON_OPTION) -> None:
    """Say what this machine can train and measure, and what would be needed for more."""
    found = machine()
    optional = {name: _version(name) for name in ("torch", *_PARTS)}
    if as_json:
        print_json({**found.to_json(), "packages": optional, "compiler": shutil.which("cc")})
        return
    facts = {
        "CPU": f"{found.cpu}, {found.usable_cores} of {found.cores} cores usable",
        "memory": format_quantity(found.ram_bytes, "B"),
        "instructions": ", ".join(found.isa) or "none of those that matter here",
        "training": _training(found, optional["torch"]),
        "energy, CPU": _probe(found.rapl.available, found.rapl.reason, "RAPL counter, measured"),
        "energy, GPU": _probe(found.nvml.available, found.nvml.reason, "NVML counter", missing="none"),
    }
    for name, part in _PARTS.items():
        version = optional[name]
        facts[part] = f"{name} {version}" if version else f"not installed: pip install 'greenshift[{name}]'"
    print_facts(facts)
    next_step("greenshift init, then greenshift search study.toml")


def _version(package: str) -> str | None:
    return importlib.metadata.version(package) if importlib.util.find_spec(package) else None


def _training(found: Machine, torch_version: str | None) -> str:
    if torch_version is None:
        return "torch is not installed: pip install torch"
    fast = {"amx_bf16", "avx512_bf16"} & set(found.isa)
    return f"torch {torch_version}, " + ("bfloat16 in hardware" if fast else "float32 (no bfloat16 in hardware)")


def _probe(available: bool, reason: str | None, text: str, missing: str = "CPU time x watts, estimated") -> str:
    return text if available else f"{missing} ({reason})"
