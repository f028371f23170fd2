"""Pruning: exact shares, patterns that hold, and zeros that stay zero under every scheme that has one."""

import copy

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from packing_models import images, packed, settled
from safetensors.torch import load, save
from torch import nn

from greenshift.compress import apply_masks, convert, planned_sparsity, profile, prune, sparsity_of
from greenshift.compress.prune import add_masks
from greenshift.compress.rounding import ps_weight, q_weight
from greenshift.compress.ternary import ternary_codes
from greenshift.compress.uniform import quantised_weight
from greenshift.deploy.packing.layers import codes
from greenshift.design import Pruning
from greenshift.errors import InputError
from greenshift.schemes import Shift, Ternary, Uniform

X = images()
HALF = Pruning(0.5, schedule="one-shot")
TWO_OF_FOUR = Pruning(0.5, "2:4", "one-shot", keep_first=True)
SCHEMES = {
    "float": None,
    "Q": Shift("Q", 4, 8, 8),
    "Q original": Shift("Q", 4, 8, 8, original=True),
    "Q stochastic": Shift("Q", 4, 8, 8, "stochastic"),
    "PS": Shift("PS", 5, 8, 8),
    "PS original": Shift("PS", 5, 8, 8, original=True),
    "PS stochastic": Shift("PS", 5, 8, 8, "stochastic"),
    "int8": Uniform(),
    "int2": Uniform(2, 8),
    "learned": Uniform(4, 8, step="learned"),
    "ternary": Ternary(),
}


def small() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Conv2d(3, 8, 3, padding=1),
        nn.BatchNorm2d(8),
        nn.ReLU(),
        nn.Conv2d(8, 6, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(54, 5),
    )


def network(scheme=None):
    return small() if scheme is None else convert(small(), {"*": scheme}, X)[0]


def weighted(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}


def effective(layer):
    """The weights that a layer multiplies with, as in its forward pass."""
    scheme = getattr(layer, "scheme", None)
    if scheme is None:
        return layer.weight
    if isinstance(scheme, Uniform):
        return quantised_weight(layer)
    if isinstance(scheme, Ternary):
        return ternary_codes(layer)[0]
    stochastic = scheme.rounding == "stochastic"
    if scheme.kind == "PS":
        return ps_weight(layer.shift, layer.sign, scheme, stochastic)
    return q_weight(layer.weight, scheme, stochastic)


def assert_removed_weights_are_zero(model):
    for name, layer in weighted(model).items():
        if hasattr(layer, "pruning_mask"):
            assert bool((effective(layer)[~layer.pruning_mask] == 0).all()), name


def step(model, optimizer, target):
    model.train()
    loss = nn.functional.cross_entropy(model(X), target)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    apply_masks(model)
    return float(loss.detach())


@given(st.floats(0.01, 0.99), st.floats(0, 1))
@settings(max_examples=30, deadline=None)
def test_unstructured_pruning_reaches_its_share_exactly(sparsity, done):
    model = small()
    pruning = Pruning(sparsity)
    prune(model, pruning, done)
    masks = [layer.pruning_mask for layer in weighted(model).values()]
    total = sum(mask.numel() for mask in masks)
    assert sum(int((~mask).sum()) for mask in masks) == round(sparsity * pruning.ramp(done) * total)


def test_the_smallest_weights_of_the_whole_network_go():
    model = small()
    before = torch.cat([layer.weight.detach().abs().flatten() for layer in weighted(model).values()])
    prune(model, HALF, 0)
    kept = torch.cat([layer.pruning_mask.flatten() for layer in weighted(model).values()])
    assert before[kept].min() >= before[~kept].max()
    assert len(set(sparsity_of(model).values())) == 3  # not the same share everywhere


def test_equal_weights_do_not_make_it_inexact():
    layer = nn.Linear(10, 10)
    nn.init.constant_(layer.weight, -0.5)
    prune(layer, Pruning(0.37, schedule="one-shot"), 0)
    assert int((layer.weight == 0).sum()) == 37
    assert not bool(torch.signbit(layer.weight[layer.weight == 0]).any())


@st.composite
def patterns(draw):
    size = draw(st.integers(2, 9))
    kept = draw(st.integers(1, size - 1))
    inputs = draw(st.integers(size, 25))
    return kept, size, inputs, draw(st.booleans()), draw(st.integers(0, 2**31))


@given(patterns(), st.lists(st.floats(0, 1), max_size=3))
@settings(max_examples=60, deadline=None)
def test_no_group_keeps_more_than_n_of_m(pattern, moments):
    kept, size, inputs, convolution, seed = pattern
    torch.manual_seed(seed)
    layer = nn.Conv2d(inputs, 3, 2) if convolution else nn.Linear(inputs, 3)
    weight = layer.weight.detach().clone()
    pruning = Pruning(1 - kept / size, f"{kept}:{size}")
    for moment in [*moments, 1.0]:
        prune(layer, pruning, moment)
    last = planned_sparsity(layer, pruning, {})[""]
    assert sparsity_of(layer)[""] == pytest.approx(last, abs=1e-12)
    for start in range(0, inputs, size):
        part, mask = weight[:, start : start + size].abs(), layer.pruning_mask[:, start : start + size]
        stays = min(kept, part.shape[1])
        assert bool((mask.sum(1) == stays).all())
        threshold = part.topk(stays, dim=1).values[:, -1:]
        assert torch.equal(mask, part >= threshold)
    assert torch.equal(layer.weight == 0, ~layer.pruning_mask)


def test_removed_weights_never_come_back():
    model, pruning = small(), Pruning(0.8)
    optimizer = torch.optim.SGD(model.parameters(), 0.5, 0.9)
    target = torch.arange(len(X)) % 5
    removed = {name: torch.zeros_like(layer.weight, dtype=torch.bool) for name, layer in weighted(model).items()}
    for done in (0.0, 0.1, 0.2, 0.3, 0.6, 0.2, 1.0):
        prune(model, pruning, done)
        step(model, optimizer, target)
        for name, layer in weighted(model).items():
            assert bool((~layer.pruning_mask[removed[name]]).all())
            removed[name] = ~layer.pruning_mask
    assert sum(int(mask.sum()) for mask in removed.values()) == round(0.8 * sum(m.numel() for m in removed.values()))


@pytest.mark.parametrize("pruning", [HALF, TWO_OF_FOUR], ids=["unstructured", "2:4"])
@pytest.mark.parametrize("name", SCHEMES)
def test_masks_survive_training_saving_and_packing(name, pruning):
    model = network(SCHEMES[name])
    prune(model, pruning, 0)
    masks = {key: value.clone() for key, value in model.state_dict().items() if "mask" in key}
    assert len(masks) == 3 - pruning.keep_first
    assert_removed_weights_are_zero(model)
    optimizer = torch.optim.SGD(model.parameters(), 0.02, 0.9, weight_decay=1e-3)
    losses = [step(model, optimizer, torch.arange(len(X)) % 5) for _ in range(30)]
    assert sum(losses[-5:]) < sum(losses[:5])
    assert_removed_weights_are_zero(model)
    again = network(SCHEMES[name])
    add_masks(again, pruning)
    again.load_state_dict(load(save(model.state_dict())))
    assert all(torch.equal(again.state_dict()[key], mask) for key, mask in masks.items())
    assert sparsity_of(again) == sparsity_of(model)
    for key, layer in weighted(again).items():
        if hasattr(layer, "pruning_mask"):
            packed = codes(layer, key, allow_rounding=True)
            assert bool((packed.values[~layer.pruning_mask] == 0).all())
            assert bool((packed.values != 0).any())


@pytest.mark.parametrize("name", ["float", "Q", "PS", "int8"])
def test_a_packed_network_has_the_zeros_of_its_masks(name):
    model = settled(network(SCHEMES[name]), X)
    prune(model, HALF, 0)
    convolutions = list(packed(model.eval(), X)[0].convolutions)
    layers = weighted(model)
    assert [convolution.name for convolution in convolutions] == list(layers)
    for convolution in convolutions[:2]:
        mask = layers[convolution.name].pruning_mask.permute(0, 2, 3, 1).numpy()
        assert not convolution.weight[~mask].any()
        assert convolution.weight[mask].any()
    # The classifier sees a flattened map, whose places packing reorders: the number of zeros is what stays.
    mask = layers["6"].pruning_mask
    assert int((convolutions[2].weight == 0).sum()) >= int((~mask).sum())


@pytest.mark.parametrize("name", [name for name, scheme in SCHEMES.items() if scheme is not None])
def test_a_pruned_network_stays_pruned_when_it_is_converted(name):
    model = small()
    prune(model, HALF, 0)
    before = copy.deepcopy(model.state_dict())
    converted = convert(model, {"*": SCHEMES[name]}, X)[0]
    assert_removed_weights_are_zero(converted)
    assert sparsity_of(converted) == sparsity_of(model)
    optimizer = torch.optim.SGD(converted.parameters(), 0.1)
    step(converted, optimizer, torch.arange(len(X)) % 5)
    assert_removed_weights_are_zero(converted)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_ps_ranks_weights_as_the_float_layer_did():
    model = small()
    converted = convert(model, {"*": Shift("PS", 5, 8, 8)}, X)[0]
    for one in (model, converted):
        prune(one, HALF, 0)
    for name, layer in weighted(converted).items():
        assert torch.equal(layer.pruning_mask, model.get_submodule(name).pruning_mask), name


def test_ps_weights_that_are_zero_already_go_first():
    layer = convert(nn.Linear(4, 1), {"": Shift("PS", 5, 8, 8)}, torch.zeros(1, 4))[0]
    with torch.no_grad():
        layer.shift.copy_(torch.tensor([[-3.0, -2.0, -3.0, -1.0]]))
        layer.sign.copy_(torch.tensor([[-0.6, -1.0, 1.7, 0.5]]))  # the last is no weight
    removed = []
    for sparsity in (0.25, 0.5, 0.75):
        prune(layer, Pruning(sparsity, schedule="one-shot"), 0)
        removed.append((~layer.pruning_mask).flatten().nonzero().flatten().tolist())
    assert removed == [[3], [0, 3], [0, 2, 3]]


def test_layers_are_kept_whole_on_demand():
    model = small()
    prune(model, Pruning(0.5, schedule="one-shot", keep_first=True, keep_last=True), 0)
    assert list(sparsity_of(model)) == ["3"]
    assert sparsity_of(model)["3"] == 0.5
    with pytest.raises(InputError, match="no convolution or linear layer is left"):
        prune(nn.Linear(4, 4), Pruning(0.5, keep_last=True), 0)


def test_the_profile_has_the_sparsity_of_the_masks():
    model = small()
    assert {layer.sparsity for layer in profile(model, (3, 8, 8)).layers} == {0}
    prune(model, HALF, 0)
    found = {layer.name: layer.sparsity for layer in profile(model, (3, 8, 8)).layers if layer.kind != "elementwise"}
    assert found == sparsity_of(model)
    assert all(0 < share < 1 for share in found.values())


def test_planned_shares():
    model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.Conv2d(8, 10, 3, groups=2), nn.Flatten(), nn.Linear(10, 5))
    assert planned_sparsity(model, Pruning(0.9), {}) == {"0": 0.9, "1": 0.9, "3": 0.9}
    # Ten inputs are two groups of four and two of the next: 2 + 2 + 2 stay.
    assert planned_sparsity(model, TWO_OF_FOUR, {}) == {"1": 0.5, "3": pytest.approx(0.4)}


@pytest.mark.parametrize(
    ("model", "pruning", "message"),
    [
        (nn.Conv2d(3, 8, 3), Pruning(0.5, "2:4"), r" has 3 inputs per output, too few for 2:4"),
        (nn.Sequential(nn.Conv2d(8, 8, 3, groups=8)), Pruning(0.5, "2:4"), r"0 is a depthwise convolution"),
        (nn.Sequential(nn.utils.parametrizations.weight_norm(nn.Linear(4, 4))), HALF, "0 has parametrised weights"),
        (network(Shift("Q", 4, 8, 8, "stochastic", original=True)), HALF, "0 has no weight of exactly zero"),
        (nn.ReLU(), HALF, "no convolution or linear layer"),
    ],
)
def test_what_cannot_be_pruned_is_refused_in_one_line(model, pruning, message):
    with pytest.raises(InputError, match=message) as info:
        prune(model, pruning, 0)
    assert "\n" not in str(info.value)


@pytest.mark.parametrize("sparsity", [0.3, 0.99])
def test_by_layer_every_layer_loses_the_same_share_of_its_own(sparsity):
    model = small()
    with torch.no_grad():
        model[0].weight.mul_(100)  # together with the others it would keep all of its weights
    pruning = Pruning(sparsity, schedule="one-shot", scope="layer")
    prune(model, pruning, 0.0)
    layers = [layer for layer in model if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer, share in zip(layers, sparsity_of(model).values(), strict=True):
        removed = round(sparsity * layer.weight.numel())
        assert share == pytest.approx(removed / layer.weight.numel())
        assert int((layer.weight == 0).sum()) == removed
    assert set(planned_sparsity(model, pruning, {}).values()) == {sparsity}
