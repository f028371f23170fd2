"""Search spaces on ConfigSpace, and how a point of one becomes a design.

`make_space("paper", depth=20, fidelity="epochs")` is Table 1 of Hennig, Tornede and Lindauer (2024);
`named_configuration("paper-pos1", depth=20)` one of the configurations that the paper reports. `full` is the whole
design space: a technique per layer group, for a `Scope`.
"""

from greenshift.space.base import SearchSpace, make_space, space_names
from greenshift.space.groups import LayerGroup, layer_groups
from greenshift.space.named import configuration_names, named_configuration
from greenshift.space.scope import Scope

__all__ = [
    "LayerGroup",
    "Scope",
    "SearchSpace",
    "configuration_names",
    "layer_groups",
    "make_space",
    "named_configuration",
    "space_names",
]
