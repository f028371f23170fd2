"""Whether the order of networks by energy survives a change of tables."""

import itertools
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from greenshift.errors import InputError
from greenshift.profile import NetworkProfile
from greenshift.targets.model import cost
from greenshift.targets.target import Target


@dataclass(frozen=True)
class RankAgreement:
    """How far two tables agree on the order of networks.

    Attributes:
        first: Name of one table.
        second: Name of the other.
        kendall_tau: Kendall's tau-b of the energies: 1 for the same order, -1 for the reverse; None if a table
            cannot tell any two networks apart.
        swapped: Pairs of networks that the tables put in opposite order.
        pairs: All pairs of networks.
    """

    first: str
    second: str
    kendall_tau: float | None
    swapped: int
    pairs: int


def rank_agreement(energies_j: Mapping[str, Sequence[float]]) -> tuple[RankAgreement, ...]:
    """Compare the orders that tables give the same networks, for each pair of tables.

    Args:
        energies_j: Energies of the networks by table, the networks always in one order.

    Raises:
        InputError: If tables have different numbers of networks.
    """
    if len({len(energies) for energies in energies_j.values()}) > 1:
        raise InputError("rank agreement: every table needs the energies of the same networks")
    return tuple(
        _agreement(first, second, energies_j[first], energies_j[second])
        for first, second in itertools.combinations(energies_j, 2)
    )


def rank_stability(profiles: Sequence[NetworkProfile], targets: Sequence[Target]) -> tuple[RankAgreement, ...]:
    """Compare the orders by energy that targets, such as variants of one, give networks.

    Args:
        profiles: The networks, such as those of a front.
        targets: The tables, such as of `load_variants`.

    Raises:
        InputError: If a target cannot run a layer of a network.
    """
    return rank_agreement({target.name: [cost(p, target).energy_j for p in profiles] for target in targets})


def _agreement(first: str, second: str, one: Sequence[float], other: Sequence[float]) -> RankAgreement:
    """Kendall's tau-b: M. G. Kendall, The treatment of ties in ranking problems, Biometrika 1945."""
    signs = [
        (_sign(one[i] - one[j]), _sign(other[i] - other[j])) for i, j in itertools.combinations(range(len(one)), 2)
    ]
    told_apart = math.prod(sum(1 for pair in signs if pair[side]) for side in (0, 1))
    tau = sum(a * b for a, b in signs) / math.sqrt(told_apart) if told_apart else None
    return RankAgreement(first, second, tau, sum(1 for a, b in signs if a * b < 0), len(signs))


def _sign(difference: float) -> int:
    return (difference > 0) - (difference < 0)
