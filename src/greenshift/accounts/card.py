"""The carbon card: what a Green AutoML paper should report, and the SCI score. What is missing is said to be."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from greenshift.accounts.stages import Account
from greenshift.quantities import format_count, format_duration, format_quantity
from greenshift.records import Evaluation
from greenshift.store import PROBE, Session

NOT_RECORDED = "not recorded"

CHECKLIST = "Green AutoML checklist after Tornede et al., Towards Green Automated Machine Learning, JAIR 77, 2023"
SCI = "SCI = (E x I + M) / R, ISO/IEC 21031:2024"


@dataclass(frozen=True)
class Score:
    """A Software Carbon Intensity.

    Attributes:
        g_per_unit: gCO2e per functional unit R, or None if a part of it was not measured.
        unit: What R counts, in the singular.
        count: R.
        operational_g: E x I in gCO2e, or None if it was not measured.
        embodied_g: M in gCO2e, or None if it was not declared and is not in the score.
        boundary: What is in it and what is not, in words.
    """

    g_per_unit: float | None
    unit: str
    count: float
    operational_g: float | None
    embodied_g: float | None
    boundary: str


@dataclass(frozen=True)
class Card:
    """What is to be reported about a study.

    Attributes:
        items: Checklist entries by name, in order; `NOT_RECORDED` where nothing is known.
        score: The SCI score.
        account: The ledger behind it.
    """

    items: Mapping[str, str]
    score: Score
    account: Account

    def to_json(self) -> dict[str, Any]:
        """Return the card as a JSON object; an item that was not recorded is None."""
        items = {name: None if text == NOT_RECORDED else text for name, text in self.items.items()}
        return {
            "checklist": CHECKLIST,
            "items": items,
            "sci": {"formula": SCI, **vars(self.score)},
            **self.account.to_json(),
        }

    def to_markdown(self) -> str:
        """Return the card as Markdown."""
        score = self.score
        value = format_quantity(score.g_per_unit, "gCO2e") + (f" per {score.unit}" if score.g_per_unit else "")
        lines = ["# Carbon card", "", f"{CHECKLIST}; the wording is ours.", "", "| item | |", "|---|---|"]
        lines += [f"| {name} | {_cell(text)} |" for name, text in self.items.items()]
        lines += [
            "",
            "## Energy and carbon by stage",
            "",
            "| stage | energy | gCO2e | provenance |",
            "|---|---|---|---|",
        ]
        lines += [
            f"| {stage.name.replace('_', ' ')} | "
            f"{format_quantity(None if stage.energy is None else stage.energy.energy_j, 'J')} | "
            f"{format_quantity(stage.carbon_g, 'gCO2e')} | {stage.provenance} |"
            for stage in self.account.stages
        ]
        embodied = NOT_RECORDED if score.embodied_g is None else format_quantity(score.embodied_g, "gCO2e")
        lines += ["", "## Software Carbon Intensity", "", f"**{value}**, by {SCI}.", ""]
        lines += [f"- E x I: {format_quantity(score.operational_g, 'gCO2e')}", f"- M: {embodied}"]
        lines += [f"- R: {format_count(score.count)} {score.unit}s", f"- Boundary: {score.boundary}", ""]
        return "\n".join(lines)


def make_card(
    config: Mapping[str, Any],
    evaluations: Sequence[Evaluation],
    sessions: Sequence[Session],
    selections: Sequence[Mapping[str, Any]],
    facts: Mapping[str, Any],
    account: Account,
    inferences: float | None = None,
) -> Card:
    """Return the card of a study.

    Args:
        config: The study's fields.
        evaluations: All of its evaluations.
        sessions: Its runs.
        selections: What `select` recorded.
        facts: `Store.facts()`; the machine and the versions of packages are read from it if they are there.
        account: Its ledger, with an inference stage if `inferences` is given.
        inferences: Inferences that were declared, or None to count trials.
    """
    items = {
        **_machine_items(facts, sessions),
        **_energy_items(account, sessions),
        "data": _data(config),
        "model and target": f"{config['model']} for {config['target']}",
        "search space and method": f"space {config['space']}, optimizer {config['optimizer']}",
        "budget": str(config["budget"]),
        "seeds": _seeds(config, selections),
        "runs counted": _runs(evaluations, sessions),
        "energy of failed and interrupted trials": _discarded(evaluations),
        "artifacts shared": ", ".join(str(s["artifact"]) for s in selections if s.get("artifact")) or NOT_RECORDED,
    }
    return Card(items, _score(evaluations, account, inferences), account)


def _machine_items(facts: Mapping[str, Any], sessions: Sequence[Session]) -> dict[str, str]:
    machine = facts.get("machine")
    hardware = NOT_RECORDED
    if machine:
        memory = format_quantity(machine["ram_bytes"], "B")
        hardware = f"{machine['cpu']}, {machine['usable_cores']} of {machine['cores']} cores, {memory} (latest run)"
    versions = dict.fromkeys(f"greenshift {session.version}" for session in sessions)
    packages = [f"{name} {version}" for name, version in facts.get("versions", {}).items() if name != "greenshift"]
    return {"hardware": hardware, "tool versions": ", ".join([*versions, *packages]) or NOT_RECORDED}


def _energy_items(account: Account, sessions: Sequence[Session]) -> dict[str, str]:
    search = account.stage("search")
    days = [datetime.fromtimestamp(session.started_at, UTC).date().isoformat() for session in sessions]
    assert search is not None
    energy = search.energy
    return {
        "dates": f"{min(days)} to {max(days)}" if days else NOT_RECORDED,
        "run time": f"{format_duration(account.wall_s)}, search and final trainings",
        "energy": NOT_RECORDED
        if energy is None
        else f"{format_quantity(energy.energy_j, 'J')}, {search.provenance}, within a factor of {energy.factor:g}",
        "how the energy was found": search.source or NOT_RECORDED,
        "energy mix and place": f"{account.grid.describe()} ({account.grid.source})",
        "power usage effectiveness": f"{account.pue:g}",
        "emissions": NOT_RECORDED
        if search.carbon_g is None
        else format_quantity(search.carbon_g, "gCO2e") + ", search",
    }


def _data(config: Mapping[str, Any]) -> str:
    limit = config.get("train_limit")
    return str(config["data"]) + (f", at most {limit} training images" if limit else "")


def _seeds(config: Mapping[str, Any], selections: Sequence[Mapping[str, Any]]) -> str:
    final = [json.dumps(s["seeds"]) for s in selections if s.get("seeds")]
    return f"search {config['seed']}" + (f", final trainings {', '.join(final)}" if final else "")


def _runs(evaluations: Sequence[Evaluation], sessions: Sequence[Session]) -> str:
    trials = [e for e in evaluations if e.role == "trial"]
    counts = {name: sum(e.outcome == name for e in trials) for name in ("ok", "failed", "infeasible", "interrupted")}
    words = f"{counts['ok']} ok, {counts['failed']} failed, {counts['interrupted']} interrupted"
    baselines = len(evaluations) - len(trials)
    probes = sum(session.state == PROBE for session in sessions)
    found = f" and {probes} that found its budget" if probes else ""
    return (
        f"{len(sessions) - probes} runs of the search{found}; "
        f"trials: {words}, {counts['infeasible']} refused untrained; "
        f"{baselines} baselines; all of them are in the energy"
    )


def _discarded(evaluations: Sequence[Evaluation]) -> str:
    readings = [e.reading.energy_j for e in evaluations if e.outcome in ("failed", "interrupted")]
    known = [energy_j for energy_j in readings if energy_j is not None]
    return NOT_RECORDED if len(known) < len(readings) else f"{format_quantity(sum(known), 'J')}, in the total"


def _score(evaluations: Sequence[Evaluation], account: Account, inferences: float | None) -> Score:
    total = account.total_carbon_g()
    embodied = account.embodied_g
    stages = ", ".join(stage.name.replace("_", " ") for stage in account.stages)
    unit, count = "inference", inferences
    if count is None:
        unit, count = "trial", float(sum(e.role == "trial" and e.outcome in ("ok", "failed") for e in evaluations))
    made = "the machine's making is left out, as it was not declared" if embodied is None else "the machine's making"
    boundary = f"{stages} of this study, all runs; {made}; devices' making, networks and storage are left out"
    operational = None if total is None else total - (embodied or 0.0)
    each = None if total is None or count == 0 else total / count
    return Score(each, unit, count, operational, embodied, boundary)


def _cell(text: str) -> str:
    """Text that cannot end a cell of a Markdown table."""
    return " ".join(text.split()).replace("|", "\\|")
