"""What a search begins with: the fronts of earlier studies as far as they fit, and the best of sensitivity tables."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from greenshift.config import StudyConfig, study_objectives
from greenshift.errors import InputError
from greenshift.front import front
from greenshift.optimize import Configuration
from greenshift.sensitivity_table import SensitivityTable, load_sensitivity
from greenshift.space import SearchSpace
from greenshift.store import Store

Mixtures = Callable[[SensitivityTable], Sequence[Configuration]]


@dataclass(frozen=True)
class WarmStart:
    """Configurations that the optimizer is given to begin with.

    Attributes:
        configurations: Each once, in the order of the studies and tables and along their fronts.
        skipped: Points of those fronts that are not legal in the new space.
        untried: How many of the configurations are of a sensitivity table, where nothing was trained.
    """

    configurations: tuple[Configuration, ...] = ()
    skipped: int = 0
    untried: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values; `WarmStart(**values)` with a tuple is the inverse."""
        return {"configurations": list(self.configurations), "skipped": self.skipped, "untried": self.untried}

    def __str__(self) -> str:
        """Say how many were taken."""
        trained = len(self.configurations) - self.untried
        parts = [_counted(trained, "of earlier fronts")] if trained or not self.untried else []
        parts += [_counted(self.untried, "by sensitivity")] if self.untried else []
        left_out = f", {self.skipped} skipped because this space does not allow them" if self.skipped else ""
        return f"warm start: {', '.join(parts)}{left_out}"


def _counted(count: int, what: str) -> str:
    return f"{count} configuration{'' if count == 1 else 's'} {what}"


def warm_start(config: StudyConfig, space: SearchSpace, facts: Mapping[str, Any], mixtures: Mixtures) -> WarmStart:
    """Return what a study begins with, or began with.

    Folders and tables are read once, by the first run. Later runs go by what it wrote down, so that a study stays
    the same when an earlier one has gone on since or is gone.

    Args:
        config: The study; `warm_start` names folders of studies and files of tables.
        space: Its search space.
        facts: `Store.facts()` of its own store, empty before the first run.
        mixtures: Returns the best mixtures of a table.

    Raises:
        InputError: If a folder holds no study with a front of which something fits, a file no table that says something
            of the space, or the study began without a warm start.
    """
    if "planned_trials" not in facts:
        return _read(config.warm_start, space, mixtures)
    kept = facts.get("warm_start", {"configurations": [], "skipped": 0})
    if config.warm_start and not kept["configurations"]:
        raise InputError("warm_start: the study in this store began without; leave it out or use another store")
    return WarmStart(**{**kept, "configurations": tuple(kept["configurations"])})


def _read(names: Sequence[str], space: SearchSpace, mixtures: Mixtures) -> WarmStart:
    found: list[Configuration] = []
    skipped = 0
    for folder in (name for name in names if not Path(name).is_file()):
        configurations = _front(folder)
        fitted = [fit for configuration in configurations if (fit := fitted_to(configuration, space)) is not None]
        if not fitted:
            raise InputError(
                f"warm_start: not one of the {len(configurations)} configurations on the front of {folder} fits "
                "this search space; leave it out or name another study"
            )
        found.extend(fit for fit in fitted if fit not in found)
        skipped += len(configurations) - len(fitted)
    trained = len(found)
    for file in (name for name in names if Path(name).is_file()):
        try:
            promised = mixtures(load_sensitivity(Path(file)))
        except InputError as error:
            raise InputError(f"warm_start: {error}") from error
        found.extend(mixture for mixture in promised if mixture not in found)
    return WarmStart(tuple(found), skipped, len(found) - trained)


def _front(folder: str) -> list[Configuration]:
    """Return the configurations on the front of a study, sorted by its first objective."""
    try:
        with Store.open(Path(folder)) as store:
            evaluations, objectives = store.evaluations(), study_objectives(store.config())
    except InputError as error:
        raise InputError(f"warm_start: {error}") from error
    points = [evaluation.configuration for evaluation in front(evaluations, objectives)]
    if not points:
        raise InputError(f"warm_start: the study in {folder} has no front yet; name one with finished trials")
    return points


def fitted_to(configuration: Mapping[str, Any], space: SearchSpace) -> Configuration | None:
    """Return a configuration of another space in this one, or None if that is impossible.

    Hyperparameters that this space does not have are dropped, those that the configuration lacks get their
    defaults, and inactive ones are left out.
    """
    shared = {name: value for name, value in configuration.items() if name in space.configspace}
    if not shared:
        return None
    try:
        return space.complete(shared)
    except InputError:
        return None
