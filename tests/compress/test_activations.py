"""Activation functions: their formulas, what stays finite, networks with them, their costs and their tables."""

import copy
import math

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from packing_models import difference, images, normalised, packed, settled
from torch import nn

from greenshift.activations import ACTIVATIONS, Activation
from greenshift.artifacts import load_artifact, save_artifact
from greenshift.compress import profile
from greenshift.compress.activations import ScaledActivation, operations_of, set_activations
from greenshift.data import load_dataset, split
from greenshift.deploy.network import Lookup
from greenshift.design import Design, Optimization, Recipe
from greenshift.errors import InputError
from greenshift.models import build_model
from greenshift.networks import build_network, image_shape, profile_design
from greenshift.records import DataChoice
from greenshift.schemes import Shift, Uniform
from greenshift.train import Compute, Training, train

DIGITS = DataChoice("digits", train_limit=300)
SHAPE = image_shape(DIGITS)
CLAMPS = ("relu", "relu6")
X = images()


def sigmoid(x):
    return 1 / (1 + math.exp(-x))


def softplus(x):
    return math.log1p(math.exp(x))


# Each function of x as its source writes it, with the scales that it starts from.
FORMULAS = {
    "relu": lambda x: max(x, 0.0),
    "relu6": lambda x: min(max(x, 0.0), 6.0),
    "hardswish": lambda x: x * min(max(x + 3, 0.0), 6.0) / 6,
    "swish": lambda x: x * sigmoid(x),
    "tanhsoft1": lambda x: math.tanh(x) * softplus(x),
    "acon": lambda x: 0.75 * x * sigmoid(0.75 * x) + 0.25 * x,
    "gelu": lambda x: x * (1 + math.erf(x / math.sqrt(2))) / 2,
    "srs": lambda x: x / (x / 2 + math.exp(-x / 3)),
    "elu": lambda x: x if x > 0 else math.expm1(x),
    "tanh": math.tanh,
    "softplus": softplus,
    "logsigmoid": lambda x: math.log(sigmoid(x)),
    "symlog": lambda x: math.copysign(math.log(abs(x) + 1), x),
    "symexp": lambda x: math.copysign(math.exp(abs(x)) - 1, x),
}


def values(start, stop):
    return torch.linspace(start, stop, 41, dtype=torch.float32)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("trained", [False, True])
def test_functions_start_as_their_sources_write_them(name, trained):
    x = values(-4.5, 4.5)
    expected = [FORMULAS[name](float(v)) for v in x]
    assert ScaledActivation(Activation(name, trained))(x).tolist() == pytest.approx(expected, rel=1e-4, abs=1e-5)


@pytest.mark.parametrize("name", [n for n in ACTIVATIONS if n not in ("tanhsoft1", "acon", "srs")])
@given(alpha=st.floats(-3, 3), beta=st.floats(-1.5, 1.5))
@settings(max_examples=15, deadline=None)
def test_scales_are_an_alpha_and_a_beta(name, alpha, beta):
    activation = ScaledActivation(Activation(name, True))
    with torch.no_grad():
        activation.scales.copy_(torch.tensor([alpha, beta]))
        found = activation(values(-3, 3)).tolist()
    assert found == pytest.approx([alpha * FORMULAS[name](beta * float(v)) for v in values(-3, 3)], rel=1e-3, abs=1e-4)


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@given(scales=st.lists(st.floats(-8, 8, width=32), min_size=3, max_size=3))
@settings(max_examples=10, deadline=None)
def test_values_and_gradients_stay_finite_and_keep_their_type(name, dtype, scales):
    activation = ScaledActivation(Activation(name, True))
    with torch.no_grad():
        activation.scales.copy_(torch.tensor(scales[: len(activation.scales)]))
    x = torch.tensor([0.0, *(s * 10.0**e for e in range(-6, 6) for s in (1, -1))], dtype=dtype, requires_grad=True)
    y = activation(x)
    assert y.dtype == dtype
    y.float().sum().backward()
    assert all(bool(value.isfinite().all()) for value in (y, x.grad, activation.scales.grad))


def test_symexp_goes_on_straight_where_it_would_overflow():
    symexp = ScaledActivation(Activation("symexp"))
    near, at, far = (float(symexp(torch.tensor(v))) for v in (4.999, 5.0, 105.0))
    assert at == pytest.approx(math.exp(5) - 1)
    assert far - at == pytest.approx(100 * math.exp(5))
    assert (at - near) / 0.001 == pytest.approx(math.exp(5), rel=0.01)
    assert float(symexp(torch.tensor(-105.0))) == -far


def test_the_first_glob_decides_and_the_model_is_left_alone():
    model = build_model("resnet20", num_classes=10, in_channels=3, image_size=32)
    new = set_activations(model, (("layer1.*.relu1", Activation("tanh")), ("layer1.*", Activation("gelu", True))))
    choices = {n: m.choice.name for n, m in new.named_modules() if isinstance(m, ScaledActivation)}
    assert choices == {f"layer1.{i}.relu{k}": ("tanh", "gelu")[k - 1] for i in range(3) for k in (1, 2)}
    assert not any(isinstance(m, ScaledActivation) for m in model.modules())
    assert sum(isinstance(m, nn.ReLU) for m in new.modules()) == 13


def test_fixed_scales_are_no_part_of_the_weights():
    model = build_network(Design("lenet5"), SHAPE)
    fixed = set_activations(model, (("*", Activation("swish")),))
    assert fixed.state_dict().keys() == model.state_dict().keys()
    trained = set_activations(fixed, (("*", Activation("acon", True)),))
    assert trained.state_dict().keys() - model.state_dict().keys() == {f"{i}.scales" for i in (1, 4, 8, 10)}


@pytest.mark.parametrize(
    ("backbone", "glob", "message"),
    [
        ("lenet5", "conv*", r"'conv\*' selects no activation module; those of the network are 1, 4, 8, 10$"),
        ("resnet20", "0", "'0' selects no activation module; those of the network are relu, layer1.0.relu1.*, ...$"),
    ],
)
def test_a_glob_that_selects_nothing_is_one_clear_line(backbone, glob, message):
    with pytest.raises(InputError, match=message) as error:
        profile_design(Design(backbone, activations=((glob, Activation("elu")),)), DIGITS)
    assert "\n" not in str(error.value)


def test_a_network_without_activation_modules_says_so():
    with pytest.raises(InputError, match="the network has none"):
        set_activations(nn.Linear(2, 2), (("*", Activation()),))


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_training_lowers_the_loss_and_moves_the_scales(name):
    dataset = load_dataset("digits")
    optimization = Optimization("Adam", 1e-3)
    design = Design("lenet5", activations=(("*", Activation(name, True)),), recipe=Recipe(3, 16, optimization))
    torch.manual_seed(0)
    model = build_network(design, SHAPE)
    start = [m.scales.detach().clone() for m in model.modules() if isinstance(m, ScaledActivation)]
    training = Training(
        dataset, split(dataset, DIGITS).train, None, design.recipe, 0, Compute(torch.device("cpu"), "bfloat16")
    )
    curve = train(model, training, 3)
    assert curve[-1].train_loss < curve[0].train_loss
    moved = [m.scales for m in model.modules() if isinstance(m, ScaledActivation)]
    assert all(not torch.equal(a, b) for a, b in zip(start, moved, strict=True))


def test_an_artifact_keeps_functions_and_scales(tmp_path):
    design = Design(
        "lenet5",
        schemes=(("*", Shift("Q", 4, 8, 8)),),
        activations=(("1", Activation("srs", True)), ("*", Activation("symlog"))),
    )
    model = build_network(design, SHAPE).eval()
    with torch.no_grad():
        model.get_submodule("1").scales.copy_(torch.tensor([1.5, 2.5]))
    save_artifact(tmp_path / "a.safetensors", model, design, load_dataset("digits"), {})
    again = load_artifact(tmp_path / "a.safetensors")
    assert again.design == design
    x = torch.randn(4, *SHAPE.input)
    assert torch.equal(again.model(x), model(x))


@pytest.mark.parametrize("schemes", [(), (("*", Uniform(8, 8)),), (("*", Shift("Q", 4, 16, 16)),)])
@pytest.mark.parametrize("choice", [Activation("tanh"), Activation("srs", True), Activation("relu6")])
def test_a_design_is_profiled_as_its_network(schemes, choice):
    design = Design("resnet20", schemes=schemes, activations=(("layer1.*", choice), ("relu", choice)))
    built = profile(build_network(design, SHAPE), SHAPE.input).layers
    layers = tuple(found for found in built if not found.name.endswith(".range"))  # modules of converted layers
    assert profile_design(design, DIGITS).layers == layers


def layer(design, name):
    return next(found for found in profile_design(design, DIGITS).layers if found.name == name)


def test_what_an_activation_costs():
    """A table where bytes are written, arithmetic where floats or wider integers are, nothing for a clamp."""
    tanh = (("1", Activation("tanh", True)),)
    values_out = 6 * 8 * 8
    in_bytes = layer(Design("lenet5", schemes=(("*", Uniform(8, 8)),), activations=tanh), "1")
    assert (in_bytes.fused, in_bytes.ops, in_bytes.parameter_bytes) == (False, values_out, 256)
    for schemes in ((), (("*", Shift("Q", 4, 16, 16)),)):
        counted = layer(Design("lenet5", schemes=schemes, activations=tanh), "1")
        operations = operations_of(Activation("tanh")) + 2
        assert (counted.fused, counted.ops, counted.parameter_bytes) == (False, values_out * operations, 8)
    for name in CLAMPS:
        free = layer(Design("lenet5", activations=(("1", Activation(name)),)), "1")
        assert (free.fused, free.ops, free.parameter_bytes) == (True, 0, 0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_only_clamps_are_free(name):
    assert (operations_of(Activation(name)) == 0) == (name in CLAMPS)
    assert operations_of(Activation(name, True)) >= max(1, operations_of(Activation(name)))


@pytest.mark.parametrize("name", ACTIVATIONS)
@pytest.mark.parametrize("trained", [False, True])
def test_packed_networks_look_activations_up(name, trained):
    """The table holds the function of every byte, so that the look-up is exact on the map of integers."""
    torch.manual_seed(0)
    plain = nn.Sequential(
        *(nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(), nn.Flatten(), nn.Linear(6 * 64, 5)),
    )
    model = set_activations(plain, (("2", Activation(name, trained)),))
    if trained:
        with torch.no_grad():
            model.get_submodule("2").scales.mul_(0.9)
    model = settled(model, X)
    network, _ = packed(model, X)
    assert difference(model, network, X) < 0.06
    tables = [step for step in network.steps if isinstance(step, Lookup)]
    if name in CLAMPS and not trained:
        assert tables == []
        return
    (table,) = tables
    before = network.steps[table.sources[0]].grid
    assert table.grid is not None
    inputs = (torch.arange(256.0) - before.zero) * 2.0**before.exponent
    with torch.no_grad():
        exact = model.get_submodule("2")(inputs).numpy() * 2.0**-table.grid.exponent
    expected = np.clip(np.round(exact) + table.grid.zero, 0, 255)
    np.testing.assert_array_equal(table.table, expected.astype(np.uint8))


def test_copies_keep_what_they_compute():
    activation = ScaledActivation(Activation("acon", True))
    with torch.no_grad():
        activation.scales.mul_(2)
    x = normalised(X)
    assert torch.equal(copy.deepcopy(activation)(x), activation(x))
