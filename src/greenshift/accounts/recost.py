"""The same study on other electricity or on another device: recorded quantities are physical, so nothing is trained."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from greenshift.accounts.grid import Grid
from greenshift.config import StudyConfig, constraints, study_objectives
from greenshift.energy import carbon_g
from greenshift.errors import InputError
from greenshift.front import front
from greenshift.objectives import OBJECTIVES
from greenshift.records import DataChoice, Evaluation
from greenshift.targets import RankAgreement, Target, cost, load_target, load_variants, rank_stability

CARBON_OBJECTIVE = "emissions_g"


def on_grid(evaluations: Sequence[Evaluation], config: StudyConfig, grid: Grid, pue: float = 1.0) -> list[Evaluation]:
    """Return the evaluations as they would have been with other electricity.

    The only objective that depends on it is `emissions_g`, the carbon of one validation pass. Its joules
    follow from the intensity of the study, which is a part of the study's identity where carbon is an
    objective. An hourly profile weighs each evaluation by the hours in which it ran.

    Args:
        evaluations: The study's evaluations.
        config: The study.
        grid: The electricity.
        pue: Power usage effectiveness of where they ran.

    Raises:
        InputError: If `emissions_g` is an objective and the study's own intensity was 0.
    """
    if CARBON_OBJECTIVE not in config.objectives:
        return list(evaluations)
    recorded = config.carbon_intensity_g_per_kwh
    if recorded == 0:
        raise InputError("grid: the study recorded its emissions at 0 g/kWh, so their energy is not known")

    def moved(evaluation: Evaluation) -> Evaluation:
        if CARBON_OBJECTIVE not in evaluation.objectives:
            return evaluation
        energy_j = evaluation.objectives[CARBON_OBJECTIVE] / carbon_g(1.0, recorded)
        grams = carbon_g(energy_j, _intensity(evaluation, grid), pue)
        return dataclasses.replace(evaluation, objectives={**evaluation.objectives, CARBON_OBJECTIVE: grams})

    return [moved(evaluation) for evaluation in evaluations]


def on_target(
    evaluations: Sequence[Evaluation], config: StudyConfig, name: str
) -> tuple[list[Evaluation], dict[str, float]]:
    """Return the evaluations as they would cost on another target, and the untouched float32 network's cost there.

    Designs are profiled again from their records; errors, curves and what was consumed stay. Trials that
    were refused before training stay refused. Imports torch, for the trace of the backbone.

    Args:
        evaluations: The study's evaluations.
        config: The study.
        name: Name or file of the target, such as `cortex-m7` or, for a variant of its tables,
            `asic-45nm:aladdin`.

    Raises:
        InputError: If there is no such target, or it cannot run one of the networks.
    """
    from greenshift.design import Design
    from greenshift.networks import profile_design

    target = load_target(name)
    data = DataChoice(config.data, config.data_dir)
    untouched = cost(profile_design(Design(config.model), data), target)
    float32 = {key: float(getattr(untouched, key)) for key in known_objectives()}
    bounds = {bound.objective: bound.limit(float32) for bound in constraints(config)}
    known: dict[str, dict[str, Any]] = {}

    def moved(evaluation: Evaluation) -> Evaluation:
        digest = evaluation.design.digest
        if digest not in known:
            known[digest] = _cost_json(evaluation, data, target, bounds.get("size_bytes"))
        spent = known[digest]
        objectives = {
            key: float(spent[key]) if OBJECTIVES[key].known else value for key, value in evaluation.objectives.items()
        }
        return dataclasses.replace(evaluation, objectives=objectives, cost=spent)

    return [moved(evaluation) for evaluation in evaluations], float32


def table_agreement(evaluations: Sequence[Evaluation], config: StudyConfig, name: str) -> tuple[RankAgreement, ...]:
    """Say how far the front's order by energy survives a change of the target's tables. Imports torch.

    Args:
        evaluations: The study's evaluations.
        config: The study.
        name: Name or file of the target.

    Raises:
        InputError: If there is no such target, it has no variants, or one cannot run a network.
    """
    from greenshift.networks import profile_design

    targets = load_variants(name)
    if len(targets) == 1:
        raise InputError(f"tables: target '{name}' has no variants to compare; leave out --tables")
    data = DataChoice(config.data, config.data_dir)
    members = front(evaluations, study_objectives(config))
    return rank_stability([profile_design(member.design, data) for member in members], targets)


def known_objectives() -> tuple[str, ...]:
    """Names of the objectives that a cost model knows."""
    return tuple(name for name, objective in OBJECTIVES.items() if objective.known)


def point_carbon(evaluation: Evaluation, grid: Grid, pue: float = 1.0) -> Mapping[str, float | None]:
    """Return the carbon of one inference on the target and of the evaluation itself, in gCO2e.

    Args:
        evaluation: A front point or a baseline.
        grid: The electricity of both.
        pue: Power usage effectiveness of where it was trained; the target has none.
    """
    inference_j = None if evaluation.cost is None else evaluation.cost["energy_j"]
    training_j = evaluation.reading.energy_j
    return {
        "inference_g": None if inference_j is None else carbon_g(inference_j, grid.g_per_kwh),
        "training_g": None if training_j is None else carbon_g(training_j, _intensity(evaluation, grid), pue),
    }


def _intensity(evaluation: Evaluation, grid: Grid) -> float:
    return grid.over(evaluation.finished_at - evaluation.reading.wall_s, evaluation.finished_at)


def _cost_json(evaluation: Evaluation, data: DataChoice, target: Target, max_size_bytes: float | None) -> Any:
    from greenshift.networks import profile_design

    spent = cost(profile_design(evaluation.design, data), target, max_size_bytes).to_json()
    return {key: value for key, value in spent.items() if key != "layers"}
