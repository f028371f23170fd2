"""A network as it was just trained, on this machine's runtime: what a measured objective needs."""

import copy
from dataclasses import replace

from torch import nn

from greenshift.data import Dataset
from greenshift.deploy.bench.host import HostLatency, host_latency
from greenshift.deploy.packing import to_network

# The steps of activations do not change the time, so a few images are enough to choose them by.
_IMAGES = 64


def trained_latency(model: nn.Module, dataset: Dataset) -> HostLatency:
    """Pack a trained network in memory and time it on this machine's runtime.

    Args:
        model: The network; it is not changed.
        dataset: Its images, with their normalisation.

    Returns:
        The time. `kernel` also says how many layers, trained in float32, run as int8.

    Raises:
        InputError: If the network cannot be packed; names the layer.
    """
    images = dataset.train_images[:_IMAGES].float() / 255
    still = copy.deepcopy(model).cpu().eval()
    # A weight that is rounded into its layer's window takes as long as the one that was trained.
    network, report = to_network(still, images, mean=dataset.mean, std=dataset.std, allow_rounding=True)
    found = host_latency(network)
    rounded = len(report.int8_layers)
    if not rounded:
        return found
    plural = "s" if rounded > 1 else ""
    return replace(found, kernel=f"{found.kernel}; {rounded} float32 layer{plural} as int8")
