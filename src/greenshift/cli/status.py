"""`greenshift status`: how far a study is. By itself, so that it answers at once."""

import dataclasses
from collections import Counter
from pathlib import Path

import typer

from greenshift.cli.output import JSON_OPTION, STORE, next_step, print_facts, print_json, shell_path
from greenshift.config import study_objectives
from greenshift.front import finished_baselines, front, front_hypervolume, objective_values, study_reference
from greenshift.quantities import format_duration, format_quantity
from greenshift.store import Store


def add_to(app: typer.Typer) -> None:
    """Add the command."""
    app.command("status")(status)


def status(store: Path = STORE, as_json: bool = JSON_OPTION) -> None:
    """Say how far a study is and what it has consumed."""
    with Store.open(store) as opened:
        config, evaluations, consumed = opened.config(), opened.evaluations(), opened.consumed()
        running, facts = opened.is_running(), opened.facts()
    objectives = study_objectives(config)
    counts = Counter(e.outcome for e in evaluations if e.role == "trial")
    points = front(evaluations, objectives)
    reference = study_reference(evaluations, objectives, facts.get("float32"))
    volume = front_hypervolume([objective_values(p, objectives) for p in points], objectives, reference)
    stopped = None if running else facts.get("stopped")
    if as_json:
        print_json(
            {
                "running": running,
                "stopped": stopped,
                "trials": {name: counts[name] for name in ("ok", "failed", "infeasible", "interrupted")},
                "baselines": len(finished_baselines(evaluations)),
                "front_size": len(points),
                "hypervolume": volume,
                "consumption": dataclasses.asdict(consumed),
                "budget": config.budget,
                "replay": config.replay,
            }
        )
        return
    energy = "not metered" if consumed.energy_j is None else format_quantity(consumed.energy_j, "J")
    print_facts(
        {
            "study": f"{config.model} on {config.data} for {config.target}, space {config.space}, {config.optimizer}",
            **({} if config.replay is None else {"replay": f"nothing was trained: all of it is from {config.replay}"}),
            "state": "running" if running else f"stopped: {stopped['detail']}" if stopped else "not running",
            "trials": f"{counts['ok']} ok, {counts['failed']} failed, {counts['infeasible']} refused",
            "front": f"{len(points)} points, hypervolume {volume:.3f}",
            "consumed": f"{format_duration(consumed.wall_s)}, {energy} ({consumed.provenance}: {consumed.source})",
            "budget": config.budget,
        }
    )
    next_step(f"greenshift front {shell_path(store)}")
