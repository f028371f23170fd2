"""What a full space is laid out for: the layer groups of a network, and the techniques that are searched on them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from greenshift.space.groups import LayerGroup


@dataclass(frozen=True)
class Scope:
    """What a full space searches.

    Attributes:
        groups: Layers that share a scheme.
        techniques: Names of the techniques, in the registry's order.
        schemes: What a group can be: `float`, `int8` and so on, the default first.
        patterns: Patterns of zeros that a pruning may have, the default first; empty without pruning.
        left_out: Why a technique, a scheme or a pattern is not there, by its name.
        idle: Why a technique or scheme that was asked for by name saves nothing on the target, by its name.
        target: Name of the device that the techniques were judged on.
    """

    groups: tuple[LayerGroup, ...]
    techniques: tuple[str, ...]
    schemes: tuple[str, ...]
    patterns: tuple[str, ...] = ()
    left_out: Mapping[str, str] = field(default_factory=dict)
    idle: Mapping[str, str] = field(default_factory=dict)
    target: str = ""

    @property
    def stages(self) -> tuple[LayerGroup, ...]:
        """The groups between stem and head."""
        return tuple(group for group in self.groups if group.is_stage)

    def to_json(self) -> dict[str, Any]:
        """Return it as JSON values, for a store and for programs."""
        return {
            "searched": list(self.techniques),
            "schemes": list(self.schemes),
            "patterns": list(self.patterns),
            "groups": {group.name: list(group.keys) for group in self.groups},
            "left_out": dict(self.left_out),
            "idle": dict(self.idle),
        }

    def __str__(self) -> str:
        """Say in one line what is searched and what is not."""
        parts = [f"techniques: {', '.join(self.techniques) or 'none'}; layers are {', '.join(self.schemes)}"]
        parts += [f"left out for {self.target}: {_listed(self.left_out)}"] if self.left_out else []
        parts += [f"searched because named: {_listed(self.idle)}"] if self.idle else []
        return "; ".join(parts)


def _listed(reasons: Mapping[str, str]) -> str:
    return ", ".join(f"{name} ({reason})" for name, reason in reasons.items())
