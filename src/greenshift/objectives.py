"""Objectives and constraints: names, units, directions. Values only, no arithmetic on networks."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

from greenshift.errors import InputError

Provenance = Literal["measured", "modelled", "estimated", "simulated"]


@dataclass(frozen=True)
class Objective:
    """One quantity to minimise.

    Attributes:
        name: Key in every `objectives` mapping; carries its unit where it has one (`energy_j`).
        unit: Unit for display, empty for a share.
        reference: Worst value that counts for the hypervolume, or None to take it from the baselines.
        known: True if a cost model gives the value before any training.
        provenance: How values of this objective come about.
        log: True if differences are ratios, so plots and scalarisation should use a log scale.
    """

    name: str
    unit: str
    reference: float | None = None
    known: bool = False
    provenance: Provenance = "measured"
    log: bool = False


HOST_LATENCY = "latency_s@host"

OBJECTIVES: dict[str, Objective] = {
    objective.name: objective
    for objective in (
        Objective("error", "", reference=1.0),
        Objective("energy_j", "J", known=True, provenance="modelled", log=True),
        Objective("latency_s", "s", known=True, provenance="modelled", log=True),
        Objective("size_bytes", "B", known=True, provenance="modelled", log=True),
        Objective("peak_memory_bytes", "B", known=True, provenance="modelled", log=True),
        Objective("emissions_g", "gCO2e", provenance="simulated", log=True),
        Objective(HOST_LATENCY, "s", log=True),
    )
}


def get_objectives(names: tuple[str, ...], max_error: str | None = None) -> tuple[Objective, ...]:
    """Look objectives up by name, in order.

    Args:
        names: Names of `OBJECTIVES`.
        max_error: Error above which a network is of no use, such as `20%`: the reference of `error`. Any counts if
            it is left out.

    Raises:
        InputError: If a name is unknown or given twice, none is given, or the error cannot be read or is not one of
            the objectives.
    """
    if not names:
        raise InputError("objectives: at least one is needed; known: " + ", ".join(OBJECTIVES))
    for name in names:
        if name not in OBJECTIVES:
            raise InputError(f"objectives: unknown objective '{name}'; known: " + ", ".join(OBJECTIVES))
    if len(set(names)) != len(names):
        raise InputError(f"objectives: {', '.join(names)} names one objective twice")
    if max_error is None:
        return tuple(OBJECTIVES[name] for name in names)
    if "error" not in names:
        raise InputError("max_error: the error is not one of the objectives; add it, or leave the bound out")
    known = OBJECTIVES | {"error": replace(OBJECTIVES["error"], reference=parse_share("max_error", max_error))}
    return tuple(known[name] for name in names)


def parse_share(what: str, text: str) -> float:
    """Read a share such as `20%`.

    Args:
        what: What to call it in an error.
        text: The text.

    Raises:
        InputError: If the text is no per cent above 0 and at most 100.
    """
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*%\s*", text)
    if match is None or not 0 < float(match[1]) <= 100:
        raise InputError(f"{what}: '{text}' is not a share above 0 % and at most 100 %; write it as 20%")
    return float(match[1]) / 100


@dataclass(frozen=True)
class Constraint:
    """An upper bound on a known objective, absolute or as a share of the float32 baseline.

    Attributes:
        objective: Name of the bounded objective.
        bound: The bound, in the objective's unit, or a share (0.6 for 60 %) if `relative`.
        relative: True if the bound is a share of the float32 baseline's value.
    """

    objective: str
    bound: float
    relative: bool = False

    def limit(self, baseline: Mapping[str, float]) -> float:
        """Return the bound in the objective's unit, given the float32 baseline's known values."""
        return self.bound * baseline[self.objective] if self.relative else self.bound


_UNITS: dict[str, dict[str, float]] = {
    "size_bytes": {"B": 1, "kB": 1e3, "MB": 1e6, "KiB": 2**10, "MiB": 2**20},
    "peak_memory_bytes": {"B": 1, "kB": 1e3, "MB": 1e6, "KiB": 2**10, "MiB": 2**20},
    "energy_j": {"J": 1, "mJ": 1e-3, "uJ": 1e-6, "µJ": 1e-6, "nJ": 1e-9},
    "latency_s": {"s": 1, "ms": 1e-3, "us": 1e-6, "µs": 1e-6},
}


def parse_constraint(objective: str, text: str) -> Constraint:
    """Read a bound such as `256kB`, `50uJ`, `20ms` or `60%` for one objective.

    Raises:
        InputError: If the text is no positive number with a unit of that objective.
    """
    units = _UNITS[objective]
    match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([A-Za-zµ%]+)\s*", text)
    expected = f"a number with one of {', '.join(units)} or %"
    if match is None:
        raise InputError(f"constraint on {objective}: '{text}' is not {expected}, such as 60%")
    value, unit = float(match[1]), match[2]
    if unit != "%" and unit not in units:
        raise InputError(f"constraint on {objective}: unit '{unit}' is not known; write {expected}")
    if value <= 0:
        raise InputError(f"constraint on {objective}: '{text}' must be above zero")
    return Constraint(objective, value / 100, True) if unit == "%" else Constraint(objective, value * units[unit])
