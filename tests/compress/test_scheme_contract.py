"""What every scheme keeps to: convert, train, save, reload, profile, prune, pack; or refuse with a reason in one line.

A scheme that is registered and has no case here fails the first test. What a scheme computes is in its own tests.
"""

import copy
import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace

import pytest
import torch
from packing_models import images, normalised, packed, settled
from torch import nn
from torch.nn import functional
from torch.overrides import TorchFunctionMode

from greenshift.artifacts import load_artifact, save_artifact
from greenshift.compress import apply_masks, convert, profile, prune, sparsity_of
from greenshift.compress.prune import add_masks
from greenshift.data import load_dataset
from greenshift.deploy.packing.layers import codes
from greenshift.deploy.validity import check
from greenshift.design import Design, Pruning
from greenshift.errors import InputError
from greenshift.networks import build_network, image_shape
from greenshift.records import DataChoice
from greenshift.schemes import Binary, PowerOfTwo, Shift, Ternary, Uniform, base, scheme_from_json, scheme_to_json

X = images()
TARGETS = torch.arange(len(X)) % 5
HALF = Pruning(0.5, schedule="one-shot")


@dataclass(frozen=True)
class Case:
    """A scheme, and what its profile and its packed weights have to say.

    Attributes:
        scheme: The scheme.
        stored: Arithmetic, bits of a weight, bits of an activation and exponents of a weight in the profile.
        scale_bytes: Bytes of scales for each output, or for a whole layer if negative.
        packed: Kind and bits of packed weights; None if weights of every magnitude are too many exponents to pack.
        macs: Multiply-accumulates for each weight.
        prunes: Whether the scheme has a weight of exactly zero.
    """

    scheme: base.Scheme
    stored: tuple[str, int, int, int]
    scale_bytes: int
    packed: tuple[str, int] | None
    macs: int = 1
    prunes: bool = True


def _name(scheme: base.Scheme) -> str:
    """The scheme's name and what of it is not the default."""
    changed = (value for name, value in vars(scheme).items() if value != getattr(type(scheme)(), name))
    return "-".join([type(scheme).__name__.lower(), *map(str, changed)])


CASES = [
    Case(Shift("Q", 4, 8, 8), ("shift", 4, 16, 8), 0, ("shift", 5)),
    Case(Shift("Q", 3, 4, 4, "stochastic"), ("shift", 3, 8, 4), 0, ("shift", 4)),
    Case(Shift("Q", 8), ("shift", 8, 32, 128), 0, None),
    Case(Shift("PS", 4, 8, 8), ("shift", 4, 16, 7), 0, ("shift", 4)),
    Case(Shift("PS", 5, 16, 16, "stochastic"), ("shift", 5, 32, 15), 0, None),
    Case(Shift("Q", 4, 8, 8, "stochastic", original=True), ("shift", 4, 16, 8), 0, ("shift", 5), prunes=False),
    Case(PowerOfTwo(2), ("shift", 2, 8, 1), 1, ("ternary", 2)),
    Case(PowerOfTwo(4), ("shift", 4, 8, 7), 1, ("shift", 4)),
    Case(PowerOfTwo(3, 4, scale="max", rounding="log"), ("shift", 3, 4, 3), 1, ("shift", 4)),
    Case(PowerOfTwo(5, 8, 2, step="learned"), ("shift", 5, 8, 6), 1, ("int8", 8), macs=2),
    Case(Uniform(), ("int", 8, 8, 0), 4, ("int8", 8)),
    Case(Uniform(4, 4, step="learned"), ("int", 4, 4, 0), 4, ("int8", 8)),
    Case(Uniform(3, 8, per_channel=False), ("int", 3, 8, 0), -4, ("int8", 8)),
    Case(Uniform(2, 8, per_channel=False, step="learned"), ("int", 2, 8, 0), -4, ("ternary", 2)),
    Case(Ternary(), ("shift", 2, 8, 1), 4, ("ternary", 2)),
    Case(Ternary(4, 0.5, False), ("shift", 2, 4, 1), 4, ("ternary", 2)),
    Case(Binary(), ("shift", 1, 8, 1), 4, ("binary", 1), prunes=False),
    Case(Binary(1), ("binary", 1, 1, 0), 4, ("binary", 1), prunes=False),
]


def conv_net() -> nn.Module:
    """Stride, dilation, another padding, a layer without a bias and one with; no ReLU, whose signs would all be 1."""
    second = nn.Conv2d(8, 6, (3, 2), stride=2, padding=2, dilation=2)
    return nn.Sequential(stem(), nn.BatchNorm2d(8), second, nn.Flatten(), nn.Linear(120, 5))


def linear_net() -> nn.Module:
    first = nn.Linear(192, 24, bias=False)
    return nn.Sequential(nn.Flatten(), first, nn.BatchNorm1d(24), nn.Linear(24, 5))


def depthwise_net() -> nn.Module:
    separable = nn.Conv2d(8, 8, 3, stride=2, padding=1, groups=8), nn.Conv2d(8, 12, 1, bias=False)
    head = nn.BatchNorm2d(12), nn.Flatten(), nn.Linear(192, 5)
    return nn.Sequential(stem(), nn.BatchNorm2d(8), *separable, *head)


def stem() -> nn.Module:
    return nn.Conv2d(3, 8, 3, padding=1, bias=False)


NETWORKS = {"conv": conv_net, "linear": linear_net, "depthwise": depthwise_net}
cases = pytest.mark.parametrize("case", CASES, ids=lambda case: _name(case.scheme))
networks = pytest.mark.parametrize("name", NETWORKS)


def plain(name: str, seed: int = 0) -> nn.Module:
    torch.manual_seed(seed)
    return NETWORKS[name]()


def converted(case: Case, name: str, seed: int = 0) -> nn.Module:
    return convert(plain(name, seed), {"*": case.scheme}, X)[0]


def weighted(model: nn.Module) -> dict[str, nn.Conv2d | nn.Linear]:
    return {name: module for name, module in model.named_modules() if isinstance(module, nn.Conv2d | nn.Linear)}


class _Weights(TorchFunctionMode):
    """Notes the weights that convolutions and linear layers multiply by, in their order."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[torch.Tensor] = []

    def __torch_function__(self, func, types, args=(), kwargs=None):
        if func in (functional.conv2d, functional.linear):
            self.seen.append(args[1].detach())
        return func(*args, **(kwargs or {}))


def multiplied(model: nn.Module) -> dict[str, torch.Tensor]:
    """The weights that each layer of a network multiplies by in evaluation."""
    with torch.no_grad(), _Weights() as weights:
        copy.deepcopy(model).eval()(normalised(X))
    return dict(zip(weighted(model), weights.seen, strict=True))


def trained(model: nn.Module, steps: int) -> list[float]:
    """Losses of some steps on one batch."""
    model.train()
    optimizer = torch.optim.Adam(model.parameters(), 0.01)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        loss = functional.cross_entropy(model(normalised(X)), TARGETS)
        loss.backward()
        optimizer.step()
        apply_masks(model)
        losses.append(loss.item())
    return losses


@contextmanager
def refused_in_one_line() -> Iterator[None]:
    with pytest.raises(InputError) as refusal:
        yield
    text = str(refusal.value)
    assert "\n" not in text
    assert len(text) > 30


def test_every_registered_scheme_is_here():
    assert {type(case.scheme) for case in CASES} == set(base._SCHEMES.values())


@cases
def test_json_and_digest(case):
    assert scheme_from_json(scheme_to_json(case.scheme)) == case.scheme
    design = Design("tiny_cnn", schemes=(("*", case.scheme),))
    assert Design.from_json(design.to_json()).digest == design.digest


@networks
@cases
def test_conversion_keeps_geometry_biases_mode_and_the_given_model(case, name):
    model = plain(name).eval()
    before = copy.deepcopy(model.state_dict())
    new, report = convert(model, {"*": case.scheme}, X)
    assert not any(module.training for module in new.modules())
    assert all(module.training for module in converted(case, name).modules())
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert [entry.name for entry in report.converted] == list(weighted(model))
    for key, layer in weighted(model).items():
        other = new.get_submodule(key)
        assert type(other) is not type(layer)
        assert isinstance(other, type(layer))
        assert other.scheme == case.scheme
        fields = ("stride", "padding", "dilation", "groups", "padding_mode", "kernel_size", "in_features")
        assert all(getattr(layer, field, None) == getattr(other, field, None) for field in fields)
        assert (layer.bias is None) == (other.bias is None)
        assert layer.bias is None or torch.equal(layer.bias, other.bias)


@networks
@cases
def test_training_lowers_the_loss_and_reaches_every_parameter(case, name):
    model = converted(case, name)
    before = {key: value.detach().clone() for key, value in model.named_parameters()}
    losses = trained(model, 20)
    assert min(losses[-3:]) < 0.9 * losses[0]
    assert all(math.isfinite(loss) for loss in losses)
    assert [key for key, value in model.named_parameters() if torch.equal(value, before[key])] == []


@networks
@cases
def test_saved_weights_give_the_same_outputs_in_a_fresh_conversion(case, name, tmp_path):
    first = converted(case, name)
    trained(first, 3)
    torch.save(first.state_dict(), tmp_path / "weights.pt")
    second = converted(case, name, seed=1)
    second.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    for model in (first.eval(), second.eval()):
        torch.manual_seed(0)  # the original's stochastic rounding draws at evaluation too
        model.found = model(normalised(X))
    assert torch.equal(first.found, second.found)


@pytest.mark.parametrize("backbone", ["tiny_cnn", "mobilenetv2"])
@cases
def test_artifacts_keep_every_logit(case, backbone, tmp_path):
    dataset = load_dataset("digits")
    torch.manual_seed(0)
    design = Design(backbone, width=0.25, depth=0.25, schemes=(("*", case.scheme),))
    model = build_network(design, image_shape(DataChoice("digits"))).train()
    x = torch.randn(4, 1, 8, 8)
    with torch.no_grad():
        model(x)
    save_artifact(tmp_path / "a.safetensors", model, design, dataset, {})
    read = load_artifact(tmp_path / "a.safetensors")
    outputs = []
    for network in (model.eval(), read.model):
        torch.manual_seed(0)
        outputs.append(network(x))
    assert read.design == design
    assert torch.equal(*outputs)


@networks
@cases
def test_the_profile_counts_what_is_stored_and_multiplied(case, name):
    model = converted(case, name)
    whole = {layer.name: layer for layer in profile(plain(name), (3, 8, 8)).layers}
    found = {layer.name: layer for layer in profile(model, (3, 8, 8)).layers}
    for key, layer in weighted(plain(name)).items():
        step, outputs = found[key], len(layer.weight)
        assert (step.arithmetic, step.weight_bits, step.act_bits, step.weight_levels) == case.stored
        assert step.macs == case.macs * whole[key].macs
        scales = case.scale_bytes * outputs if case.scale_bytes >= 0 else -case.scale_bytes
        biases = 0 if layer.bias is None else 4 * outputs
        assert step.parameter_bytes == -(-layer.weight.numel() * case.stored[1] // 8) + scales + biases
        assert step.parameter_bytes < whole[key].parameter_bytes
        assert (step.groups, step.weights) == (whole[key].groups, whole[key].weights)


@cases
def test_the_profile_grows_with_the_bits_of_a_weight(case):
    sizes = []
    for bits in range(1, 9):
        try:
            scheme = replace(case.scheme, weight_bits=bits)
        except (InputError, TypeError):
            continue
        layer = convert(nn.Conv2d(4, 8, 3), {"*": scheme}, torch.zeros(1, 4, 8, 8))[0]
        sizes.append(profile(layer, (4, 8, 8)).size_bytes)
    assert sizes == sorted(set(sizes))


@networks
@cases
def test_pruned_weights_stay_zero_or_pruning_is_refused(case, name):
    model = converted(case, name)
    if not case.prunes:
        with refused_in_one_line():
            prune(model, HALF, 1.0)
        whole = plain(name)
        prune(whole, HALF, 1.0)
        with refused_in_one_line():
            convert(whole, {"*": case.scheme}, X)
        return
    prune(model, HALF, 1.0)
    trained(model, 4)
    again = converted(case, name, seed=1)
    add_masks(again, HALF)
    again.load_state_dict(model.state_dict())
    assert sparsity_of(again) == sparsity_of(model)
    for key, weight in multiplied(again).items():
        mask = again.get_submodule(key).pruning_mask
        assert bool((weight[~mask] == 0).all()), key
        assert bool((weight[mask] != 0).any()), key
        assert 0 < int(mask.sum()) < mask.numel(), key


@networks
@cases
def test_codes_are_the_weights_that_are_multiplied_by_or_packing_is_refused(case, name):
    model = converted(case, name)
    trained(model, 4)
    for key, weight in multiplied(model).items():
        layer = model.get_submodule(key)
        if case.packed is None:
            spread_out(layer)
            with refused_in_one_line():
                codes(layer, key, allow_rounding=False)
            continue
        if getattr(case.scheme, "original", False):
            continue  # it draws weights at evaluation too: there are none to compare with
        found = codes(layer, key, allow_rounding=False)
        scale = found.scale.view(-1, *[1] * (weight.dim() - 1))
        assert torch.equal((found.values * scale).float(), weight), key
        assert torch.equal(found.values, found.values.round())
        assert found.storage.kind == case.packed[0]
        # A window of seven exponents takes four bits wherever the weights lie within one.
        assert found.storage.bits in {case.packed[1], 4 if case.packed[0] == "shift" else None}
        assert found.rounded == 0


def spread_out(layer: nn.Module) -> None:
    """Give an output weights of every magnitude that the scheme has."""
    row = (layer.weight if layer.scheme.kind == "Q" else layer.shift)[0]
    exponents = torch.linspace(0, -20, row.numel()).view_as(row)
    with torch.no_grad():
        row.copy_(torch.exp2(exponents) if layer.scheme.kind == "Q" else exponents)
        if layer.scheme.kind == "PS":
            layer.sign[0] = 1.0


@networks
@cases
def test_networks_pack(case, name):
    model = settled(converted(case, name), X)
    network, report = packed(model, X, allow_rounding=case.packed is None)
    check(network)
    assert [layer.name for layer in report.layers] == list(weighted(model))


@networks
@cases
def test_runs_in_bfloat16(case, name):
    model = converted(case, name).train()
    with torch.autocast("cpu", torch.bfloat16):
        outputs = model(normalised(X))
    assert outputs.dtype == torch.bfloat16
    functional.cross_entropy(outputs.float(), TARGETS).backward()
    for key, parameter in model.named_parameters():
        assert parameter.grad.dtype == torch.float32, key
        assert bool(parameter.grad.isfinite().all()), key


@networks
@cases
def test_profiles_in_float64_and_on_meta(case, name):
    wanted = profile(converted(case, name), (3, 8, 8))
    assert profile(converted(case, name).double(), (3, 8, 8)) == wanted
    with torch.device("meta"):
        model = NETWORKS[name]()
    placed = convert(model, {"*": case.scheme}, X.to("meta"))[0]
    assert all(tensor.is_meta for tensor in [*placed.parameters(), *placed.buffers()])
    assert profile(placed, (3, 8, 8)) == wanted
