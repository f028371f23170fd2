"""Which point of a front to take: by number, by bounds, or the knee."""

import math
from collections.abc import Mapping, Sequence

from greenshift.errors import InputError
from greenshift.front import comparable, finished_baselines, front, objective_values
from greenshift.objectives import Objective
from greenshift.pareto import knee, non_dominated
from greenshift.quantities import format_objective
from greenshift.records import Evaluation

_TINY = 1e-300  # stands for a free network, whose logarithm does not exist


def dominating(member: Evaluation, baselines: Sequence[Evaluation], objectives: Sequence[Objective]) -> tuple[str, ...]:
    """Return the labels of the baselines that are no worse in any objective and better in at least one."""
    own = objective_values(member, objectives)
    return tuple(
        baseline.label
        for baseline in baselines
        if baseline.label is not None and not non_dominated([own, objective_values(baseline, objectives)])[0]
    )


def recommend(
    points: Sequence[Evaluation], baselines: Sequence[Evaluation], objectives: Sequence[Objective]
) -> Evaluation | None:
    """Return the knee of those front points that fit the target and that no baseline dominates.

    Ratios count where an objective is on a log scale; of two equally good points the one that costs less
    is taken.

    Args:
        points: The front, sorted by the first objective.
        baselines: The finished baselines.
        objectives: The study's objectives.

    Returns:
        The recommended front point, or None if there is no such point.
    """
    eligible = [p for p in points if not dominating(p, baselines, objectives) and (p.cost is None or p.cost["fits"])]
    return _knee(eligible, objectives) if eligible else None


def _knee(points: Sequence[Evaluation], objectives: Sequence[Objective]) -> Evaluation:
    rows = []
    for point in reversed(points):
        values = objective_values(point, objectives)
        rows.append([math.log(max(v, _TINY)) if o.log else v for v, o in zip(values, objectives, strict=True)])
    return points[len(rows) - 1 - knee(rows)]


def choose(
    evaluations: Sequence[Evaluation],
    objectives: Sequence[Objective],
    *,
    trial: int | None = None,
    limits: Mapping[str, float] | None = None,
) -> Evaluation:
    """Choose one finished trial.

    Args:
        evaluations: The study's evaluations.
        objectives: The study's objectives.
        trial: Take this trial, on the front or not.
        limits: Upper bounds on known costs, in their units: take the front point of least error (the
            first objective) within them. Without bounds and trial, take the recommended point, or the
            knee of the whole front if baselines dominate it all.

    Raises:
        InputError: If the trial does not exist or did not finish, the front is empty, or no point of it
            satisfies the bounds (the message names the nearest and the bound that it breaks).
    """
    if trial is not None:
        return _by_number(evaluations, trial)
    points = front(evaluations, objectives)
    if not points:
        raise InputError(_why_empty(comparable(evaluations), objectives))
    if not limits:
        return recommend(points, finished_baselines(evaluations), objectives) or _knee(points, objectives)
    costs = {id(p): {**(p.cost or {}), **p.objectives} for p in points}
    excess = {key: max(cost[name] / bound for name, bound in limits.items()) for key, cost in costs.items()}
    within = [point for point in points if excess[id(point)] <= 1]
    if within:
        return within[0]
    near = min(points, key=lambda point: excess[id(point)])
    binding = max(limits, key=lambda name: costs[id(near)][name] / limits[name])
    raise InputError(
        f"select: no point of the front satisfies the bounds; nearest is trial {near.trial} with {binding} "
        f"{format_objective(binding, costs[id(near)][binding])} against {format_objective(binding, limits[binding])}"
    )


def _why_empty(finished: Sequence[Evaluation], objectives: Sequence[Objective]) -> str:
    """Say why there is no front, and what to do."""
    for place, objective in enumerate(objectives):
        least = min((objective_values(evaluation, objectives)[place] for evaluation in finished), default=None)
        if least is not None and objective.reference is not None and least > objective.reference:
            bound, found = (format_objective(objective.name, value) for value in (objective.reference, least))
            return f"select: no trial has an {objective.name} of at most {bound}, the least is {found}; search on"
    return "select: the front is empty; run greenshift search first"


def _by_number(evaluations: Sequence[Evaluation], trial: int) -> Evaluation:
    own = [e for e in evaluations if e.role == "trial" and e.trial == trial]
    if not own:
        raise InputError(f"select: there is no trial {trial} in this store")
    finished = [e for e in own if e.outcome == "ok"]
    if not finished:
        raise InputError(f"select: trial {trial} did not finish ({own[-1].reason})")
    full = {id(e) for e in comparable(evaluations)}
    return next((e for e in finished if id(e) in full), finished[-1])
