"""`greenshift cost` and `evaluate`: one network, costed without training or tested with given weights."""

import json
from pathlib import Path
from typing import Any

import typer

from greenshift.cli.output import JSON_OPTION, print_facts, print_json, print_table
from greenshift.errors import InputError
from greenshift.quantities import format_count, format_error, format_quantity
from greenshift.records import DataChoice


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("cost")(cost)
    app.command("evaluate")(evaluate)


def cost(
    model: str = typer.Option("resnet20", help="Model name, timm:NAME or package.module:factory."),
    configuration: str = typer.Option(
        "paper-default", help="Named configuration, or a JSON file; what it leaves out has its default."
    ),
    target: str = typer.Option("cortex-m4", help="Device of the cost model: a name of the catalog or a TOML file."),
    data: str = typer.Option("cifar10", help="Dataset, for the image size and the number of classes."),
    data_dir: str | None = typer.Option(None, help="Folder that holds the official dataset folders."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Energy, time, size and memory of one inference, without training and without weights."""
    from greenshift.targets import cost as cost_of
    from greenshift.targets import load_target

    device = load_target(target)
    choice = DataChoice(data, data_dir)
    spent = cost_of(_profile(model, configuration, choice), device)
    if as_json:
        print_json(spent.to_json())
        return
    facts = {
        "energy": f"{format_quantity(spent.energy_j, 'J')} within a factor of {spent.uncertainty_factor:.1f}",
        "latency": f"{format_quantity(spent.latency_s, 's')} within a factor of {spent.latency_uncertainty_factor:.1f}",
        "size": format_quantity(spent.size_bytes, "B"),
        "peak memory": format_quantity(spent.peak_memory_bytes, "B"),
        "fits": "yes" if spent.fits else "no: " + "; ".join(spent.limits),
        "provenance": f"{spent.provenance} by {spent.model}",
    }
    columns = ["layer", "arithmetic", "kernel", "MACs ", "energy ", "latency ", "size "]
    rows = [
        [
            layer.name,
            layer.arithmetic,
            layer.kernel,
            format_count(layer.macs),
            format_quantity(layer.energy_j, "J"),
            format_quantity(layer.latency_s, "s"),
            format_quantity(layer.size_bytes, "B"),
        ]
        for layer in spent.layers
    ]
    print_table(columns, rows, title=f"{model}, {configuration}, on {device.name}")
    print_facts(facts)


def _profile(model: str, configuration: str, data: DataChoice) -> Any:
    """Profile of a named or stored configuration on a backbone."""
    from greenshift.design import Recipe
    from greenshift.networks import profile_design, weighted_layers
    from greenshift.space import configuration_names, make_space, named_configuration

    depth = weighted_layers(model, data)
    space = make_space("paper", depth=depth, fidelity=None)
    if configuration in configuration_names():
        values = named_configuration(configuration, depth)
    else:
        # A configuration of a study has no value for its fidelity; the space's default stands in.
        defaults = dict(space.configspace.get_default_configuration())
        given = _read_configuration(configuration, configuration_names())
        try:
            values = space.validate({**defaults, **given})
        except InputError as error:
            raise InputError(f"{configuration}: {error}") from error
    design = space.to_design(values, backbone=model, fidelity=None, epochs=None, base=Recipe())
    return profile_design(design, data)


def _read_configuration(name: str, known: tuple[str, ...]) -> dict[str, Any]:
    path = Path(name)
    if not path.is_file():
        raise InputError(f"configuration '{name}' is neither a file nor one of {', '.join(known)}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise InputError(f"configuration {path}: not a JSON file ({error})") from error
    if not isinstance(values, dict):
        raise InputError(f"configuration {path}: expected a JSON object of hyperparameters")
    return values


def evaluate(
    checkpoint: Path = typer.Option(..., help="Artifact of greenshift select, or weights of --model."),
    model: str | None = typer.Option(None, help="Model name; an artifact knows its own."),
    data: str = typer.Option("cifar10", help="Dataset whose test images are used."),
    data_dir: str | None = typer.Option(None, help="Folder that holds the official dataset folders."),
    threads: int = typer.Option(2, min=1, help="Threads for tensor arithmetic."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Test error of trained weights."""
    from greenshift.final import checkpoint_error

    error, count = checkpoint_error(checkpoint, model, DataChoice(data, data_dir), threads)
    if as_json:
        print_json({"test_error": error, "n": count})
        return
    print_facts({"test error": f"{format_error(error)}, measured on {count} test images"})
