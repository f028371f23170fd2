"""The range of a study's fidelity: what was asked for, the defaults, and what there is."""

import math

from greenshift.config import StudyConfig
from greenshift.errors import InputError
from greenshift.fidelities import FULL_PERCENT, QUANTITIES, counted_in, network_ranges, resource_unit
from greenshift.optimize import Fidelity, make_fidelity

# Two rungs below everything at the ratio of 3 that brackets have.
_LEAST_PERCENT = 11


def study_fidelity(config: StudyConfig, epochs_range: tuple[int, int], depth: int, pixels: int) -> Fidelity | None:
    """Return the checked fidelity of a study, None if it has none.

    Args:
        config: The study.
        epochs_range: Fewest and most epochs of a sensible training on its data.
        depth: Number of layers that can be shifted.
        pixels: Height and width of the data's images.

    Raises:
        InputError: If more or less is asked for than there is.
    """
    if config.fidelity is None:
        return None
    ranges = {
        "epochs": epochs_range,
        **network_ranges(depth),
        "data_fraction": (_LEAST_PERCENT, FULL_PERCENT),
        "resolution": (math.ceil(pixels / 2), pixels),
    }
    counted = counted_in(config.fidelity)
    lowest, highest = ranges[counted]
    maximum = config.fidelity_max or max(highest, config.fidelity_min or 0)
    minimum = config.fidelity_min or min(lowest, maximum)
    unit = resource_unit(config.fidelity)
    if counted != "epochs" and maximum > highest:
        raise InputError(f"fidelity_max {maximum} is more than the {highest} {unit} that there are")
    if counted == "weight_bits" and minimum < lowest:
        raise InputError(f"fidelity_min {minimum} is less than the {lowest} {unit} that there have to be")
    return make_fidelity(config.fidelity, minimum, maximum, QUANTITIES[counted].eta)
