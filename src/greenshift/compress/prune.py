"""Prune weights by magnitude, under any scheme that has a weight of exactly zero.

A mask is a buffer of its layer, so that it is saved and loaded with the weights. Layers do not know of it:
removed values are set to zero in the parameter that the layer's scheme makes zero weights of. Whole channels are
removed by `greenshift.compress.channels`, which also makes the tensors smaller.
"""

from collections.abc import Mapping
from typing import cast

import torch
from torch import Tensor, nn

from greenshift.compress.convert import weighted_layers
from greenshift.compress.handlers import MASK, zeros_of
from greenshift.design import Pruning
from greenshift.errors import InputError
from greenshift.schemes import Scheme

Layer = nn.Conv2d | nn.Linear


def prune(model: nn.Module, pruning: Pruning, fraction_done: float) -> None:
    """Remove the weights that the schedule wants removed by now; call `apply_masks` after every later step.

    Weights that were removed stay so. Unstructured pruning ranks the weights of all layers together by their
    magnitude and removes exactly round(sparsity x weights); it may leave a layer without any, unless its scope
    is the layer, where each loses exactly that share of its own. N:M ranks the M
    consecutive inputs of one output at one place of the kernel; if M does not divide a layer's inputs, the last
    ones count as a group that is filled up with zeros. While a gradual N:M is under way, groups lose whole
    weights one after another.

    Args:
        model: Network, converted or not; its masks and parameters are changed.
        pruning: What to remove.
        fraction_done: Share of the training that is done, 0 to 1.

    Raises:
        InputError: If a layer cannot be pruned.
    """
    add_masks(model, pruning)
    layers = [layer for _, layer in _selected(model, pruning)]
    ramp = pruning.ramp(fraction_done)
    if pruning.group is None:
        for ranked in [layers] if pruning.scope == "global" else [[layer] for layer in layers]:
            _remove_smallest(ranked, pruning.sparsity * ramp)
    else:
        kept, size = pruning.group
        # The tolerance keeps a full ramp full: (1 - 0) * 2 must not become 1.
        removed = int((size - kept) * ramp + 1e-9)
        for layer in layers:
            _mask(layer).logical_and_(_grouped_mask(_scores(layer), removed, size))
    apply_masks(model)


def add_masks(model: nn.Module, pruning: Pruning) -> None:
    """Give the layers that are to be pruned masks that remove nothing yet, where they have none.

    Args:
        model: Network, converted or not.
        pruning: Which layers it is about.

    Raises:
        InputError: If a layer cannot be pruned.
    """
    for name, layer in _selected(model, pruning):
        _check(name, layer, _scheme(layer), pruning)
        if not hasattr(layer, MASK):
            layer.register_buffer(MASK, torch.ones_like(_parameter(layer), dtype=torch.bool, requires_grad=False))


def apply_masks(model: nn.Module) -> None:
    """Set the removed weights of a network to zero again, as after a step of an optimizer.

    Args:
        model: Network with any number of pruned layers.
    """
    with torch.no_grad():
        for _, layer in weighted_layers(model):
            if hasattr(layer, MASK):
                # Not a product: that would leave negative zeros, and not-a-numbers where they are.
                _parameter(cast(Layer, layer)).masked_fill_(~_mask(layer), 0.0)


def sparsity_of(model: nn.Module) -> dict[str, float]:
    """Share of removed weights of every layer that has a mask, by name.

    Args:
        model: Network, pruned or not.
    """
    return {
        name: 1.0 - int(_mask(layer).sum()) / _mask(layer).numel()
        for name, layer in weighted_layers(model)
        if hasattr(layer, MASK)
    }


def planned_sparsity(model: nn.Module, pruning: Pruning, schemes: Mapping[str, Scheme | None]) -> dict[str, float]:
    """Share of weights that every layer will have lost in the end, without looking at weights.

    N:M is exact. Unstructured pruning is taken to be spread evenly; a trained network's own shares differ from
    layer to layer (`sparsity_of`).

    Args:
        model: The float network of a design.
        pruning: What will be removed.
        schemes: Scheme by layer name, as the design assigns them.

    Raises:
        InputError: If a layer cannot be pruned.
    """
    planned = {}
    for name, layer in _selected(model, pruning):
        _check(name, layer, schemes.get(name), pruning)
        planned[name] = pruning.sparsity
        if pruning.group is not None:
            kept, size = pruning.group
            groups, rest = divmod(_inputs(layer), size)
            planned[name] = 1.0 - (groups * kept + min(rest, kept)) / _inputs(layer)
    return planned


def _scheme(layer: nn.Module) -> Scheme | None:
    return cast("Scheme | None", getattr(layer, "scheme", None))


def kept_whole(model: nn.Module, pruning: Pruning) -> list[nn.Module]:
    """Layers that a pruning leaves whole by `keep_first` and `keep_last`."""
    layers = [layer for _, layer in weighted_layers(model)]
    first = next((layer for layer in layers if isinstance(layer, nn.Conv2d)), None)
    last = next((layer for layer in reversed(layers) if isinstance(layer, nn.Linear)), None)
    kept = (first if pruning.keep_first else None), (last if pruning.keep_last else None)
    return [layer for layer in kept if layer is not None]


def _selected(model: nn.Module, pruning: Pruning) -> list[tuple[str, Layer]]:
    if pruning.pattern == "channels":
        raise InputError("prune: channels are taken out of a float network, by prune_channels, not masked")
    layers = cast("list[tuple[str, Layer]]", weighted_layers(model))
    kept = kept_whole(model, pruning)
    selected = [(name, layer) for name, layer in layers if not any(layer is other for other in kept)]
    if not selected:
        raise InputError("prune: no convolution or linear layer is left to prune; keep fewer layers whole")
    return selected


def _check(name: str, layer: Layer, scheme: Scheme | None, pruning: Pruning) -> None:
    if hasattr(layer, "parametrizations"):
        raise InputError(f"prune: {name} has parametrised weights, which cannot be set to zero; remove those first")
    zeros_of(scheme, name)
    if pruning.group is not None and isinstance(layer, nn.Conv2d) and layer.groups > 1 and _inputs(layer) == 1:
        raise InputError(
            f"prune: {name} is a depthwise convolution, whose groups of one input {pruning.pattern} cannot split; "
            "prune unstructured or channels"
        )
    if pruning.group is not None and _inputs(layer) < pruning.group[1]:
        raise InputError(
            f"prune: {name} has {_inputs(layer)} inputs per output, too few for {pruning.pattern}; "
            "prune unstructured, or keep it whole (keep_first, keep_last)"
        )


def _inputs(layer: Layer) -> int:
    return layer.in_channels // layer.groups if isinstance(layer, nn.Conv2d) else layer.in_features


def _mask(layer: nn.Module) -> Tensor:
    return cast(Tensor, getattr(layer, MASK))


def _parameter(layer: Layer) -> Tensor:
    return cast(Tensor, getattr(layer, zeros_of(_scheme(layer), "a layer")))


def _scores(layer: Layer) -> Tensor:
    """Magnitudes of a layer's weights; removed ones come before all others."""
    magnitude = _parameter(layer).detach().float().abs()
    if zeros_of(_scheme(layer), "a layer") == "sign":
        # A sign below one half makes no weight; between that and 1 it counts, as it does where weights are loaded.
        shift = cast(Tensor, layer.shift).detach()
        magnitude = torch.where(magnitude > 0.5, magnitude.clamp(max=1.0), 0.0) * torch.exp2(shift)
    return magnitude.masked_fill(~_mask(layer), -1.0)


def _remove_smallest(layers: list[Layer], sparsity: float) -> None:
    scores = torch.cat([_scores(layer).flatten() for layer in layers])
    count = round(sparsity * scores.numel())
    if count <= int((scores < 0).sum()):
        return
    limit = scores.kthvalue(count).values
    removed = scores < limit
    ties = (scores == limit).nonzero().flatten()
    removed[ties[: count - int(removed.sum())]] = True
    for layer, part in zip(layers, removed.split([_mask(layer).numel() for layer in layers]), strict=True):
        _mask(layer).logical_and_(~part.view(_mask(layer).shape))


def _grouped_mask(scores: Tensor, removed: int, size: int) -> Tensor:
    """Keep all but the `removed` smallest of every `size` values along the inputs (dimension 1)."""
    rows = scores.movedim(1, -1)
    inputs = rows.shape[-1]
    filled = nn.functional.pad(rows, (0, -inputs % size), value=-2.0)
    groups = filled.unflatten(-1, (-1, size))
    order = groups.argsort(dim=-1, stable=True)
    mask = torch.ones_like(groups, dtype=torch.bool).scatter_(-1, order[..., :removed], False)
    return mask.flatten(-2)[..., :inputs].movedim(-1, 1)
