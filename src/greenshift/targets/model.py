"""The one question that targets answer: what does this network cost there?"""

import math

from greenshift.profile import NetworkProfile
from greenshift.targets.cycles import cycles_cost
from greenshift.targets.operations import operations_cost
from greenshift.targets.result import Cost
from greenshift.targets.target import OperationsModel, Target


def cost(profile: NetworkProfile, target: Target, max_size_bytes: float | None = None) -> Cost:
    """Cost of one inference of a network on a target; pure, needs no weights and no device.

    Args:
        profile: What the network does in one inference.
        target: Where it runs.
        max_size_bytes: Storage that the network should stay under, where the target can trade size for
            speed by its choice of kernels; None for all that the target has. A network that cannot is
            still costed, at its smallest.

    Returns:
        The modelled cost with its uncertainty, layer by layer.

    Raises:
        InputError: If the target cannot run a layer of the network.
    """
    if isinstance(target.model, OperationsModel):
        return operations_cost(profile, target, target.model)
    return cycles_cost(profile, target, target.model, math.inf if max_size_bytes is None else max_size_bytes)
