"""What a report says, as frozen values: everything is worked out here, nothing is drawn."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from greenshift.accounts import Account, BreakEven, break_evens, given_grid, make_account, references
from greenshift.energy import Reading
from greenshift.front import (
    CurvePoint,
    finished_baselines,
    front,
    front_hypervolume,
    hypervolume_curve,
    objective_values,
    study_reference,
)
from greenshift.objectives import Objective, get_objectives
from greenshift.records import Evaluation
from greenshift.selection import dominating
from greenshift.store import Consumption
from greenshift.targets import RankAgreement

PAYBACK_BASELINES = ("float32", "int8")


@dataclass(frozen=True)
class Reproduction:
    """How to get these figures again.

    Attributes:
        command: The command line of the study, or None if it is not known.
        versions: Version per package.
        created: When the report was written, in words.
    """

    command: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    created: str = ""


@dataclass(frozen=True)
class Reason:
    """Why some evaluations gave nothing.

    Attributes:
        outcome: How they ended.
        reason: The reason of the first of them.
        varies: True if the figures in the reason differ between them.
        trials: Their numbers, negative for baselines.
    """

    outcome: str
    reason: str
    varies: bool
    trials: tuple[int, ...]


@dataclass(frozen=True)
class Selection:
    """One network that `select` retrained and tested.

    Attributes:
        trial: The trial it came from.
        test_error: Mean over the seeds, as a share.
        test_error_std: Sample standard deviation over the seeds, or None for one seed.
        seeds: Number of seeds.
        artifact: Where the trained network is, or None.
        packed: What `select` said of its packed form: `size_bytes`, `latency_s` and `kernel` on the host where it
            ran, or `reason` if there is none. None in a store that is older than packing.
    """

    trial: int
    test_error: float
    test_error_std: float | None
    seeds: int
    artifact: str | None
    packed: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ReportData:
    """Everything a report shows. Energies in J, times in s, errors as shares.

    Attributes:
        config: The study's fields.
        objectives: Its objectives.
        evaluations: All of its evaluations in the order they finished.
        front: The front, sorted by the first objective.
        baselines: Baselines that ended `ok`.
        dominated_by: Per front trial the labels of the baselines that dominate it; empty tuples included.
        curve: Hypervolume against cost.
        reference: Worst corner of the hypervolume, in the objectives' units.
        baseline_hypervolume: Hypervolume of the baselines alone, or None if there are none.
        break_evens: When the search has paid back.
        consumed: What the search consumed.
        account: Energy and carbon by stages.
        tables: How far the target's tables agree on the front's order by energy; empty if that was not asked.
        outcomes: Number of evaluations of the search per outcome.
        reasons: Why evaluations failed or were refused, most frequent first.
        selections: Networks that were selected and tested.
        reproduction: Command and versions.
        stopped: Why the search stopped, in words; empty if it runs or does not say.
    """

    config: Mapping[str, Any]
    objectives: tuple[Objective, ...]
    evaluations: tuple[Evaluation, ...]
    front: tuple[Evaluation, ...]
    baselines: tuple[Evaluation, ...]
    dominated_by: Mapping[int, tuple[str, ...]]
    curve: tuple[CurvePoint, ...]
    reference: tuple[float, ...]
    baseline_hypervolume: float | None
    break_evens: tuple[BreakEven, ...]
    consumed: Consumption | Reading
    account: Account
    tables: tuple[RankAgreement, ...]
    outcomes: Mapping[str, int]
    reasons: tuple[Reason, ...]
    selections: tuple[Selection, ...]
    reproduction: Reproduction
    stopped: str = ""


def report_data(
    config: Mapping[str, Any],
    evaluations: Sequence[Evaluation],
    consumed: Consumption | Reading,
    selections: Sequence[Mapping[str, Any]] = (),
    *,
    known: Mapping[str, float] | None = None,
    reproduction: Reproduction | None = None,
    account: Account | None = None,
    tables: Sequence[RankAgreement] = (),
) -> ReportData:
    """Work out everything a report shows. Pure.

    Args:
        config: The study's fields (`greenshift.config.to_mapping`).
        evaluations: Its evaluations, baselines included, in the order they finished.
        consumed: What its sessions consumed in total.
        selections: What `select` gave, see `read_selection`.
        known: Cost of the untrained float32 network, for the hypervolume's reference without trained baselines.
        reproduction: Command and versions.
        account: Energy and carbon by stages; at the study's own carbon intensity if left out.
        tables: How far the target's tables agree (`greenshift.accounts.table_agreement`).

    Raises:
        InputError: If the study names an unknown objective.
    """
    objectives = get_objectives(tuple(config["objectives"]), config.get("max_error"))
    members, baselines = front(evaluations, objectives), tuple(finished_baselines(evaluations))
    reference = study_reference(evaluations, objectives, known)
    account = account or _own_account(config, consumed, selections)
    return ReportData(
        config=dict(config),
        objectives=objectives,
        evaluations=tuple(evaluations),
        front=tuple(members),
        baselines=baselines,
        dominated_by={member.trial: dominating(member, baselines, objectives) for member in members},
        curve=tuple(hypervolume_curve(evaluations, objectives, reference)),
        reference=reference,
        baseline_hypervolume=_hypervolume(baselines, objectives, reference),
        break_evens=break_evens(members, references(evaluations, known), account.upfront(), PAYBACK_BASELINES),
        consumed=consumed,
        account=account,
        tables=tuple(tables),
        outcomes=_count_outcomes(evaluations),
        reasons=_group_reasons(evaluations),
        selections=tuple(map(read_selection, selections)),
        reproduction=reproduction or Reproduction(),
    )


def _hypervolume(
    points: Sequence[Evaluation], objectives: Sequence[Objective], reference: Sequence[float]
) -> float | None:
    values = [objective_values(point, objectives) for point in points]
    return front_hypervolume(values, objectives, reference) if values else None


def _own_account(
    config: Mapping[str, Any], consumed: Consumption | Reading, selections: Sequence[Mapping[str, Any]]
) -> Account:
    """The ledger at the study's own carbon intensity."""
    return make_account(
        consumed, selections, given_grid(config["carbon_intensity_g_per_kwh"], "the study's own setting")
    )


def read_selection(record: Mapping[str, Any]) -> Selection:
    """Read one record of `select`.

    Args:
        record: `trial`, `test_error` as `{"mean", "std"}`, `seeds` as a list, `artifact`, and perhaps `packed`.
    """
    test_error = record["test_error"]
    return Selection(
        trial=record["trial"],
        test_error=test_error["mean"],
        test_error_std=test_error.get("std"),
        seeds=len(record["seeds"]),
        artifact=record.get("artifact"),
        packed=record.get("packed"),
    )


def _count_outcomes(evaluations: Sequence[Evaluation]) -> dict[str, int]:
    counts = dict.fromkeys(("ok", "failed", "infeasible", "interrupted"), 0)
    for evaluation in evaluations:
        if evaluation.role == "trial":
            counts[evaluation.outcome] += 1
    return counts


def _group_reasons(evaluations: Sequence[Evaluation]) -> tuple[Reason, ...]:
    groups: dict[tuple[str, str], list[tuple[str, int]]] = defaultdict(list)
    for evaluation in evaluations:
        if evaluation.outcome != "ok":
            reason = evaluation.reason or "no reason was recorded"
            # Reasons that differ in their figures only are one reason.
            groups[evaluation.outcome, re.sub(r"[-+]?\d[\d.]*(e[-+]?\d+)?", "#", reason)].append(
                (reason, evaluation.trial)
            )
    reasons = [
        Reason(outcome, members[0][0], len({reason for reason, _ in members}) > 1, tuple(trial for _, trial in members))
        for (outcome, _), members in groups.items()
    ]
    return tuple(sorted(reasons, key=lambda group: -len(group.trials)))
