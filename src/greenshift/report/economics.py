"""Whether the search pays back: its energy against what each front point saves per inference."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from greenshift.records import Evaluation

PAYBACK_BASELINES = ("float32", "int8")


@dataclass(frozen=True)
class BreakEven:
    """How many inferences pay for the search, if one front point is shipped instead of one baseline.

    Attributes:
        trial: The front point.
        baseline: Label of the baseline.
        saved_j: Energy saved per inference on the target, in J; zero or negative if nothing is saved.
        error_difference: Error of the front point less that of the baseline, as a share, or None if error is
            no objective.
        inferences: Inferences until the search energy is paid back, infinite if nothing is saved, None if
            the search's energy was not measured.
    """

    trial: int
    baseline: str
    saved_j: float
    error_difference: float | None
    inferences: float | None


def break_even(search_energy_j: float | None, saved_j: float) -> float | None:
    """Return the inferences that pay for a search: search energy over energy saved per inference.

    Args:
        search_energy_j: Energy of the search in J, or None if it was not measured.
        saved_j: Energy saved per inference in J.

    Returns:
        The number of inferences; infinite if nothing is saved, None if the search's energy is unknown.
    """
    if saved_j <= 0:
        return float("inf")
    return None if search_energy_j is None else search_energy_j / saved_j


def break_evens(
    front: Sequence[Evaluation], baselines: Iterable[Evaluation], search_energy_j: float | None
) -> tuple[BreakEven, ...]:
    """Return the break-even of every front point against the float32 and the int8 baseline.

    Args:
        front: Front points; those without a cost on the target are left out.
        baselines: The study's baselines.
        search_energy_j: Energy of the search in J, or None if it was not measured.
    """
    found = {b.label: b for b in baselines if b.cost is not None}
    return tuple(
        _against(point, found[label], search_energy_j)
        for point in front
        for label in PAYBACK_BASELINES
        if label in found and point.cost is not None
    )


def _against(point: Evaluation, baseline: Evaluation, search_energy_j: float | None) -> BreakEven:
    assert point.cost is not None
    assert baseline.cost is not None
    assert baseline.label is not None
    saved_j = baseline.cost["energy_j"] - point.cost["energy_j"]
    errors = point.objectives.get("error"), baseline.objectives.get("error")
    difference = None if errors[0] is None or errors[1] is None else errors[0] - errors[1]
    return BreakEven(point.trial, baseline.label, saved_j, difference, break_even(search_energy_j, saved_j))
