"""The question of a study and its answer, in sentences with numbers, also if the answer is a baseline."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from greenshift.front import reached_fidelity
from greenshift.objectives import Objective
from greenshift.pareto import knee
from greenshift.quantities import format_count, format_points, format_ratio
from greenshift.records import Evaluation
from greenshift.report.economics import PAYBACK_BASELINES, BreakEven
from greenshift.report.wording import (
    describe_design,
    describe_fidelity,
    describe_fit,
    describe_name,
    describe_value,
    objective_noun,
)

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


def write_headline(
    config: Mapping[str, Any],
    objectives: Sequence[Objective],
    members: Sequence[Evaluation],
    baselines: Sequence[Evaluation],
    dominated_by: Mapping[int, tuple[str, ...]],
    payback: Sequence[BreakEven],
    evaluations: Sequence[Evaluation],
) -> Headline:
    """Answer a study's question.

    Recommended is the knee of those front points that fit the target and that no baseline dominates;
    ratios count where an objective is on a log scale.

    Args:
        config: The study's fields.
        objectives: Its objectives.
        members: Its front.
        baselines: Its baselines.
        dominated_by: Per front trial the baselines that dominate it.
        payback: Break-even of the front points.
        evaluations: Everything that was evaluated.
    """
    question = f"Which {config['model']} for {config['data']} should run on {config['target']}, if every joule counts?"
    notes = [
        *_dominance_notes(dominated_by),
        *_fidelity_notes(config, members, baselines),
        *_failure_notes(evaluations),
    ]
    open_points = [m for m in members if not dominated_by[m.trial]]
    fitting = [m for m in open_points if m.cost is None or m.cost["fits"]]
    if not members:
        return Headline(question, _answer_without_front(evaluations), None, tuple(notes))
    if not open_points:
        return Headline(question, _answer_baseline(dominated_by, baselines, objectives), None, tuple(notes))
    if not fitting:
        answer = f"No front point fits {config['target']}: {_name(open_points[0])} {describe_fit(open_points[0].cost)}."
        return Headline(question, answer, None, tuple(notes))
    best = _knee(fitting, objectives)
    notes[:0] = [f"{_name(best)} is {describe_design(best.design)}."]
    notes.append(_payback_note([entry for entry in payback if entry.trial == best.trial]))
    answer = _answer_trial(best, baselines, objectives)
    return Headline(question, answer, best.trial, tuple(note for note in notes if note))


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


def _answer_trial(best: Evaluation, baselines: Sequence[Evaluation], objectives: Sequence[Objective]) -> str:
    found = {b.label: b for b in baselines}
    comparisons = [compare(best, found[label], objectives) for label in PAYBACK_BASELINES if label in found]
    return "; ".join([f"{_name(best)}: {_values(best, objectives)}", *comparisons]) + "."


def _answer_baseline(
    dominated_by: Mapping[int, tuple[str, ...]], baselines: Sequence[Evaluation], objectives: Sequence[Objective]
) -> str:
    labels = [label for labels in dominated_by.values() for label in labels]
    winner = max(baselines, key=lambda b: labels.count(b.label or ""))
    return (
        f"Ship the {winner.label} baseline: {_values(winner, objectives)}. "
        f"The search was not worth it so far: baselines dominate every point of its front."
    )


def _answer_without_front(evaluations: Sequence[Evaluation]) -> str:
    tried = [e for e in evaluations if e.role == "trial"]
    return f"No answer: none of {len(tried)} trials gave a trained network." if tried else "No trial has finished yet."


def _dominance_notes(dominated_by: Mapping[int, tuple[str, ...]]) -> list[str]:
    if not dominated_by:
        return []
    counts = Counter(label for labels in dominated_by.values() for label in labels)
    if not counts:
        return [f"No baseline dominates any of the {len(dominated_by)} front points."]
    beaten = sum(bool(labels) for labels in dominated_by.values())
    each = ", ".join(f"{label} {count}" for label, count in counts.most_common())
    return [f"Baselines dominate {beaten} of {len(dominated_by)} front points ({each})."]


def _fidelity_notes(
    config: Mapping[str, Any], members: Sequence[Evaluation], baselines: Sequence[Evaluation]
) -> list[str]:
    if not members or not members[0].fidelity:
        return []
    notes = []
    reached, full = members[0].fidelity, config.get("fidelity_max")
    if full is not None and reached_fidelity(members[0]) < full:
        notes.append(f"The front was reached at {describe_fidelity(reached)}; full fidelity is {full:g}.")
    unlike = [b.label or "" for b in baselines if b.fidelity and dict(b.fidelity) != dict(reached)]
    if unlike:
        notes.append(
            f"Not trained alike: the front at {describe_fidelity(reached)}, but {', '.join(unlike)} otherwise."
        )
    return notes


def _failure_notes(evaluations: Sequence[Evaluation]) -> list[str]:
    counted = [e for e in evaluations if e.role == "trial"]
    failed = sum(e.outcome == "failed" for e in counted)
    refused = sum(e.outcome == "infeasible" for e in counted)
    notes = [f"{failed} of {len(counted) - refused} trained configurations failed."] if failed else []
    return notes + ([f"{refused} were refused before training, as they break a constraint."] if refused else [])


def _payback_note(entries: Sequence[BreakEven]) -> str:
    paying = [entry for entry in entries if entry.inferences is None or math.isfinite(entry.inferences)]
    never = " and ".join(entry.baseline for entry in entries if entry not in paying)
    if not paying:
        return f"The search never pays back its own energy: nothing is saved against {never}." if never else ""
    if paying[0].inferences is None:
        return "Whether the search pays back is unknown, as its energy was not measured."
    parts = [
        f"after {format_count(e.inferences)} inferences against {e.baseline}"
        for e in paying
        if e.inferences is not None
    ]
    return f"The search pays back its own energy {' and '.join(parts)}{f', never against {never}' if never else ''}."


def _values(evaluation: Evaluation, objectives: Sequence[Objective]) -> str:
    first, *rest = (describe_value(o.name, evaluation.objectives[o.name]) for o in objectives)
    return f"{first} at {' and '.join(rest)}" if rest else first


def _knee(members: Sequence[Evaluation], objectives: Sequence[Objective]) -> Evaluation:
    rows = []
    for member in members:
        values = [member.objectives[objective.name] for objective in objectives]
        rows.append([math.log(v) if o.log and v > 0 else v for v, o in zip(values, objectives, strict=True)])
    # From the far end of the front, so that of two equally good points the one that costs less is taken.
    return members[len(rows) - 1 - knee(rows[::-1])]


def _name(evaluation: Evaluation) -> str:
    return describe_name(evaluation).capitalize()
