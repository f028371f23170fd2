"""The ledger of a study by stages: development, search, final training and inference."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from greenshift.accounts.grid import Grid
from greenshift.amounts import Amount
from greenshift.energy import Reading, carbon_g
from greenshift.energy.carbon import checked_pue
from greenshift.errors import InputError
from greenshift.objectives import Provenance
from greenshift.records import Evaluation
from greenshift.store import Consumption, Session, add_up
from greenshift.targets.uncertainty import product_factor, sum_factor

StageName = Literal["development", "search", "final_training", "inference"]

# For readings without an interval of their own, from older stores.
# Estimates from CPU time and assumed watts err by up to 40 % against meters (Fischer 2025, arXiv 2509.22092),
# and tools differ by a factor of two (Jay et al., CCGrid 2023).
ESTIMATED_FACTOR = 2.0
# Assumption: a processor's counter is good to a tenth for what it covers; what it does not cover is not in it.
MEASURED_FACTOR = 1.1
# Assumption: somebody who declares an energy knows it within a factor of two.
DECLARED_FACTOR = 2.0

_G_PER_KG = 1000.0


@dataclass(frozen=True)
class Stage:
    """What one stage of a network's life takes.

    Attributes:
        name: Which stage.
        energy: Energy of the machines, or None if it was not measured.
        provenance: How the energy came about.
        source: The meter or the formula, in words.
        g_per_kwh: Carbon intensity of its electricity.
        grid_factor: Multiplicative uncertainty of the intensity.
        pue: Power usage effectiveness where it runs.
    """

    name: StageName
    energy: Amount | None
    provenance: Provenance
    source: str
    g_per_kwh: float
    grid_factor: float
    pue: float

    @property
    def carbon_g(self) -> float | None:
        """Emissions in gCO2e, or None if the energy was not measured."""
        return None if self.energy is None else carbon_g(self.energy.energy_j, self.g_per_kwh, self.pue)

    @property
    def carbon_interval(self) -> tuple[float, float] | None:
        """Lower and upper bound of the emissions in gCO2e."""
        grams = self.carbon_g
        if grams is None or self.energy is None:
            return None
        factor = product_factor(self.energy.factor, self.grid_factor)
        return grams / factor, grams * factor

    def to_json(self) -> dict[str, Any]:
        """Return the stage as a JSON object."""
        return {
            "energy_j": None if self.energy is None else self.energy.energy_j,
            "carbon_g": self.carbon_g,
            "provenance": self.provenance,
            "interval": None if self.energy is None else list(self.energy.interval),
            "carbon_interval": None if self.carbon_interval is None else list(self.carbon_interval),
            "g_per_kwh": self.g_per_kwh,
            "pue": self.pue,
            "source": self.source,
        }


@dataclass(frozen=True)
class Embodied:
    """The making of the machine that searched.

    Attributes:
        total_kg: Emissions of its making in kgCO2e.
        lifetime_s: How long it is in service, in s.

    Raises:
        InputError: If either is not above zero.
    """

    total_kg: float
    lifetime_s: float

    def __post_init__(self) -> None:
        """Check the values."""
        if not 0 < self.total_kg < math.inf or not 0 < self.lifetime_s < math.inf:
            raise InputError("embodied: the emissions in kg and the lifetime must be above 0 and finite")

    def share_g(self, time_s: float) -> float:
        """Return the share of a time of use in gCO2e: M = TE x time / lifetime (SCI, ISO/IEC 21031:2024)."""
        return self.total_kg * _G_PER_KG * time_s / self.lifetime_s


@dataclass(frozen=True)
class Declared:
    """What no meter saw and the user declares.

    Attributes:
        development_j: Energy of developing method and code, or None.
        studies: Studies that share it, at least 1.
        inferences: Inferences that the network will do, or None.
        network: The network that will do them, or None.
        embodied: The making of the machine, or None.

    Raises:
        InputError: If a number is out of range, or there are inferences but no network.
    """

    development_j: float | None = None
    studies: int = 1
    inferences: float | None = None
    network: Evaluation | None = None
    embodied: Embodied | None = None

    def __post_init__(self) -> None:
        """Check the values."""
        if self.studies < 1:
            raise InputError(f"studies must be at least 1, not {self.studies}")
        if self.inferences is not None and not 0 < self.inferences < math.inf:
            raise InputError(f"inferences must be above 0 and finite, not {self.inferences:g}")
        if self.inferences is not None and (self.network is None or self.network.cost is None):
            raise InputError("inferences: there is no network with a cost on the target; run greenshift search first")


@dataclass(frozen=True)
class Account:
    """The ledger of a study.

    Attributes:
        grid: The electricity.
        pue: Power usage effectiveness of where the search ran.
        stages: The stages that are known of, in their order in time.
        embodied_g: Share of the machine's making in gCO2e, or None if it was not declared.
        wall_s: Time of search and final trainings in s.
    """

    grid: Grid
    pue: float
    stages: tuple[Stage, ...]
    embodied_g: float | None
    wall_s: float

    def stage(self, name: StageName) -> Stage | None:
        """Return a stage, None if nothing is known of it."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def upfront(self) -> Amount | None:
        """Return the energy before the first inference, the building's included, or None if a part is unknown."""
        amounts = [(s.energy, s.pue) for s in self.stages if s.name != "inference"]
        known = [Amount(energy.energy_j * pue, energy.factor) for energy, pue in amounts if energy is not None]
        if len(known) < len(amounts):
            return None
        factor = sum_factor((amount.energy_j, amount.factor) for amount in known)
        return Amount(math.fsum(amount.energy_j for amount in known), factor)

    def total_carbon_g(self) -> float | None:
        """Return the emissions of all stages and the machine's share in gCO2e, or None if a part is unknown."""
        grams = [stage.carbon_g for stage in self.stages]
        known = [g for g in grams if g is not None]
        return None if len(known) < len(grams) else math.fsum(known) + (self.embodied_g or 0.0)

    def to_json(self) -> dict[str, Any]:
        """Return the ledger as a JSON object."""
        return {
            "grid": self.grid.to_json(),
            "pue": self.pue,
            "stages": {stage.name: stage.to_json() for stage in self.stages},
            "embodied_g": self.embodied_g,
            "total_carbon_g": self.total_carbon_g(),
        }


def make_account(
    consumed: Consumption | Reading,
    selections: Sequence[Mapping[str, Any]],
    grid: Grid,
    *,
    pue: float = 1.0,
    declared: Declared | None = None,
    sessions: Sequence[Session] = (),
) -> Account:
    """Return the ledger of a study from what its store recorded.

    E(N) = E_development / K + E_search + E_final + N e_inference. The search is all runs, with baselines and
    with the trials that failed or were interrupted. Devices have no building, so inference has a PUE of 1.

    Args:
        consumed: What all runs of the search consumed (`Store.consumed`).
        selections: What `select` recorded; the trainings' readings are in it.
        grid: The electricity.
        pue: Power usage effectiveness of where search and trainings ran.
        declared: What no meter saw.
        sessions: The runs of the search, for their hours, where the grid has an hourly profile.

    Raises:
        InputError: If the PUE is below 1.
    """
    given = declared or Declared()
    stages = [_search(consumed, sessions, grid, checked_pue(pue))]
    wall_s = consumed.wall_s
    if selections:
        readings = [Reading.from_json(s["reading"]) for s in selections if s.get("reading") is not None]
        final = add_up(readings)
        unmetered = len(selections) - len(readings)
        energy = None if unmetered else _metered(final)
        stages.append(Stage("final_training", energy, final.provenance, final.source, grid.g_per_kwh, grid.factor, pue))
        wall_s += final.wall_s
    if given.development_j is not None:
        stages.insert(0, _development(given.development_j, given.studies, grid, pue))
    if given.inferences is not None and given.network is not None:
        stages.append(_inference(given.inferences, given.network, grid))
    embodied_g = None if given.embodied is None else given.embodied.share_g(wall_s)
    return Account(grid, pue, tuple(stages), embodied_g, wall_s)


def cost_amount(evaluation: Evaluation) -> Amount | None:
    """Return the modelled energy of one inference, None if the evaluation has no cost."""
    cost = evaluation.cost
    return None if cost is None else Amount(cost["energy_j"], cost["uncertainty_factor"])


def _search(consumed: Consumption | Reading, sessions: Sequence[Session], grid: Grid, pue: float) -> Stage:
    silent = sum(session.reading is None for session in sessions)
    source = consumed.source + (f"; {silent} runs ended before their first reading" if silent else "")
    g_per_kwh = _intensity_of(sessions, grid)
    return Stage("search", _metered(consumed), consumed.provenance, source, g_per_kwh, grid.factor, pue)


def _intensity_of(sessions: Sequence[Session], grid: Grid) -> float:
    """Mean intensity over the hours of the runs, weighted by their energy."""
    if not grid.hourly:
        return grid.g_per_kwh
    parts = [
        (session.reading.energy_j, grid.over(session.started_at, session.updated_at))
        for session in sessions
        if session.reading is not None and session.reading.energy_j is not None
    ]
    total_j = math.fsum(energy_j for energy_j, _ in parts)
    return math.fsum(energy_j * g for energy_j, g in parts) / total_j if total_j > 0 else grid.g_per_kwh


def _metered(consumed: Consumption | Reading) -> Amount | None:
    if consumed.energy_j is None:
        return None
    if consumed.interval_j is not None and consumed.interval_j[0] > 0:
        low_j, high_j = consumed.interval_j
        return Amount(consumed.energy_j, max(high_j / consumed.energy_j, consumed.energy_j / low_j))
    return Amount(consumed.energy_j, MEASURED_FACTOR if consumed.provenance == "measured" else ESTIMATED_FACTOR)


def _development(energy_j: float, studies: int, grid: Grid, pue: float) -> Stage:
    source = "declared by the user" + (f", shared by {studies} studies" if studies > 1 else "")
    amount = Amount(energy_j / studies, DECLARED_FACTOR)
    return Stage("development", amount, "estimated", source, grid.g_per_kwh, grid.factor, pue)


def _inference(count: float, network: Evaluation, grid: Grid) -> Stage:
    each = cost_amount(network)
    assert each is not None
    assert network.cost is not None
    source = f"{count:g} inferences of trial {network.trial} by {network.cost['model']}"
    amount = Amount(count * each.energy_j, each.factor)
    return Stage("inference", amount, "modelled", source, grid.g_per_kwh, grid.factor, 1.0)
