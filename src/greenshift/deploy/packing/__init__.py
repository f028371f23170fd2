"""From a trained torch model to a network of integers. Needs torch; nothing else in `deploy` does."""

from greenshift.deploy.packing.pack import pack, to_network
from greenshift.deploy.packing.report import PackedLayer, PackReport
from greenshift.deploy.packing.simulate import simulate

__all__ = ["PackReport", "PackedLayer", "pack", "simulate", "to_network"]
