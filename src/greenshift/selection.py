"""Which point of a front to take: by number, by bounds, or the knee."""

from collections.abc import Mapping, Sequence

from greenshift.errors import InputError
from greenshift.front import comparable, front, objective_values
from greenshift.objectives import Objective
from greenshift.pareto import knee
from greenshift.records import Evaluation


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
            first objective) within them. Without bounds and trial, take the knee of the front.

    Raises:
        InputError: If the trial does not exist or did not finish, the front is empty, or no point of it
            satisfies the bounds (the message names the nearest and the bound that it breaks).
    """
    if trial is not None:
        return _by_number(evaluations, trial)
    points = front(evaluations, objectives)
    if not points:
        raise InputError("select: the front is empty; run greenshift search first")
    if not limits:
        return points[knee([objective_values(point, objectives) for point in points])]
    costs = {id(p): {**(p.cost or {}), **p.objectives} for p in points}
    excess = {key: max(cost[name] / bound for name, bound in limits.items()) for key, cost in costs.items()}
    within = [point for point in points if excess[id(point)] <= 1]
    if within:
        return within[0]
    near = min(points, key=lambda point: excess[id(point)])
    binding = max(limits, key=lambda name: costs[id(near)][name] / limits[name])
    raise InputError(
        f"select: no point of the front satisfies the bounds; nearest is trial {near.trial} with {binding} "
        f"{costs[id(near)][binding]:.4g} against {limits[binding]:.4g}"
    )


def _by_number(evaluations: Sequence[Evaluation], trial: int) -> Evaluation:
    own = [e for e in evaluations if e.role == "trial" and e.trial == trial]
    if not own:
        raise InputError(f"select: there is no trial {trial} in this store")
    finished = [e for e in own if e.outcome == "ok"]
    if not finished:
        raise InputError(f"select: trial {trial} did not finish ({own[-1].reason})")
    full = {id(e) for e in comparable(evaluations)}
    return next((e for e in finished if id(e) in full), finished[-1])
