"""Search spaces on ConfigSpace, and how a point of one becomes a design.

`make_space("paper", depth=20, fidelity="epochs")` is Table 1 of Hennig, Tornede and Lindauer (2024);
`named_configuration("paper-pos1", depth=20)` one of the configurations that the paper reports.
"""

from greenshift.space.base import SearchSpace, make_space, space_names
from greenshift.space.named import configuration_names, named_configuration

__all__ = ["SearchSpace", "configuration_names", "make_space", "named_configuration", "space_names"]
