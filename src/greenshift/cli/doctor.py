"""`greenshift doctor`: what this machine can train and measure."""

import importlib.metadata
import importlib.util
import shutil
from typing import Any

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_facts, print_json
from greenshift.energy import Machine, Probe, machine
from greenshift.quantities import format_quantity

# Optional packages: what each is for, and the extra that installs it.
_PARTS = {
    "smac": ("optimizer smac", "smac"),
    "pymoo": ("optimizer nsga2", "nsga2"),
    "timm": ("models timm:NAME", "timm"),
    "onnx": ("export to ONNX", "onnx"),
}

# What each meter gives where it is available, and what having it would take where it is not.
_METERS = {
    "rapl": ("RAPL counters, by this process's share of the CPU time", "a physical x86 machine with Linux"),
    "nvml": (
        "NVML, while this process is alone on the GPU",
        "a whole NVIDIA GPU with its driver, visible to this process",
    ),
    "cpu_time": ("CPU time x watts, estimated; give the watts with --cpu-watts", ""),
    "cgroup": (
        "CPU time of everything in the control group x watts, estimated; from Python only, for a job alone in it",
        "Linux with control groups",
    ),
    "codecarbon": ("load x watts, estimated; from Python only", ""),
}


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("doctor")(doctor)


def doctor(as_json: bool = JSON_OPTION) -> None:
    """Say what this machine can train and measure, and what would be needed for more."""
    found = machine()
    optional = {name: _version(name) for name in ("torch", "codecarbon", *_PARTS)}
    meters = _meters(found)
    if as_json:
        print_json({**found.to_json(), "meters": meters, "packages": optional, "compiler": shutil.which("cc")})
        return
    facts = {
        "CPU": f"{found.cpu}, {found.usable_cores} of {found.cores} cores usable",
        "memory": format_quantity(found.ram_bytes, "B"),
        "instructions": ", ".join(found.isa) or "none of those that matter here",
        "training": _training(found, optional["torch"]),
    }
    for name, meter in meters.items():
        facts[f"meter {name.replace('_', ' ')}"] = _in_words(meter)
    facts["energy of a search"] = _used(meters)
    for name, (part, extra) in _PARTS.items():
        version = optional[name]
        facts[part] = f"{name} {version}" if version else f"not installed: pip install 'greenshift[{extra}]'"
    print_facts(facts)
    next_step("greenshift init, then greenshift search study.toml")


def _version(package: str) -> str | None:
    return importlib.metadata.version(package) if importlib.util.find_spec(package) else None


def _training(found: Machine, torch_version: str | None) -> str:
    if torch_version is None:
        return "torch is not installed: pip install torch"
    fast = {"amx_bf16", "avx512_bf16"} & set(found.isa)
    return f"torch {torch_version}, " + ("bfloat16 in hardware" if fast else "float32 (no bfloat16 in hardware)")


def _meters(found: Machine) -> dict[str, dict[str, Any]]:
    """Every meter: what it gives, whether it is available, why or why not, and what it would take."""
    probes = {"rapl": found.rapl, "nvml": found.nvml, "cgroup": found.cgroup, "codecarbon": found.codecarbon}
    probes["cpu_time"] = Probe(True, "this process, its workers and its finished children")
    if found.rapl.available and not found.claim.available:
        probes["rapl"] = found.claim
    return {
        name: {
            "available": probes[name].available,
            "gives": gives,
            "reason": probes[name].reason,
            "needs": None if probes[name].available else needs or None,
        }
        for name, (gives, needs) in _METERS.items()
    }


def _in_words(meter: dict[str, Any]) -> str:
    if meter["available"]:
        return f"{meter['gives']} ({meter['reason']})"
    return f"none: {meter['reason']}" + (f"; needs {meter['needs']}" if meter["needs"] else "")


def _used(meters: dict[str, dict[str, Any]]) -> str:
    counted = [name for name in ("rapl", "nvml") if meters[name]["available"]]
    processor = "RAPL" if "rapl" in counted else "CPU time x watts, estimated"
    return processor + (", and NVML for the GPU" if "nvml" in counted else "")
