"""Targets: the machines that networks are for, and what an inference costs on them."""

from greenshift.targets.capabilities import (
    Capabilities,
    capabilities,
    energy_over_int8,
    look_up_over_int8,
    memory_bytes,
    no_gain,
)
from greenshift.targets.loading import load_target, load_variants, target_names
from greenshift.targets.model import cost
from greenshift.targets.result import Cost, LayerCost
from greenshift.targets.stability import RankAgreement, rank_agreement, rank_stability
from greenshift.targets.target import Target
from greenshift.targets.units import unit_of

__all__ = [
    "Capabilities",
    "Cost",
    "LayerCost",
    "RankAgreement",
    "Target",
    "capabilities",
    "cost",
    "energy_over_int8",
    "load_target",
    "load_variants",
    "look_up_over_int8",
    "memory_bytes",
    "no_gain",
    "rank_agreement",
    "rank_stability",
    "target_names",
    "unit_of",
]
