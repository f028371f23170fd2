"""Small evaluations and studies whose accounts can be worked out by hand."""

from typing import Any

from greenshift.design import Design
from greenshift.energy import Reading
from greenshift.objectives import Provenance
from greenshift.records import Evaluation
from greenshift.store import Session

HOUR_S = 3600.0


def reading(energy_j: float | None, wall_s: float = 10.0, provenance: Provenance = "estimated") -> Reading:
    return Reading(wall_s, wall_s, energy_j, provenance, "a meter", ("cpu",))


def evaluation(trial: int, energy_j: float, error: float = 0.1, **changes: Any) -> Evaluation:
    fields: dict[str, Any] = {
        "trial": trial,
        "configuration": {},
        "design": Design("tiny_cnn"),
        "fidelity": {"epochs": 9.0},
        "outcome": "ok",
        "objectives": {"error": error, "energy_j": energy_j},
        "provenance": {"error": "measured", "energy_j": "modelled"},
        "reading": reading(100.0),
        "cost": {"energy_j": energy_j, "uncertainty_factor": 1.5, "model": "a model", "fits": True},
        "finished_at": 20 * HOUR_S,
    }
    return Evaluation(**{**fields, **changes})


def session(energy_j: float | None, begin_s: float, end_s: float) -> Session:
    return Session(begin_s, end_s, "finished", "0.1.0", {}, reading(energy_j, end_s - begin_s))
