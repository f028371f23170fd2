"""Which hyperparameters of a full space count where another technique leaves room for them."""

from ConfigSpace import AndConjunction, ConfigurationSpace, EqualsCondition, NotEqualsCondition, OrConjunction
from ConfigSpace.conditions import Condition

from greenshift.space.forms import SEPARABLE
from greenshift.space.scheme_choices import WITHOUT_ZERO
from greenshift.space.scope import Scope
from greenshift.space.techniques import UNSTRUCTURED


def add_conditions(space: ConfigurationSpace, scope: Scope) -> None:
    """Add the conditions across techniques, once all hyperparameters are there.

    Channels are pruned away from the whole network: one that was built smaller may not have so many to lose, and
    loses no single weights besides. Binary weights have no zero. N:M needs several inputs of a filter, of which the
    depthwise part of a separable block has one. What learns from a teacher sees images of the teacher's size.

    Args:
        space: The space; nothing is added about hyperparameters that it does not have.
        scope: What is searched.
    """
    if "prune_channels" in space:
        for name in ("width", "depth", "blocks"):
            if name in space:
                space.add(_whole(space, name))
    if "prune" in space:
        _add_zeros(space, scope)
    if "resolution_multiplier" in space and "distill" in space:
        space.add(EqualsCondition(space["resolution_multiplier"], space["distill"], "off"))


def _whole(space: ConfigurationSpace, name: str) -> Condition:
    return EqualsCondition(space[name], space["prune_channels"], 0.0)


def _add_zeros(space: ConfigurationSpace, scope: Scope) -> None:
    pruned, sparsity = space["prune"], space["sparsity"]
    parents: list[Condition] = [
        NotEqualsCondition(pruned, space[f"scheme_{group.name}"], scheme)
        for scheme in scope.schemes
        if scheme in WITHOUT_ZERO
        for group in scope.stages
    ]
    parents += [_whole(space, "prune")] if "prune_channels" in space else []
    if parents:
        space.add(parents[0] if len(parents) == 1 else AndConjunction(*parents))
    on = EqualsCondition(sparsity, pruned, "on")
    if "prune_pattern" not in space:
        space.add(on)
        return
    pattern = space["prune_pattern"]
    unstructured = EqualsCondition(sparsity, pattern, UNSTRUCTURED)
    if SEPARABLE not in scope.forms.blocks:
        space.add(EqualsCondition(pattern, pruned, "on"), unstructured)
        return
    blocks = space["blocks"]
    space.add(
        AndConjunction(EqualsCondition(pattern, pruned, "on"), NotEqualsCondition(pattern, blocks, SEPARABLE)),
        OrConjunction(unstructured, AndConjunction(on, EqualsCondition(sparsity, blocks, SEPARABLE))),
    )
