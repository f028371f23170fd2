"""Which mixtures of schemes a sensitivity table promises most of, for a search to begin with."""

import dataclasses
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from greenshift.errors import InputError
from greenshift.optimize import Configuration
from greenshift.pareto import non_dominated
from greenshift.schemes import Scheme
from greenshift.sensitivity_table import SensitivityTable
from greenshift.space import LayerGroup, Scope, SearchSpace
from greenshift.space.scheme_choices import group_options

MOST = 8


@dataclass(frozen=True)
class _Mixture:
    """Schemes of some groups, and what they are taken to add up to.

    The cost is that of the whole network, once for every group: the same too much for all mixtures of some groups.
    """

    values: dict[str, Any]
    loss: float
    cost: float

    def joined(self, other: "_Mixture") -> "_Mixture":
        return _Mixture({**self.values, **other.values}, self.loss + other.loss, self.cost + other.cost)


def best_mixtures(
    table: SensitivityTable, scope: Scope, space: SearchSpace, cost: Callable[[Configuration], float]
) -> tuple[Configuration, ...]:
    """Return mixtures that no other beats in the table's score and in cost, from the cheapest to the dearest.

    Both are taken to add up over the groups, so that the best mixtures of all groups are made of the best mixtures of
    some of them. That what layers lose together is the sum of what each loses by itself is HAWQ-V2's idea (Dong et al.,
    NeurIPS 2020): a score to rank by, not a forecast; there the terms are second-order estimates, here they are
    measured. What the table does not tell of has its default.

    Args:
        table: What layers lose, by layer or by the key of a group.
        scope: What the space searches.
        space: A full space.
        cost: Cost of a configuration, known without training.

    Returns:
        At most `MOST` configurations, evenly spread along those that are not beaten.

    Raises:
        InputError: If the table has no scheme that a group can have, or lacks layers of one.
    """
    default = space.complete(dict(space.configspace.get_default_configuration()))
    known = {(row.layers, _grid(row.scheme)): row.loss_increase for row in table.rows}
    best = [_Mixture({}, 0.0, 0.0)]
    for group in scope.groups:
        parts = [
            _Mixture(values, loss, cost(_completed(space, default, values)))
            for values, loss in _rated(group, scope, known).values()
        ]
        joined = [mixture.joined(part) for mixture in best for part in parts]
        kept = non_dominated([(mixture.loss, mixture.cost) for mixture in joined])
        best = [mixture for mixture, free in zip(joined, kept, strict=True) if free]
    best.sort(key=lambda mixture: mixture.cost)
    chosen = dict.fromkeys(round(index) for index in np.linspace(0, len(best) - 1, min(MOST, len(best))))
    return tuple(_completed(space, default, best[index].values) for index in chosen)


def _completed(space: SearchSpace, default: Configuration, values: Mapping[str, Any]) -> Configuration:
    """Return the default with other schemes; what these leave no room for is dropped."""
    return space.complete({**default, **values})


def _grid(scheme: Scheme) -> Scheme:
    """Return what is known of a scheme before any training: steps that are to be learned start at the range's."""
    return dataclasses.replace(scheme, step="range") if hasattr(scheme, "step") else scheme


def _rated(
    group: LayerGroup, scope: Scope, known: Mapping[tuple[str, Scheme], float]
) -> dict[Scheme | None, tuple[dict[str, Any], float]]:
    """What a group can be and what the table says it loses, by its scheme; float layers lose nothing."""
    found: dict[Scheme | None, tuple[dict[str, Any], float]] = {}
    for values, scheme in group_options(scope, group.name):
        if scheme is None:
            found[None] = values, 0.0
            continue
        grid = _grid(scheme)
        for names in (group.keys, group.layers):
            if all((name, grid) in known for name in names):
                found.setdefault(grid, (values, sum(known[name, grid] for name in names)))
                break
    if not set(found) - {None}:
        raise InputError(
            f"the sensitivity table tells nothing of group {group.name} ({', '.join(group.keys)}) under a "
            "scheme of this space; measure its layers with int8, poweroftwo4 or others that are searched"
        )
    return found
