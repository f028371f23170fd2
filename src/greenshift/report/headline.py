"""The question of a study and its answer, in sentences with numbers, also if the answer is a baseline."""

import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from greenshift.accounts import BreakEven
from greenshift.front import reached_fidelity
from greenshift.objectives import Objective
from greenshift.quantities import format_count, format_points, format_ratio
from greenshift.records import Evaluation
from greenshift.report.data import PAYBACK_BASELINES, ReportData
from greenshift.report.wording import (
    describe_design,
    describe_fidelity,
    describe_fit,
    describe_name,
    describe_value,
    objective_noun,
)
from greenshift.selection import recommend

_SAME_RATIO = 1.005


@dataclass(frozen=True)
class Headline:
    """What somebody reads who reads one paragraph.

    Attributes:
        question: What was asked.
        answer: One sentence with numbers.
        recommended: The trial that is recommended, or None if none is.
        notes: What one must know to believe the answer.
    """

    question: str
    answer: str
    recommended: int | None
    notes: tuple[str, ...]


def write_headline(data: ReportData) -> Headline:
    """Answer a study's question: with the recommended trial, with a baseline, or with why there is none.

    Args:
        data: The study.
    """
    config = data.config
    question = f"Which {config['model']} for {config['data']} should run on {config['target']}, if every joule counts?"
    notes = [*_replay_notes(data), *_dominance_notes(data), *_fidelity_notes(data), *_failure_notes(data)]
    if data.stopped:
        notes.append(f"The search stopped: {data.stopped}.")
    best = recommend(data.front, data.baselines, data.objectives)
    if best is None:
        return Headline(question, _answer_without_trial(data), None, tuple(notes))
    notes.insert(0, f"{_name(best)} is {describe_design(best.design)}.")
    notes += _payback_notes([entry for entry in data.break_evens if entry.trial == best.trial])
    return Headline(question, _answer_trial(best, data), best.trial, tuple(notes))


def _replay_notes(data: ReportData) -> list[str]:
    if data.config.get("replay") is None:  # stores of older versions have no such field
        return []
    table = Path(data.config["replay"]).name
    return [f"Nothing was trained: this is a replay, and it took what {table} took when it was recorded."]


def compare(point: Evaluation, other: Evaluation, objectives: Sequence[Objective]) -> str:
    """Say how a network differs from another one: `against int8: 7.3x less energy, +0.42 points of error`."""
    parts = []
    for objective in objectives:
        own, others = point.objectives[objective.name], other.objectives[objective.name]
        noun = objective_noun(objective.name)
        parts.append(_ratio(own, others, noun) if objective.unit else f"{format_points(own - others)} of {noun}")
    return f"against {describe_name(other)}: {', '.join(reversed(parts))}"


def _ratio(own: float, others: float, noun: str) -> str:
    low, high = sorted((own, others))
    if low == high or (low > 0 and high / low < _SAME_RATIO):
        return f"as much {noun}"
    factor = f"{format_ratio(high / low)} " if low > 0 else ""
    return f"{factor}{'less' if own < others else 'more'} {noun}"


def _answer_trial(best: Evaluation, data: ReportData) -> str:
    found = {b.label: b for b in data.baselines}
    comparisons = [compare(best, found[label], data.objectives) for label in PAYBACK_BASELINES if label in found]
    return "; ".join([f"{_name(best)}: {_values(best, data.objectives)}", *comparisons]) + "."


def _answer_without_trial(data: ReportData) -> str:
    tried = sum(e.role == "trial" for e in data.evaluations)
    if not tried:
        return "No trial has finished yet."
    if not data.front:
        return f"No answer: none of {tried} trials gave a trained network."
    unbeaten = [member for member in data.front if not data.dominated_by[member.trial]]
    if unbeaten:
        fit = describe_fit(unbeaten[0].cost)
        return f"No undominated front point fits {data.config['target']}: {describe_name(unbeaten[0])}, {fit}."
    labels = [label for labels in data.dominated_by.values() for label in labels]
    winner = max(data.baselines, key=lambda b: labels.count(b.label or ""))
    return (
        f"Ship the {winner.label} baseline: {_values(winner, data.objectives)}. "
        f"The search was not worth it so far: baselines dominate every point of its front."
    )


def _dominance_notes(data: ReportData) -> list[str]:
    if not data.front or not data.baselines:
        return []
    size = len(data.front)
    counts = Counter(label for labels in data.dominated_by.values() for label in labels)
    beaten = sum(bool(labels) for labels in data.dominated_by.values())
    each = ", ".join(f"{label} {count}" for label, count in counts.most_common())
    notes = [
        f"Baselines dominate {beaten} of {size} front points ({each})."
        if each
        else f"No baseline dominates any of the {size} front points."
    ]
    reached, alone = data.curve[-1].hypervolume, data.baseline_hypervolume
    if alone is not None and alone >= reached:
        notes.append(
            f"The baselines alone cover more than the front of the search: hypervolume {alone:.3g} to {reached:.3g}."
        )
    return notes


def _fidelity_notes(data: ReportData) -> list[str]:
    if not data.front or not data.front[0].fidelity:
        return []
    notes = []
    reached, full = data.front[0].fidelity, data.config["fidelity_max"]
    if full is not None and reached_fidelity(data.front[0]) < full:
        notes.append(f"The front was reached at {describe_fidelity(reached)}; full fidelity is {full:g}.")
    unlike = [b.label or "" for b in data.baselines if b.fidelity and dict(b.fidelity) != dict(reached)]
    if unlike:
        notes.append(
            f"Not trained alike: the front at {describe_fidelity(reached)}, but {', '.join(unlike)} otherwise."
        )
    return notes


def _failure_notes(data: ReportData) -> list[str]:
    failed, refused = data.outcomes["failed"], data.outcomes["infeasible"]
    notes = [f"{failed} of {failed + data.outcomes['ok']} trainings failed."] if failed else []
    return notes + ([f"{refused} trials were refused before training, as they break a constraint."] if refused else [])


def _payback_notes(entries: Sequence[BreakEven]) -> list[str]:
    paying = [entry for entry in entries if entry.inferences is None or math.isfinite(entry.inferences)]
    never = " and ".join(entry.baseline for entry in entries if entry not in paying)
    if not paying:
        return [f"The search never pays back its own energy: nothing is saved against {never}."] if never else []
    if paying[0].inferences is None:
        return ["Whether the search pays back is unknown, as its energy was not measured."]
    parts = [
        f"after {format_count(e.inferences)} inferences against {e.baseline}"
        for e in paying
        if e.inferences is not None
    ]
    exception = f", never against {never}" if never else ""
    return [f"The search pays back its own energy {' and '.join(parts)}{exception}."]


def _values(evaluation: Evaluation, objectives: Sequence[Objective]) -> str:
    first, *rest = (describe_value(o.name, evaluation.objectives[o.name]) for o in objectives)
    return f"{first} at {' and '.join(rest)}" if rest else first


def _name(evaluation: Evaluation) -> str:
    return describe_name(evaluation).capitalize()
