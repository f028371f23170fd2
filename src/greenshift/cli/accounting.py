"""Options and the reading of a store for the commands that account for energy and carbon."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from greenshift.accounts import (
    Account,
    Declared,
    Grid,
    find_grid,
    given_grid,
    make_account,
    on_grid,
    on_target,
    read_hourly,
    scenario_grid,
)
from greenshift.config import StudyConfig, study_objectives, to_mapping
from greenshift.energy.carbon import checked_pue
from greenshift.errors import InputError
from greenshift.objectives import Objective
from greenshift.records import Evaluation
from greenshift.store import Consumption, Session, Store

GRID = typer.Option(None, "--grid", help="Country (FR, FRA or its name) or gCO2e/kWh. [what the study was given]")
YEAR = typer.Option(None, "--year", help="Year of the country's figure. [the newest]")
SCENARIO = typer.Option(None, "--scenario", help="Future mix of the country of --grid, such as '2035, 80 % wind'.")
PROFILE = typer.Option(None, "--profile", help="CSV of hour (0-23, UTC) and g_per_kwh, in place of --grid.")
PUE = typer.Option(1.0, "--pue", help="Energy of the building where the search ran over that of its machines.")
TARGET = typer.Option(None, "--target", help="Cost every network on this target instead; nothing is trained.")
TABLES = typer.Option(None, "--tables", help="Cost on this variant of the target's tables, such as aladdin.")


@dataclass(frozen=True)
class Electricity:
    """The options that choose electricity, as they were given."""

    grid: str | None = None
    year: int | None = None
    scenario: str | None = None
    profile: Path | None = None
    pue: float = 1.0

    @property
    def is_given(self) -> bool:
        """True if anything but the study's own setting was asked for."""
        return self != Electricity()


@dataclass(frozen=True)
class Look:
    """A study as it is on the electricity and the target that were asked for.

    Attributes:
        config: What was searched, as it was.
        target: Where the networks are costed.
        evaluations: All evaluations, recomputed.
        known: Cost of the untouched float32 network there, or None if the store does not say.
        consumed: What the search consumed.
        sessions: Its runs.
        selections: What `select` recorded.
        facts: What the search worked out before it began.
        grid: The electricity.
        pue: Power usage effectiveness.
    """

    config: StudyConfig
    target: str
    evaluations: list[Evaluation]
    known: dict[str, float] | None
    consumed: Consumption
    sessions: list[Session]
    selections: list[dict[str, Any]]
    facts: dict[str, Any]
    grid: Grid
    pue: float

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """The study's objectives."""
        return study_objectives(self.config)

    @property
    def mapping(self) -> dict[str, Any]:
        """The study's fields with the target and the intensity of this look."""
        changed = {"target": self.target, "carbon_intensity_g_per_kwh": self.grid.g_per_kwh}
        return {**to_mapping(self.config), **changed}

    def account(self, declared: Declared | None = None) -> Account:
        """Return the ledger."""
        return make_account(
            self.consumed, self.selections, self.grid, pue=self.pue, declared=declared, sessions=self.sessions
        )


def look_at(folder: Path, chosen: Electricity, target: str | None = None, tables: str | None = None) -> Look:
    """Read a study and recompute what depends on electricity and target.

    Args:
        folder: The run folder.
        chosen: The electricity.
        target: Another target, or None for the study's.
        tables: A variant of the target's tables, or None.

    Raises:
        InputError: If the store, the electricity or the target cannot be had.
    """
    with Store.open(folder) as store:
        config, evaluations, facts = store.config(), store.evaluations(), store.facts()
        consumed, sessions, selections = store.consumed(), store.sessions(), store.selections()
    grid = choose_grid(chosen, config.carbon_intensity_g_per_kwh)
    name = target or config.target
    name = f"{name}:{tables}" if tables else name
    known = facts.get("float32")
    if target or tables:
        evaluations, known = on_target(evaluations, config, name)
    if chosen.is_given:
        evaluations = on_grid(evaluations, config, grid, chosen.pue)
    return Look(
        config=config,
        target=name,
        evaluations=evaluations,
        known=known,
        consumed=consumed,
        sessions=sessions,
        selections=selections,
        facts=facts,
        grid=grid,
        pue=chosen.pue,
    )


def choose_grid(chosen: Electricity, own_g_per_kwh: float) -> Grid:
    """Return the electricity that was asked for, the study's own if none was.

    Raises:
        InputError: If the options contradict each other or name nothing that exists.
    """
    checked_pue(chosen.pue)
    if chosen.profile is not None:
        if chosen.grid or chosen.year or chosen.scenario:
            raise InputError("profile: an hourly profile is the whole electricity; leave out grid, year and scenario")
        return read_hourly(chosen.profile)
    if chosen.scenario is not None:
        if chosen.grid is None:
            raise InputError("scenario: name the country whose mix it changes with --grid")
        grid = scenario_grid(chosen.scenario, chosen.grid)
        if chosen.year not in (None, grid.year):
            raise InputError(
                f"scenario '{chosen.scenario}' is for {grid.year}, not for {chosen.year}; leave out --year"
            )
        return grid
    if chosen.grid is None:
        if chosen.year is not None:
            raise InputError("year: name the country it is for with --grid")
        return given_grid(own_g_per_kwh, "the study's own setting")
    return find_grid(chosen.grid, chosen.year)
