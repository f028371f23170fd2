"""Which settings of a study a table fixes, and whether a study keeps to them."""

import dataclasses
import math
from collections.abc import Collection
from typing import Any

from greenshift.config import StudyConfig
from greenshift.errors import InputError
from greenshift.replay.table import KNOWN, Table, price

_RELATIVE_TOLERANCE = 1e-9
_DEFAULTS = {f.name: f.default for f in dataclasses.fields(StudyConfig)}

# What a replay cannot have otherwise, with the reason.
_FIXED: dict[str, tuple[Any, str]] = {
    "space": ("paper", "the table has a grid of the paper's space"),
    "techniques": ((), "the paper's space has none to choose from"),
    "data_dir": (None, "nothing is read but the table"),
    "workers": (1, "recorded evaluations end at once, so that several at a time would end in no honest order"),
    "baselines": (False, "the table holds no baselines"),
    "teacher": (None, "it was recorded without one"),
    "init": (None, "it was recorded from random weights"),
    "cpu_watts": (None, "the energy was recorded with the watts that the table names"),
}


def with_table(config: StudyConfig, table: Table, given: Collection[str] = ()) -> StudyConfig:
    """Return a study with the settings that a table fixes.

    Args:
        config: The study. A setting that has its default value and was not given is taken from the table.
        table: The table.
        given: Names of settings that were given, even if with their default value.

    Raises:
        InputError: If another setting contradicts the table; names the setting and what to do.
    """
    changes = {}
    for name, (value, reason) in _fixed_by(table).items():
        present = getattr(config, name)
        if present != value and (name in given or present != _DEFAULTS[name]):
            raise InputError(
                f"replay: {name} {_show(present)} contradicts the table, where it is {_show(value)}: {reason}; "
                "leave it out"
            )
        changes[name] = value
    return dataclasses.replace(config, **changes)


def check_settings(config: StudyConfig, table: Table) -> None:
    """Check that a study asks for nothing that a table does not hold.

    Raises:
        InputError: If it does, or its target's prices are not the recorded ones any more.
    """
    for name, (value, reason) in _fixed_by(table).items():
        if getattr(config, name) != value:
            raise InputError(f"replay: {name} has to be {_show(value)}: {reason}")
    strange = [name for name in config.objectives if name not in ("error", *KNOWN)]
    if strange:
        raise InputError(f"replay: the table has no {strange[0]}; its objectives are error, {', '.join(KNOWN)}")
    if config.fidelity not in (None, "epochs"):
        raise InputError(f"replay: fidelity {config.fidelity}: the table has epochs; set fidelity to 'epochs' or none")
    most = max(value or 0 for value in (config.epochs, config.fidelity_min, config.fidelity_max))
    if most > table.epochs:
        raise InputError(f"replay: {most} epochs are asked for; the table has 1 to {table.epochs}")
    if config.target in table.targets:
        _check_prices(table, config.target)


def _fixed_by(table: Table) -> dict[str, tuple[Any, str]]:
    recorded = {name: (value, "it was recorded so") for name, value in table.recording.study.items()}
    return {**recorded, **_FIXED}


def _check_prices(table: Table, target: str) -> None:
    for network in table.networks:
        now, then = price(network.profile, target), network.costs[target]
        if any(not math.isclose(now[name], then[name], rel_tol=_RELATIVE_TOLERANCE) for name in KNOWN):
            raise InputError(
                f"replay: target {target} prices networks otherwise than version {table.targets[target]} did when the "
                "table was recorded; use another target, or benchmarks/record_table.py --reprice TABLE"
            )


def _show(value: Any) -> str:
    return "not set" if value is None else str(value)
