"""`greenshift cost` and `evaluate`: one network, costed without training or tested with given weights."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_facts, print_json, print_table
from greenshift.config import StudyConfig, from_mapping
from greenshift.design import Design, Recipe
from greenshift.errors import InputError
from greenshift.profile import NetworkProfile
from greenshift.quantities import format_count, format_error, format_quantity
from greenshift.records import DataChoice
from greenshift.targets import Cost, Target, load_target, load_variants, no_gain
from greenshift.targets import cost as cost_of


def add_to(app: typer.Typer) -> None:
    """Add the commands."""
    app.command("cost")(cost)
    app.command("evaluate")(evaluate)


def cost(
    model: str = typer.Option("resnet20", help="Model name, timm:NAME or package.module:factory."),
    configuration: str | None = typer.Option(
        None, help="Named configuration, or a JSON file; what it leaves out has its default. [paper-default]"
    ),
    space: str = typer.Option("paper", help="Search space of the configuration: paper or full."),
    techniques: str | None = typer.Option(None, help="As of the search that a full configuration comes from."),
    teacher: str | None = typer.Option(
        None, help="As of that search; it is not read, as it costs an inference nothing."
    ),
    target: str = typer.Option("cortex-m4", help="Device of the cost model: a name of the catalog or a TOML file."),
    data: str = typer.Option("cifar10", help="Dataset, for the image size and the number of classes."),
    data_dir: str | None = typer.Option(None, help="Folder that holds the official dataset folders."),
    tables: str | None = typer.Option(None, help="all: compare the target with its variants, such as other tables."),
    as_json: bool = JSON_OPTION,
) -> None:
    """Energy, time, size and memory of one inference, without training and without weights."""
    if tables not in (None, "all"):
        raise InputError(f"--tables is 'all' or left out, not '{tables}'; one variant is --target NAME:VARIANT")
    devices = (load_target(target),) if tables is None else load_variants(target)
    if space == "paper" and configuration is None:
        configuration = "paper-default"
    words = None if techniques is None else [word.strip() for word in techniques.split(",")]
    fields: dict[str, Any] = {"model": model, "data": data, "data_dir": data_dir, "target": target, "space": space}
    fields |= {"techniques": words, "teacher": teacher}
    design, profile = _designed(from_mapping({k: v for k, v in fields.items() if v is not None}, "cost"), configuration)
    costs = [cost_of(profile, device) for device in devices]
    title = f"{model}, {configuration or 'default'}, on {devices[0].name}"
    if tables is not None:
        _print_tables(title, {device.name: device.title for device in devices}, costs, as_json)
    elif as_json:
        network = {name: value for name, value in design.to_json().items() if name != "recipe"}
        print_json({**costs[0].to_json(), "no_gain": _without_gain(profile, devices[0]), "design": network})
    else:
        bits = {layer.name: f"{layer.weight_bits}/{layer.act_bits}" for layer in profile.layers if layer.weights}
        _print_cost(title, costs[0], bits, _without_gain(profile, devices[0]))


def _print_tables(title: str, titles: Mapping[str, str], costs: Sequence[Cost], as_json: bool) -> None:
    lowest, highest = (pick(spent.energy_j for spent in costs) for pick in (min, max))
    if as_json:
        fields = ("target", "energy_j", "uncertainty_factor", "latency_s", "fits", "provenance")
        rows = [{"title": titles[c.target], **{name: getattr(c, name) for name in fields}} for c in costs]
        print_json({"tables": rows, "energy_ratio": highest / lowest if lowest else 1.0})
        return
    columns = ["tables", "energy ", "factor ", "latency ", "fits", "title..."]
    words = [
        [
            spent.target,
            format_quantity(spent.energy_j, "J"),
            f"{spent.uncertainty_factor:.1f}",
            format_quantity(spent.latency_s, "s"),
            "yes" if spent.fits else "no",
            titles[spent.target],
        ]
        for spent in costs
    ]
    print_table(columns, words, title=title)
    next_step(f"greenshift targets {costs[0].target}")


def _without_gain(profile: NetworkProfile, target: Target) -> list[str]:
    """Say of each kind of layer that is no int8 or float why it saves no energy on a target, if it does not."""
    kinds = {
        (layer.arithmetic, layer.weight_bits, layer.act_bits, layer.weight_levels): None
        for layer in profile.layers
        if layer.weights and layer.arithmetic in ("binary", "shift")
    }
    reasons = (no_gain(target, *kind, name=_kind_name(*kind)) for kind in kinds)
    return [reason for reason in reasons if reason is not None]


def _kind_name(arithmetic: str, weight_bits: int, act_bits: int, levels: int) -> str:  # noqa: ARG001
    """Call layers what a design calls them: signed weights are stored as shifts without anything to shift."""
    signed = {1: "binary", 2: "ternary"}
    return signed.get(weight_bits, arithmetic) if levels == 1 else arithmetic


def _print_cost(title: str, spent: Cost, bits: Mapping[str, str], notes: Sequence[str]) -> None:
    facts = {
        "energy": f"{format_quantity(spent.energy_j, 'J')} within a factor of {spent.uncertainty_factor:.1f}",
        "latency": f"{format_quantity(spent.latency_s, 's')} within a factor of {spent.latency_uncertainty_factor:.1f}",
        "size": format_quantity(spent.size_bytes, "B"),
        "peak memory": format_quantity(spent.peak_memory_bytes, "B"),
        "fits": "yes" if spent.fits else "no: " + "; ".join(spent.limits),
        "provenance": f"{spent.provenance} by {spent.model}",
    }
    columns = ["layer", "arithmetic", "bits", "kernel", "MACs ", "energy ", "latency ", "size "]
    rows = [
        [
            layer.name,
            layer.arithmetic,
            bits.get(layer.name, ""),
            layer.kernel,
            format_count(layer.macs),
            format_quantity(layer.energy_j, "J"),
            format_quantity(layer.latency_s, "s"),
            format_quantity(layer.size_bytes, "B"),
        ]
        for layer in spent.layers
    ]
    print_table(columns, rows, title=title)
    print_facts(facts)
    for reason in notes:
        typer.echo(f"note: {reason}")
    next_step(f"greenshift targets {spent.target}")


def _designed(config: StudyConfig, configuration: str | None) -> tuple[Design, NetworkProfile]:
    """Design and profile of a named or stored configuration, or of the space's default, on a backbone."""
    from greenshift.networks import profile_design, weighted_layers
    from greenshift.scoping import study_scope
    from greenshift.space import configuration_names, make_space, named_configuration
    from greenshift.space.techniques import parameters

    data = DataChoice(config.data, config.data_dir)
    depth = weighted_layers(config.model, data)
    scope = study_scope(config, lambda design: profile_design(design, data), load_target(config.target))
    space = make_space(config.space, depth=depth, fidelity=None, scope=scope)
    if scope is None and configuration in configuration_names():
        values = named_configuration(str(configuration), depth)
    else:
        # A configuration of a study has no value for its fidelity; the space's default stands in.
        given = {} if configuration is None else _read_configuration(configuration, configuration_names())
        if scope is not None:  # how a network was taught costs nothing when it runs
            given = {name: value for name, value in given.items() if name not in parameters("distill")}
        try:
            values = space.complete(given)
            space.validate({**values, **given})
        except InputError as error:
            raise InputError(f"{configuration}: {error}") from error
    design = space.to_design(values, backbone=config.model, quantities={}, epochs=None, base=Recipe())
    return design, profile_design(design, data)


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
