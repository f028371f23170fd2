"""Pareto freeze-thaw, the default optimizer: see `optimizer`."""

from greenshift.optimize.freezethaw.optimizer import FreezeThawOptimizer, Settings

__all__ = ["FreezeThawOptimizer", "Settings"]
