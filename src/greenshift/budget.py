"""The budget of a study: totals over all its runs, as people write them."""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from greenshift.errors import InputError

AUTO_BUDGET = "auto"  # the joules that a search could be worth (`greenshift.accounts.resolve_budget`)

_BUDGET_UNITS: Mapping[str, tuple[str, float]] = {
    "trial": ("trials", 1),
    "trials": ("trials", 1),
    "s": ("seconds", 1),
    "m": ("seconds", 60),
    "min": ("seconds", 60),
    "h": ("seconds", 3600),
    "J": ("energy_j", 1),
    "kJ": ("energy_j", 1e3),
    "MJ": ("energy_j", 1e6),
    "Wh": ("energy_j", 3600),
    "kWh": ("energy_j", 3.6e6),
}


@dataclass(frozen=True)
class Budget:
    """Limits of a study as totals over all its runs, whichever is reached first; None means no limit.

    Attributes:
        trials: Finished evaluations of the search: those that ended `ok` or `failed`. Baselines and
            configurations refused by a constraint do not count.
        seconds: Wall time of the search, in s.
        energy_j: Energy of the search on this machine, in J.
    """

    trials: int | None = None
    seconds: float | None = None
    energy_j: float | None = None


def parse_budget(text: str) -> Budget:
    """Read a budget such as `8trials`, `20min` or `8trials,120s,50kJ`.

    Raises:
        InputError: If a part is no positive number with a known unit, a quantity is limited twice, or the
            budget is `auto`, which only the accounts can turn into joules.
    """
    limits: dict[str, float] = {}
    for part in text.split(","):
        match = re.fullmatch(r"\s*([0-9]*\.?[0-9]+(?:[eE][-+]?[0-9]+)?)\s*([A-Za-z]+)\s*", part)
        if match is None or match[2] not in _BUDGET_UNITS:
            raise InputError(
                f"budget: '{part.strip()}' is not a positive number with one of {', '.join(_BUDGET_UNITS)}; "
                "write for example 8trials,120s,50kJ"
            )
        quantity, factor = _BUDGET_UNITS[match[2]]
        value = float(match[1]) * factor
        if not 0 < value < math.inf:
            raise InputError(f"budget: '{part.strip()}' must be above zero and finite")
        if quantity == "trials" and value != int(value):
            raise InputError(f"budget: '{part.strip()}' is not a whole number of trials")
        if quantity in limits:
            raise InputError(f"budget: '{text}' limits {quantity.removesuffix('_j')} twice; give it once")
        limits[quantity] = value
    trials = limits.get("trials")
    return Budget(None if trials is None else int(trials), limits.get("seconds"), limits.get("energy_j"))
