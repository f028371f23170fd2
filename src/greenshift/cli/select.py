"""`greenshift select`: take one point of the front, train it for good, and test it once."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import typer

from greenshift.cli.output import JSON_OPTION, next_step, print_facts, print_json, shell_path
from greenshift.config import StudyConfig, study_objectives
from greenshift.errors import InputError, StudyError
from greenshift.objectives import parse_constraint
from greenshift.quantities import format_error, format_objective, format_quantity
from greenshift.records import DataChoice, Evaluation, WeightFile
from greenshift.report.wording import describe_design
from greenshift.selection import choose
from greenshift.store import Store

# Training images by which the steps of a packed network's activations are chosen.
_CALIBRATION = 256


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("select")(select)


def select(
    store: Path = typer.Argument(..., help="Run folder of greenshift search."),
    trial: int | None = typer.Option(None, help="Take this trial."),
    max_size: str | None = typer.Option(None, help="Bound on the size, such as 256kB or 60% of float32."),
    max_energy: str | None = typer.Option(None, help="Bound on the energy, such as 50uJ or 60%."),
    max_latency: str | None = typer.Option(None, help="Bound on the latency, such as 20ms or 60%."),
    max_memory: str | None = typer.Option(None, help="Bound on the working memory, such as 64KiB or 60%."),
    seeds: int = typer.Option(3, min=1, help="Trainings with different seeds."),
    output: Path | None = typer.Option(None, "--output", "-o", help="Artifact. [STORE/trial-N.safetensors]"),
    as_json: bool = JSON_OPTION,
) -> None:
    """Retrain one point of the front on all training images and report its test error, once.

    Without --trial and bounds the knee of the front is taken.
    """
    texts = {
        "size_bytes": max_size,
        "energy_j": max_energy,
        "latency_s": max_latency,
        "peak_memory_bytes": max_memory,
    }
    with Store.open(store) as opened:
        config, evaluations = opened.config(), opened.evaluations()
        facts, earlier = opened.facts(), opened.selections()
    bounds = [parse_constraint(name, text) for name, text in texts.items() if text is not None]
    if trial is not None and bounds:
        raise InputError("select: give either --trial or bounds, not both")
    limits = {bound.objective: bound.limit(facts.get("float32", {})) for bound in bounds}
    chosen = choose(evaluations, study_objectives(config), trial=trial, limits=limits)
    selection = next((s for s in earlier if s["trial"] == chosen.trial), None)
    repeated = selection is not None
    if selection is None:
        artifact = output or store / f"trial-{chosen.trial}.safetensors"
        _check_place(artifact)
        with Store.create(store, config) as writer:  # first, so that nothing is trained that cannot be recorded
            selection = _retrain(chosen, config, facts, seeds, artifact)
            selection["packed"] = _pack(artifact, config)
            writer.record_selection(selection)
    if as_json:
        print_json(selection)
        return
    _print(chosen, selection, repeated=repeated)


def _check_place(artifact: Path) -> None:
    """Say before the training, not after it, that its artifact has no place."""
    folder = artifact.absolute().parent
    if artifact.is_dir() or not folder.is_dir() or not os.access(folder, os.W_OK):
        raise InputError(f"select: {artifact} cannot be written; name a file in a folder that exists with --output")


def _retrain(
    chosen: Evaluation, config: StudyConfig, facts: Mapping[str, Any], seeds: int, artifact: Path
) -> dict[str, Any]:
    from greenshift.final import retrain
    from greenshift.train import DivergedError

    typer.echo(f"trial {chosen.trial}: training with {seeds} seeds on all training images", err=True)
    try:
        result = retrain(
            chosen.design,
            DataChoice(config.data, config.data_dir, config.validation_share, config.train_limit, config.seed),
            range(config.seed, config.seed + seeds),
            artifact,
            epochs=chosen.design.recipe.epochs,
            teacher=WeightFile.recorded(facts, "teacher"),
            init=WeightFile.recorded(facts, "init"),
            threads=config.threads,
            cpu_watts=config.cpu_watts,
            on_seed=lambda seed, error: typer.echo(f"seed {seed}: test error {format_error(error)}", err=True),
        )
    except DivergedError as error:
        raise StudyError(f"select: the final training of trial {chosen.trial} {error}; choose another trial") from error
    return {
        "trial": chosen.trial,
        "fidelity": chosen.fidelity,
        "objectives": chosen.objectives,
        "provenance": chosen.provenance,
        "seeds": list(result.seeds),
        "test_errors": list(result.test_errors),
        "test_error": {"mean": result.mean, "std": result.std},
        "artifact": str(result.artifact),
        "target": {"name": config.target, "latency_s": (chosen.cost or {}).get("latency_s"), "provenance": "modelled"},
        "reading": result.reading.to_json(),
    }


def _pack(artifact: Path, config: StudyConfig) -> dict[str, Any]:
    """Pack the artifact beside itself and time it on this machine, or say why it cannot be packed."""
    from greenshift.deploy.bench.host import host_latency
    from greenshift.deploy.file import read_file
    from greenshift.deploy.packing.artifact import pack_artifact

    path = artifact.with_name(f"{artifact.name.removesuffix('.safetensors')}.packed")
    try:
        made = pack_artifact(artifact, path, _CALIBRATION, data_dir=config.data_dir, threads=config.threads)
    except InputError as error:
        return {"reason": str(error)}
    packed = read_file(path)
    facts = {"path": str(path), "size_bytes": packed.size_bytes, "int8_layers": list(made.report.int8_layers)}
    return {**facts, **host_latency(packed.network).to_json()}


def _print(chosen: Evaluation, selection: dict[str, Any], *, repeated: bool) -> None:
    spread = selection["test_error"]["std"]
    text = format_error(selection["test_error"]["mean"])
    text += "" if spread is None else f" ± {format_error(spread)} (sample std over {len(selection['seeds'])} seeds)"
    facts = {"trial": str(chosen.trial), "design": describe_design(chosen.design)}
    for name, value in chosen.objectives.items():
        facts[name] = f"{format_objective(name, value)}, {chosen.provenance[name]}"
    if "error" in facts:
        facts["error"] += " on validation images"
    facts["test error"] = text + (", as reported before: a point is tested once" if repeated else ", measured")
    facts["artifact"] = shell_path(Path(selection["artifact"]))
    facts |= _packed_facts(selection)
    print_facts(facts)
    next_step(f"greenshift evaluate --checkpoint {facts['artifact']} --data DATA, on the images it is meant for")


def _packed_facts(selection: dict[str, Any]) -> dict[str, str]:
    """What became of the packed file, and both latencies; nothing in a store that is older than packing."""
    facts = {}
    packed, target = selection.get("packed"), selection.get("target")
    if packed is not None and "reason" in packed:
        facts["packed"] = f"no: {packed['reason']}"
    elif packed is not None:
        facts["packed"] = f"{shell_path(Path(packed['path']))}, {format_quantity(packed['size_bytes'], 'B')}"
        if packed["int8_layers"]:
            facts["packed"] += f"; trained in float32 and made int8: {', '.join(packed['int8_layers'])}"
        facts["latency here"] = f"{format_quantity(packed['latency_s'], 's')}, measured; kernel: {packed['kernel']}"
    if target is not None and target["latency_s"] is not None:
        facts["latency there"] = f"{format_quantity(target['latency_s'], 's')} on {target['name']}, modelled"
    return facts
