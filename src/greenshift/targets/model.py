"""The one question that targets answer: what does this network cost there?"""

import math

from greenshift.profile import NetworkProfile
from greenshift.targets.cycles import cycles_cost
from greenshift.targets.measured import measured_cost
from greenshift.targets.operations import operations_cost
from greenshift.targets.result import Cost
from greenshift.targets.roofline import roofline_cost
from greenshift.targets.target import CyclesModel, MeasuredModel, OperationsModel, RooflineModel, Target


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
    match target.model:
        case OperationsModel() as model:
            return operations_cost(profile, target, model)
        case RooflineModel() as model:
            return roofline_cost(profile, target, model)
        case MeasuredModel() as model:
            return measured_cost(profile, target, model)
        case CyclesModel() as model:
            return cycles_cost(profile, target, model, math.inf if max_size_bytes is None else max_size_bytes)
