"""Layer groups of a network: what a full space gives a scheme of its own."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from greenshift.profile import LayerProfile, NetworkProfile

STEM = "stem"
HEAD = "head"
_MOST_STAGES = 4


@dataclass(frozen=True)
class LayerGroup:
    """Layers that share a scheme.

    Attributes:
        name: `stem`, `stage1` and so on, or `head`.
        keys: Globs and layer names that together select exactly these layers.
        layers: Names of the layers.
        inputs: Fewest inputs of one output among them, over one place of a kernel.
        activations: Globs and names that together select exactly the activation modules that follow these layers;
            what follows the stem counts to the first stage.
    """

    name: str
    keys: tuple[str, ...]
    layers: tuple[str, ...]
    inputs: int
    activations: tuple[str, ...] = ()

    @property
    def is_stage(self) -> bool:
        """Whether it is neither the stem nor the head, which pruning leaves whole."""
        return self.name not in (STEM, HEAD)


def layer_groups(profile: NetworkProfile) -> tuple[LayerGroup, ...]:
    """Divide the convolutions and linear layers of a network into groups, in the order they run.

    The stem is the first convolution and the head the last linear layer, as the two are the most sensitive. Between
    them, parts of the network that its own names tell apart (`layer1.*`, `layer2.*`) are the stages if there are two
    to four, of several layers each. Other networks are cut, between such parts, into thirds by multiply-accumulates.
    The names of the groups do not depend on the network, so that one study can begin with another's front.

    Args:
        profile: The network without any scheme.
    """
    layers = {layer.name: layer for layer in profile.layers if layer.kind in ("conv", "linear")}
    names = tuple(layers)
    stem = next((name for name, layer in layers.items() if layer.kind == "conv"), None)
    head = next((name for name, layer in reversed(layers.items()) if layer.kind == "linear"), None)
    units = _units([name for name in names if name not in (stem, head)], names)
    many = 2 <= len(units) <= _MOST_STAGES and all(len(unit) > 1 for unit in units)
    stages = units if many else _thirds(units, layers)
    named = [(f"stage{number}", tuple(stage)) for number, stage in enumerate(stages, start=1)]
    ends = [(STEM, (stem,) if stem else ()), *named, (HEAD, (head,) if head else ())]
    activations = _activations(profile, ends)
    modules = tuple(module for found in activations.values() for module in found)
    return tuple(
        LayerGroup(
            name,
            _keys(members, names),
            members,
            min(_inputs(layers[member]) for member in members),
            _keys(activations[name], modules),
        )
        for name, members in ends
        if members
    )


def _activations(profile: NetworkProfile, groups: Sequence[tuple[str, tuple[str, ...]]]) -> dict[str, list[str]]:
    """Names of the activation modules of each group, which its layers have run before."""
    stages = [name for name, members in groups if members and name not in (STEM, HEAD)]
    owners = {member: name for name, members in groups for member in members}
    found: dict[str, list[str]] = {name: [] for name, _ in groups}
    group = STEM
    for layer in profile.layers:
        group = owners.get(layer.name, group)
        if layer.activation is not None and not any(layer.name in modules for modules in found.values()):
            found[stages[0] if group == STEM and stages else group].append(layer.name)
    return found


def _units(body: Sequence[str], names: Sequence[str]) -> list[list[str]]:
    """Runs of layers under the same component of their names, or single layers if all are under one."""
    shared = _shared_components(names)
    units = [list(run) for _, run in itertools.groupby(body, key=lambda name: name.split(".")[shared])]
    return units if len(units) > 1 else [[name] for name in body]


def _shared_components(names: Sequence[str]) -> int:
    """Number of leading components that all names have in common, less than any of them has."""
    parts = [name.split(".") for name in names]
    columns = itertools.takewhile(lambda column: len(set(column)) == 1, zip(*parts, strict=False))
    return min(len(list(columns)), min(map(len, parts), default=1) - 1)


def _thirds(units: Sequence[list[str]], layers: dict[str, LayerProfile]) -> list[list[str]]:
    macs = [sum(layers[name].macs for name in unit) for unit in units]
    total = max(sum(macs), 1)
    stages: dict[int, list[str]] = {}
    done = 0
    for unit, count in zip(units, macs, strict=True):
        stages.setdefault(math.floor(3 * (done + count / 2) / total), []).extend(unit)
        done += count
    return list(stages.values())


def _keys(members: Sequence[str], names: Sequence[str]) -> tuple[str, ...]:
    """Keys for some layers: globs over whole parts of the network where these hold no other layer."""
    keys: list[str] = []
    left = list(members)
    while left:
        first = left[0].split(".")
        globs = (".".join(first[:length]) + ".*" for length in range(1, len(first)))
        found = (
            (glob, selected)
            for glob in globs
            if len(selected := {name for name in names if fnmatchcase(name, glob)}) > 1 and selected <= set(members)
        )
        key, selected = next(found, (left[0], {left[0]}))
        keys.append(key)
        left = [name for name in left if name not in selected]
    return tuple(keys)


def _inputs(layer: LayerProfile) -> int:
    return layer.input_shape[0] // layer.groups if layer.kind == "conv" else layer.input_shape[-1]
