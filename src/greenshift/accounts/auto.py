"""`--budget auto`: the joules that a search could be worth, found once per study and use."""

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenshift.accounts.training import Training
from greenshift.accounts.worth import Worth, worth_of
from greenshift.amounts import make_fleet, parse_time
from greenshift.budget import AUTO_BUDGET
from greenshift.config import StudyConfig
from greenshift.energy import Reading
from greenshift.errors import InputError, StudyError
from greenshift.store import Store

FACT = "auto_budget"
_USE = ("fleet", "rate", "lifetime")


@dataclass(frozen=True)
class AutoBudget:
    """What `--budget auto` has become for one use of the network.

    Attributes:
        use: The study's `fleet`, `rate` and `lifetime`.
        target: Name of the device.
        budget_j: The budget in J; what finding it consumed is part of it.
        bound_j: What no search could save more than, in J.
        training: One full training on the machine that found it.
        probe: What finding it consumed, or None if the study has counted that already.
    """

    use: Mapping[str, Any]
    target: str
    budget_j: float
    bound_j: float
    training: Training
    probe: Reading | None

    def to_json(self) -> dict[str, Any]:
        """Return what a study keeps for its later runs, as a JSON object: all but the probe."""
        data = {f.name: getattr(self, f.name) for f in dataclasses.fields(self) if f.name != "probe"}
        return {**data, "use": dict(self.use), "training": self.training.to_json()}

    @staticmethod
    def from_json(data: Mapping[str, Any]) -> "AutoBudget":
        """Inverse of `to_json`."""
        return AutoBudget(**{**data, "training": Training.from_json(data["training"]), "probe": None})


def resolve_budget(config: StudyConfig, folder: Path | None = None) -> tuple[StudyConfig, AutoBudget | None]:
    """Return a study whose budget `auto` has become joules, and how.

    A study with another budget is returned as it is, with None. A study that has found its budget before
    keeps it; for another fleet, rate or lifetime it is worked out again from the training metered then.

    Args:
        config: The study; `auto` needs its `rate` and `lifetime`.
        folder: Its run folder, which need not exist.

    Raises:
        InputError: If rate or lifetime is missing, or the folder has a store that cannot be read.
        StudyError: If the search is not worth it.
    """
    if config.budget != AUTO_BUDGET:
        return config, None
    fleet = make_fleet(config.fleet, config.rate)
    if fleet is None or config.lifetime is None:
        raise InputError(
            "budget auto: say how much the network will be used, such as --fleet 1000 --rate 1/s --lifetime 3y"
        )
    use = {name: getattr(config, name) for name in _USE}
    auto = _earlier(folder)
    if auto is None or auto.use != use:
        worth = worth_of(config, fleet, parse_time("lifetime", config.lifetime), auto.training if auto else None)
        auto = _auto(worth, use)
    return dataclasses.replace(config, budget=f"{math.floor(auto.budget_j * 1000) / 1000:f}J"), auto


def _earlier(folder: Path | None) -> AutoBudget | None:
    if folder is None or not Store.exists(folder):
        return None
    with Store.open(folder) as store:
        found = store.facts().get(FACT)
    return None if found is None else AutoBudget.from_json(found)


def _auto(worth: Worth, use: Mapping[str, Any]) -> AutoBudget:
    if worth.budget_j is None or worth.training is None:
        least = "" if worth.least_j is None else f", less than the {worth.least_j:.3g} J that it takes at least"
        reason = worth.missing or f"all that a search could save is {worth.bound_j:.3g} J{least}"
        took = "" if worth.probe_j is None else f"; finding that out took {worth.probe_j:.3g} J"
        raise StudyError(f"{worth.verdict}: {reason}{took}")
    return AutoBudget(use, worth.target, worth.budget_j, worth.bound_j, worth.training, worth.probe)
