"""The full space: a technique per layer group, those of the whole network, and how it is trained.

Hyperparameters that the rest of a configuration makes pointless are inactive: the bits of a scheme that a group does
not have, the sparsity of a network that is not pruned. So no combination has to be forbidden.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

from ConfigSpace import Categorical, ConfigurationSpace, EqualsCondition, Float
from ConfigSpace.hyperparameters import OrdinalHyperparameter

from greenshift.activations import ACTIVATIONS
from greenshift.design import Design, Recipe
from greenshift.errors import InputError
from greenshift.space.conditions import add_conditions
from greenshift.space.groups import LayerGroup
from greenshift.space.scheme_choices import CHOICES, add_schemes, group_schemes
from greenshift.space.scope import Scope
from greenshift.space.techniques import PATTERNS, TECHNIQUES, UNSTRUCTURED, Meta, form_of

_TRAINING: Meta = {"technique": "training"}
_SMALL_WIDTH = 0.5


def add_full(space: ConfigurationSpace, scope: Scope) -> None:
    """Add all hyperparameters of a scope, and their conditions.

    Args:
        space: The empty space.
        scope: What is searched.
    """
    add_schemes(space, scope)
    for name in scope.techniques:
        add = TECHNIQUES[name].add
        if add is not None:
            add(space, scope)
    add_conditions(space, scope)
    _add_training(space)


def single_techniques(space: ConfigurationSpace, scope: Scope) -> list[dict[str, Any]]:
    """Return what shows each technique alone: every scheme on all stages, and techniques of the whole network.

    A mixture that is any good is found from its parts: drawn at random, nearly every configuration has a group that
    is ruined by its scheme. They are shown on a small form of the backbone, if there is one: what a technique is worth
    can be seen there for a fraction of the energy, which would otherwise be spent before the search proper. Where there
    are no schemes and no forms to choose, activation functions are shown too.

    Args:
        space: The space with all its hyperparameters.
        scope: What it searches.

    Returns:
        Values that differ from the default, to be completed.
    """
    forms = scope.forms
    small = {"width": _SMALL_WIDTH, "depth": min(forms.depths, default=1.0)}
    small = {"resolution_multiplier": min(forms.pixels, default=1.0), **small}
    small = {name: value for name, value in small.items() if name in space}
    alone: list[dict[str, Any]] = [{}] if small else []
    if len(scope.schemes) > 1:
        alone += [{f"scheme_{group.name}": scheme for group in scope.stages} for scheme in scope.schemes[1:]]
    alone += [dict(values) for name in scope.techniques for values in TECHNIQUES[name].alone]
    if not small and len(scope.schemes) == 1 and forms.activation:
        alone += _one_function_everywhere(scope, pruned="prune" in space)
    return [{**small, **values} for values in alone if all(name in space for name in values)]


def _one_function_everywhere(scope: Scope, *, pruned: bool) -> list[dict[str, Any]]:
    """Return each other activation function in all stages, of a pruned network where there is pruning.

    A thinly connected network may learn nothing with its own function, and a search that begins there has nothing to
    climb on (docs/results/techniques.md, LeNet-5 at 99 %). Thirteen trainings are too many to begin with where the
    larger gains are elsewhere, so this is for searches of float networks in one form.
    """
    others = [name for name in ACTIVATIONS if name != scope.forms.activation]
    with_zeros = {"prune": "on"} if pruned else {}
    return [{**with_zeros, **{f"activation_{stage}": name for stage in scope.forms.activated}} for name in others]


def full_design(scope: Scope, values: Mapping[str, Any], backbone: str, recipe: Recipe) -> Design:
    """Return the design of a configuration.

    Args:
        scope: What the space searches.
        values: The configuration.
        backbone: Model name.
        recipe: What the space does not search.
    """
    schemes = group_schemes(values, scope, scope.groups_of(*form_of(values)))
    design = Design(backbone, schemes=schemes, recipe=_trained(values, recipe))
    for name in scope.techniques:
        apply = TECHNIQUES[name].apply
        if apply is not None:
            design = apply(values, scope, design)
    return design


def _add_training(space: ConfigurationSpace) -> None:
    optimizer = Categorical("optimizer", ["SGD", "Adam"], meta=_TRAINING)
    momentum = Float("momentum", (0.8, 0.98), default=0.9, meta=_TRAINING)
    space.add(
        optimizer,
        momentum,
        Float("lr", (1e-4, 0.3), default=0.02, log=True, meta=_TRAINING),
        Float("weight_decay", (1e-6, 1e-2), default=1e-4, log=True, meta=_TRAINING),
        # Few sizes, so that trials of one seed show a teacher the same batches, whose answers are kept.
        OrdinalHyperparameter("batch_size", (32, 64, 128, 256), default_value=64, meta=_TRAINING),
    )
    space.add(EqualsCondition(momentum, optimizer, "SGD"))


def _trained(values: Mapping[str, Any], recipe: Recipe) -> Recipe:
    optimization = dataclasses.replace(
        recipe.optimization,
        name=values["optimizer"],
        lr=values["lr"],
        weight_decay=values["weight_decay"],
        momentum=values.get("momentum", recipe.optimization.momentum),
    )
    return dataclasses.replace(recipe, batch_size=int(values["batch_size"]), optimization=optimization)


def usable_patterns(forms: Sequence[tuple[LayerGroup, ...]], width: float) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return the patterns of zeros that every stage of a network can have, and why others are left out.

    Args:
        forms: The layer groups at the least width, for every form of the backbone that may have all patterns.
        width: That width.
    """
    stages = [group for groups in forms for group in groups if group.is_stage]
    if not stages:
        return (), {"prune": "there is nothing between the first convolution and the last linear layer"}
    few = min(stages, key=lambda group: group.inputs)
    left_out = {}
    for pattern in PATTERNS:
        size = 0 if pattern == UNSTRUCTURED else int(pattern.partition(":")[2])
        if few.inputs < size:
            at = "" if width == 1 else f" at the least width, {width:g}"
            inputs = f"{few.inputs} input{'s' * (few.inputs != 1)} per output{at}"
            left_out[pattern] = f"it needs {size} inputs per output, and a layer of {few.name} has {inputs}"
    return tuple(pattern for pattern in PATTERNS if pattern not in left_out), left_out


def reasons(scope: Scope) -> dict[str, str]:
    """Say why a hand-written configuration may not have a value, by hyperparameter and `hyperparameter=value`."""
    unpruned = "a network that loses channels is full-width otherwise, in depth and blocks too"
    found = dict.fromkeys(("width", "depth", "blocks"), unpruned)
    found["prune"] = (
        "binary weights have no zero, so that a network with a binary stage cannot be pruned; one that loses channels "
        "loses no other weights"
    )
    found["prune_pattern"] = (
        "it counts where prune is on and the blocks are not separable, which have layers of one input"
    )
    found["resolution_multiplier"] = "a teacher and what learns from it see images of the data's own size"
    for name, reason in scope.left_out.items():
        if name in CHOICES:
            found |= {f"scheme_{group.name}={name}": reason for group in scope.groups}
        elif name in PATTERNS:
            found[f"prune_pattern={name}"] = reason
    return found


def require_scope(scope: Scope | None) -> Scope:
    """Return the scope.

    Raises:
        InputError: If there is none, or nothing in it that a layer could be.
    """
    if scope is None or not scope.groups or not scope.schemes:
        raise InputError("space full: it is laid out for a network with convolutions or linear layers; name one")
    return scope
