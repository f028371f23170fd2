"""Imports go downward only, and torch stays below the line."""

import ast
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from source_tree import Import, all_imports, imports_of, module_names

# Lowest first. A part may import from the layers below its own, and within itself.
LAYERS = (
    ("errors",),
    (
        *("activations", "amounts", "budget", "compactness", "fidelities", "objectives", "pareto", "profile"),
        *("schemes", "toml_text"),
    ),
    ("design", "quantities"),
    ("config", "energy"),
    ("records",),
    ("front", "sensitivity_table", "space", "targets"),
    ("optimize", "replay", "scoping", "selection", "store"),
    # -------- torch from here ...
    ("compress",),
    ("models",),
    ("data",),
    ("train",),
    ("networks",),
    ("artifacts", "baselines", "calibrate"),
    ("final", "measure", "sensitivity"),
    ("deploy",),  # a network in integers needs no torch; only what packs one does
    ("evaluate",),
    # -------- ... to here; what stands higher reaches down to it from inside functions only
    ("accounts",),
    ("executors", "report"),
    ("study",),
    ("cli",),
    ("__main__",),
)
TORCH_SIDE = {
    *("compress", "models", "data", "train", "networks", "artifacts", "calibrate", "evaluate", "final", "measure"),
    *("baselines", "sensitivity"),
}
TORCH_PACKAGES = (
    "greenshift.deploy.packing",
    "greenshift.deploy.bench.torch_float",
    "greenshift.deploy.bench.trained",
)  # within a part that needs no torch otherwise
RANKS = {part: rank for rank, layer in enumerate(LAYERS) for part in layer}

# Slow to import, or optional: for torch-free modules inside functions only.
HEAVY = {
    *("torch", "torch_pruning", "torchvision", "timm", "pytorch_optimizer", "safetensors"),
    *("sklearn", "smac", "pymoo", "botorch", "gpytorch", "codecarbon", "PIL", "onnx", "onnxruntime"),
}

# Modules that wrap an optional library are themselves imported inside functions only.
WRAPPERS = {
    "greenshift.optimize.smac": {"smac"},
    "greenshift.optimize.smac_facade": {"smac"},
    "greenshift.optimize.nsga2": {"pymoo"},
    "greenshift.optimize.nsga2_variation": {"pymoo"},
}

DISTRIBUTIONS = {
    "PIL": "pillow",
    "sklearn": "scikit-learn",
    "pytorch_optimizer": "pytorch-optimizer",
    "torch_pruning": "torch-pruning",
    "pynvml": "nvidia-ml-py",
}


def part(module: str) -> str:
    return module.split(".")[1] if "." in module else ""


def below_the_line(module: str) -> bool:
    packed = any(f"{module}.".startswith(f"{package}.") for package in TORCH_PACKAGES)
    return packed or (module.startswith("greenshift.") and part(module) in TORCH_SIDE)


def upward(imports: list[Import] | tuple[Import, ...]) -> list[str]:
    """Imports that do not go down. The package itself holds only its version and lies below everything."""
    return [
        str(found)
        for found in imports
        if found.name.startswith("greenshift.")
        and part(found.name) != part(found.module)
        and RANKS[part(found.name)] >= RANKS[part(found.module)]
    ]


def above_the_line(imports: list[Import] | tuple[Import, ...]) -> list[str]:
    """Imports by which a torch-free module would bring torch, or something as slow, at import."""
    return [
        str(found)
        for found in imports
        if not below_the_line(found.module)
        and not found.deferred
        and (found.name.split(".")[0] in HEAVY - WRAPPERS.get(found.module, set()) or below_the_line(found.name))
    ]


def test_every_part_has_a_layer():
    parts = {part(module) for module in module_names()} - {""}
    assert parts == set(RANKS), "a new part needs a place in LAYERS"


def test_imports_go_down():
    assert upward(all_imports()) == []


def test_the_package_itself_imports_nothing():
    assert [str(found) for found in all_imports() if found.module == "greenshift"] == []


def test_torch_stays_below_the_line():
    assert above_the_line(all_imports()) == []


@pytest.mark.parametrize(
    ("module", "source", "rule"),
    [
        ("greenshift.design", "from greenshift.store import Store", upward),
        ("greenshift.design", "def f():\n    import greenshift.store.store", upward),
        ("greenshift.space.base", "from greenshift.targets import cost", upward),
        ("greenshift.front", "from greenshift import cli", upward),
        ("greenshift.cli.front", "import torch.nn", above_the_line),
        ("greenshift.cli.front", "from greenshift import networks", above_the_line),
        ("greenshift.deploy.network", "from greenshift.deploy.packing import pack", above_the_line),
        ("greenshift.study.loop", "class A:\n    from greenshift.train import train", above_the_line),
    ],
)
def test_the_rules_catch_what_they_are_for(module, source, rule):
    assert len(rule(imports_of(module, ast.parse(source)))) == 1


def test_a_deferred_import_may_reach_torch():
    assert above_the_line(imports_of("greenshift.cli.front", ast.parse("def f():\n    import torch"))) == []


def test_every_third_party_import_is_declared():
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lists = [project["dependencies"], *project["optional-dependencies"].values()]
    declared = {re.split(r"[\[<>=~! ]", text)[0].lower() for texts in lists for text in texts}
    needed = {found.name.split(".")[0] for found in all_imports()} - set(sys.stdlib_module_names) - {"greenshift"}
    assert {DISTRIBUTIONS.get(name, name).lower() for name in needed} <= declared


def test_what_every_install_needs_is_no_extra():
    """A module-level import outside a wrapper has to be among the dependencies."""
    project = tomllib.loads((Path(__file__).parent.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    core = {re.split(r"[\[<>=~! ]", text)[0].lower() for text in project["dependencies"]}
    missing = [
        str(found)
        for found in all_imports()
        if not found.deferred
        and (top := found.name.split(".")[0]) not in sys.stdlib_module_names
        and top != "greenshift"
        and top not in WRAPPERS.get(found.module, set())
        and DISTRIBUTIONS.get(top, top).lower() not in core
    ]
    assert missing == []


def test_wrappers_of_optional_libraries_are_imported_when_asked_for():
    assert set(WRAPPERS) <= module_names()
    eager = [str(i) for i in all_imports() if i.name in WRAPPERS and i.module not in WRAPPERS and not i.deferred]
    assert eager == []


# What a command left in sys.modules, after it ran in a process of its own.
_PROBE = """
import json, sys
from greenshift.cli import main
sys.argv = ["greenshift", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
print(json.dumps(sorted({name.partition(".")[0] for name in sys.modules})), file=sys.stderr)
"""


@pytest.mark.parametrize("command", [("--help",), ("search", "--help"), ("status",), ("front",), ("front", "--json")])
def test_looking_needs_neither_torch_nor_configspace(command, finished_store):
    arguments = [*command, *([] if "--help" in command else [str(finished_store)])]
    run = subprocess.run([sys.executable, "-c", _PROBE, *arguments], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    loaded = set(json.loads(run.stderr.splitlines()[-1]))
    assert "typer" in loaded
    assert not loaded & {"torch", "ConfigSpace", "sklearn", "smac", "plotly", "scipy", "safetensors"}
