"""What a full space is laid out for: the layer groups of a network, and the techniques that are searched on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from greenshift.compactness import BlockName
from greenshift.space.forms import Forms
from greenshift.space.groups import LayerGroup


@dataclass(frozen=True)
class Scope:
    """What a full space searches.

    Attributes:
        groups: Layers that share a scheme.
        techniques: Names of the techniques, in the registry's order.
        schemes: What a group can be: `float`, `int8` and so on, the default first.
        patterns: Patterns of zeros that a pruning may have, the default first; empty without such pruning.
        forms: What can be chosen of the backbone itself.
        left_out: Why a technique, or something that belongs to one, is not there, by its name.
        idle: Why something that was asked for by name saves nothing on the target, by its name.
        target: Name of the device that the techniques were judged on.
    """

    groups: tuple[LayerGroup, ...]
    techniques: tuple[str, ...]
    schemes: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    forms: Forms = field(default_factory=Forms)
    left_out: Mapping[str, str] = field(default_factory=dict)
    idle: Mapping[str, str] = field(default_factory=dict)
    target: str = ""

    @property
    def stages(self) -> tuple[LayerGroup, ...]:
        """The groups between stem and head."""
        return tuple(group for group in self.groups if group.is_stage)

    def groups_of(self, depth: float, blocks: BlockName) -> tuple[LayerGroup, ...]:
        """The groups in another form of the backbone: they have the same names, and the layers that are there."""
        return self.forms.groups.get((depth, blocks), self.groups)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, for a store and for programs."""
        return {
            "searched": list(self.techniques),
            "schemes": list(self.schemes),
            "patterns": [*self.patterns, *(["channels"] if self.forms.channels else [])],
            "groups": {group.name: list(group.keys) for group in self.groups},
            "left_out": dict(self.left_out),
            "idle": dict(self.idle),
        }

    def __str__(self) -> str:
        """Say in one line what is searched and what is not."""
        parts = [f"techniques: {', '.join(self.techniques) or 'none'}; layers are {', '.join(self.schemes)}"]
        parts += [f"left out for {self.target}: {listed(self.left_out)}"] if self.left_out else []
        parts += [f"searched because named: {listed(self.idle)}"] if self.idle else []
        return "; ".join(parts)


def listed(reasons: Mapping[str, str]) -> str:
    """Return names with their reasons in one line; those that share a reason stand together."""
    names: dict[str, list[str]] = {}
    for name, reason in reasons.items():
        names.setdefault(reason, []).append(name)
    return ", ".join(f"{' and '.join(sharing)} ({reason})" for reason, sharing in names.items())
