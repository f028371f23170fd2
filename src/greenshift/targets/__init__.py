"""Targets: the machines that networks are for, and what an inference costs on them."""

from greenshift.targets.loading import load_target, target_names
from greenshift.targets.model import cost
from greenshift.targets.result import Cost, LayerCost
from greenshift.targets.target import Target

__all__ = ["Cost", "LayerCost", "Target", "cost", "load_target", "target_names"]
