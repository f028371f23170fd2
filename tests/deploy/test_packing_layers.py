"""Every layer that can be packed, in small networks next to their float forms; and those that cannot."""

import numpy as np
import pytest
import torch
from packing_models import difference, images, packed, settled
from torch import nn
from torch.nn import functional

from greenshift.deploy.network import AveragePooling, Convolution, Lookup, MaxPooling, Subsampling
from greenshift.deploy.packing import to_network
from greenshift.errors import InputError

X = images()


class Net(nn.Module):
    """A stem, a function of its map, and a classifier; `parts` are modules the function may use."""

    def __init__(self, middle, features=8, **parts):
        super().__init__()
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8), nn.ReLU())
        self.middle = middle
        self.parts = nn.ModuleDict(parts)
        self.head = nn.Linear(features, 5)
        self.pools = features < 100 and "f" not in parts

    def forward(self, x):
        y = self.middle(self.stem(x), **self.parts)
        return self.head(torch.flatten(y.mean((2, 3)) if self.pools else y, 1))


conv, norm, full, same, F = nn.Conv2d, nn.BatchNorm2d, nn.Linear, nn.Identity, functional


def inplace_sum(x, a, b):
    y = a(x)
    y += b(x)
    return functional.relu(y, inplace=True)


def overwritten(x, a):
    """The ReLU overwrites the convolution's map, which is read again after it."""
    y = a(x)
    z = functional.relu_(y)
    return y + z


def reused(x, a):
    """A map that is read before and after its ReLU, and one layer twice."""
    y = a(x)
    return functional.relu(y) + a(functional.relu(y)) + y


MIDDLES = {
    "conv": (lambda x, a: a(x), 8, {"a": conv(8, 8, 3, padding=1)}),
    "conv 1x1 stride 2": (lambda x, a: a(x), 6, {"a": conv(8, 6, 1, stride=2)}),
    "conv odd": (lambda x, a: a(x), 7, {"a": conv(8, 7, (3, 2), stride=(2, 1), padding=(1, 0))}),
    "conv same": (lambda x, a: a(x), 4, {"a": conv(8, 4, 4, padding="same")}),
    "conv valid": (lambda x, a: a(x), 4, {"a": conv(8, 4, 3, padding="valid")}),
    "conv dilated": (lambda x, a: a(x), 4, {"a": conv(8, 4, 3, dilation=2, padding=2)}),
    "conv depthwise": (lambda x, a: a(x), 8, {"a": conv(8, 8, 3, padding=1, groups=8)}),
    "conv grouped": (lambda x, a: a(x), 4, {"a": conv(8, 4, 3, padding=1, groups=2)}),
    "batch norm": (lambda x, a, b: b(a(x)), 8, {"a": conv(8, 8, 3), "b": norm(8)}),
    "two batch norms": (lambda x, a, b, c: c(b(a(x))), 8, {"a": conv(8, 8, 3), "b": norm(8), "c": norm(8)}),
    "batch norm alone": (lambda x, b: F.relu(b(x)), 8, {"b": norm(8)}),
    "batch norm after relu": (lambda x, a, b: b(F.relu(a(x))), 8, {"a": conv(8, 8, 3), "b": norm(8, affine=False)}),
    "batch norm of a shared map": (lambda x, a, b: F.relu(b(y := a(x))) + y, 8, {"a": conv(8, 8, 3), "b": norm(8)}),
    "relu6": (lambda x, a: F.relu6(3 * a(x)), 8, {"a": conv(8, 8, 3)}),
    "relu6 of sum": (lambda x, r: r(x + x), 8, {"r": nn.ReLU6()}),
    "hardtanh": (lambda x, a, r: r(a(x)), 8, {"a": conv(8, 8, 3), "r": nn.Hardtanh(-0.25, 0.5)}),
    "clamp": (lambda x, a: a(x).clamp(min=-0.125), 8, {"a": conv(8, 8, 3)}),
    "clamp twice": (lambda x, a: torch.clamp(F.relu(a(x)), 0.1, max=0.4), 8, {"a": conv(8, 8, 3)}),
    "relu of a pooling": (lambda x, a: F.relu(F.max_pool2d(a(x), 2)), 8, {"a": conv(8, 8, 3)}),
    "leaky relu": (lambda x, a, r: r(a(x)), 8, {"a": conv(8, 8, 3), "r": nn.LeakyReLU(0.2, inplace=True)}),
    "prelu": (lambda x, a, r: r(a(x)), 8, {"a": conv(8, 8, 3), "r": nn.PReLU()}),
    "silu": (lambda x, a: F.silu(a(x)), 8, {"a": conv(8, 8, 3)}),
    "gelu": (lambda x, a, r: r(a(x)), 8, {"a": conv(8, 8, 3), "r": nn.GELU()}),
    "hardswish": (lambda x, a, r: r(a(x)), 8, {"a": conv(8, 8, 3), "r": nn.Hardswish()}),
    "numbers": (lambda x, a: (1 - (a(x) * 2 + 1).sigmoid()) / 3, 8, {"a": conv(8, 8, 3)}),
    "elu": (lambda x, a, r: r(a(x)), 8, {"a": conv(8, 8, 3), "r": nn.ELU()}),
    "mish": (lambda x, a, r: r(a(x)), 8, {"a": conv(8, 8, 3), "r": nn.Mish()}),
    "sigmoid, tanh": (lambda x, a: torch.tanh(a(x).sigmoid()), 8, {"a": conv(8, 8, 3)}),
    "swish by hand": (lambda x, a: (y := a(x)) * y.sigmoid(), 8, {"a": conv(8, 8, 3)}),
    "hardswish by hand": (lambda x, a: (y := a(x)) * F.relu6(y + 3) / 6, 8, {"a": conv(8, 8, 3)}),
    "square": (lambda x, a: (y := a(x)) * y, 8, {"a": conv(8, 8, 3)}),
    "sum": (lambda x, a, b: a(x) + b(x), 8, {"a": conv(8, 8, 1), "b": conv(8, 8, 1)}),
    "torch.add": (lambda x, a: torch.add(a(x), x), 8, {"a": conv(8, 8, 1)}),
    "sum in place": (inplace_sum, 8, {"a": conv(8, 8, 1), "b": conv(8, 8, 1)}),
    "overwritten": (overwritten, 8, {"a": conv(8, 8, 1)}),
    "reused": (reused, 8, {"a": conv(8, 8, 1)}),
    "cat": (lambda x, a, b: torch.cat([a(x), F.relu(b(x)), x], 1), 17, {"a": conv(8, 4, 1), "b": conv(8, 5, 1)}),
    "max pool": (lambda x, p: p(x), 8, {"p": nn.MaxPool2d(3, 2, 1)}),
    "max pool ceil": (lambda x, a: F.max_pool2d(a(x), 2, ceil_mode=True), 8, {"a": conv(8, 8, 2)}),
    "max pool of negatives": (lambda x, a, p: p(a(x)), 8, {"a": conv(8, 8, 1), "p": nn.MaxPool2d(3, 1, 1)}),
    "adaptive max pool": (lambda x, p: p(x), 8, {"p": nn.AdaptiveMaxPool2d(2)}),
    "average pool": (lambda x, p: p(x), 8, {"p": nn.AvgPool2d(2)}),
    "average pool function": (lambda x: F.avg_pool2d(x, (3, 2), stride=1), 8, {}),
    "adaptive average pool": (lambda x, p: p(x), 8, {"p": nn.AdaptiveAvgPool2d((2, 4))}),
    "mean": (lambda x: x.mean(dim=[-1, -2], keepdim=True), 8, {}),
    "flatten": (lambda x, a: torch.flatten(a(x), 1), 5 * 36, {"a": conv(8, 5, 3)}),
    "view": (lambda x, a: (y := a(x)).view(y.size(0), -1), 5 * 36, {"a": conv(8, 5, 3)}),
    "reshape": (lambda x, a: a(x).reshape(-1, 5 * 6 * 6), 5 * 36, {"a": conv(8, 5, 3)}),
    "linear": (lambda x, f, a, b: b(F.relu(a(f(x)))), 9, {"f": nn.Flatten(), "a": full(512, 12), "b": full(12, 9)}),
    "batch norm 1d": (lambda x, f, a, b: b(a(f(x))), 9, {"f": nn.Flatten(), "a": full(512, 9), "b": nn.BatchNorm1d(9)}),
    "dropout, identity": (lambda x, d, i: F.dropout(i(d(x)), 0.5, False), 8, {"d": nn.Dropout(), "i": same()}),
    "identity before batch norm": (lambda x, a, i, b: b(i(a(x))), 8, {"a": conv(8, 8, 1), "i": same(), "b": norm(8)}),
    "slice": (lambda x: x[:, :, ::2, ::2], 8, {}),
    "shortcut": (lambda x: F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, 4, 3)), 15, {}),
    "unused layer": (lambda x, a: (a(x), x)[1], 8, {"a": conv(8, 8, 1)}),
}  # fmt: skip


@pytest.mark.parametrize("name", MIDDLES)
def test_a_packed_network_is_close_to_the_float_one(name):
    torch.manual_seed(3)
    middle, features, parts = MIDDLES[name]
    for part in parts.values():
        if isinstance(part, nn.Conv2d | nn.Linear):
            part.reset_parameters()
    model = settled(Net(middle, features, **parts), X)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    network, report = packed(model, X)
    assert difference(model, network, X) < 0.06
    assert set(report.int8_layers) == {layer.name for layer in report.layers}
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    assert len({step.name for step in network.steps}) == len(network.steps)


def test_what_can_be_merged_is_merged():
    torch.manual_seed(0)
    middle, features, parts = MIDDLES["batch norm"]
    network, report = packed(settled(Net(middle, features, **parts), X), X)
    assert [type(step).__name__ for step in network.steps] == [
        *("Input", "Convolution", "Convolution", "AveragePooling", "Convolution"),
    ]
    assert [step.name for step in network.convolutions] == ["stem.0", "parts.a", "head"]
    assert {"stem.1", "stem.2", "parts.b"} <= set(report.merged)


def test_a_slice_and_its_padding_are_one_step():
    network, _ = packed(settled(Net(*MIDDLES["shortcut"][:2]), X), X)
    steps = [step for step in network.steps if isinstance(step, Subsampling)]
    assert [(step.stride, step.before, step.shape) for step in steps] == [(2, 4, (4, 4, 15))]


def test_layers_that_run_twice_have_two_names():
    middle, features, parts = MIDDLES["reused"]
    network, _ = packed(settled(Net(middle, features, **parts), X), X)
    names = [step.name for step in network.convolutions]
    assert names == ["stem.0", "parts.a", "parts.a:2", "head"]


def test_relu6_saturates_at_six():
    model = settled(Net(lambda x, a: functional.relu6(40 * a(x)), 8, a=conv(8, 8, 3)), X)
    step = next(s for s in packed(model, X)[0].steps if s.name.startswith("relu6") or isinstance(s, Lookup))
    assert step.grid is not None
    values = (step.table.astype(float) - step.grid.zero) * 2.0**step.grid.exponent if isinstance(step, Lookup) else None
    assert values is not None
    assert values.max() <= 6.0
    fused = settled(Net(lambda x, a: functional.relu6(a(x)), 8, a=conv(8, 8, 3)), X)
    with torch.no_grad():
        fused.parts["a"].weight.mul_(40)
    step = next(s for s in packed(fused, X)[0].steps if s.name == "parts.a")
    assert isinstance(step, Convolution)
    assert (step.grid.zero, step.low) == (0, 0)
    assert (step.high - step.grid.zero) * 2.0**step.grid.exponent == 6.0


def test_a_clamp_on_a_shared_grid_starts_at_its_zero():
    """Of two joined maps one is never negative; both are on the grid of the other."""
    middle, features, parts = MIDDLES["cat"]
    network, _ = packed(settled(Net(middle, features, **parts), X), X)
    relu = next(step for step in network.steps if step.name == "parts.b")
    assert isinstance(relu, Convolution)
    assert relu.grid.zero == relu.low == 128


def test_a_model_that_ends_in_a_pooling_gets_logits():
    torch.manual_seed(0)
    model = settled(nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten()), X)
    network, _ = packed(model, X)
    assert difference(model, network, X) < 0.06
    assert isinstance(network.steps[-2], AveragePooling)
    assert network.steps[-1].weight.size == 5


def test_a_model_that_ends_in_a_clamp_keeps_it():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 5, 8), nn.Flatten(), nn.ReLU())
    network, _ = packed(model, X)
    assert difference(model, network, X) < 0.06


def test_max_pooling_keeps_the_grid():
    middle, features, parts = MIDDLES["max pool of negatives"]
    network, _ = packed(settled(Net(middle, features, **parts), X), X)
    (step,) = (step for step in network.steps if isinstance(step, MaxPooling))
    assert network.steps[step.sources[0]].grid == step.grid
    assert step.grid.zero == 128


class Scaled(nn.Conv2d):
    def forward(self, input):  # noqa: A002
        return 2 * super().forward(input)


class Branching(nn.Module):
    def forward(self, x):
        return x if x.sum() > 0 else -x


REFUSED = {
    "transposed": (nn.ConvTranspose2d(3, 4, 2), r"0 \(ConvTranspose2d\) is not supported .*; replace it"),
    "own class": (Scaled(3, 4, 3), r"0 \(Scaled\) its class may compute something else"),
    "instance norm": (nn.InstanceNorm2d(3), r"0 \(InstanceNorm2d\) is not supported"),
    "padding": (nn.Conv2d(3, 4, 3, padding=1, padding_mode="reflect"), "0 .* padding with reflect"),
    "prelu": (nn.PReLU(3), r"0 \(PReLU\) is not supported"),
    "average padding": (nn.AvgPool2d(3, 2, 1), "without padding"),
    "adaptive": (nn.AdaptiveAvgPool2d(3), "pools 8x8 to 3x3"),
    "statistics": (nn.BatchNorm2d(3, track_running_stats=False), "no running statistics"),
    "softmax": (nn.Sequential(nn.Flatten(), nn.Softmax(1)), "largest one is the class"),
    "branches": (Branching(), "cannot be traced .*must not branch"),
    "maps": (nn.Conv2d(3, 4, 3), "a map of .* instead of logits"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_cannot_be_packed_is_refused_by_name(name):
    layer, message = REFUSED[name]
    with pytest.raises(InputError, match=message) as refusal:
        packed(nn.Sequential(layer).eval(), X)
    assert "\n" not in str(refusal.value)


class Function(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.constant = nn.Parameter(torch.ones(3, 1, 1))
        self.conv = nn.Conv2d(3, 3, 1)

    def forward(self, x):
        return self.function(self, x)


FUNCTIONS = {
    "product": (lambda m, x: x * m.conv(x).sigmoid(), r"mul \(mul\) is supported for functions of one map"),
    "gate": (lambda _, x: x * x.mean((2, 3), keepdim=True).sigmoid(), r"mul \(mul\) of maps of different shapes"),
    "constant": (lambda m, x: x * m.constant, "computes with a constant tensor"),
    "difference": (lambda m, x: m.conv(x) - x, "sum of two maps"),
    "broadcast": (lambda m, x: m.conv(x) + x.mean((2, 3), keepdim=True), "of one shape"),
    "weighted sum": (lambda m, x: torch.add(m.conv(x), x, alpha=2), "plain sum"),
    "rows joined": (lambda _, x: torch.cat([x, x], 2), "along the channels"),
    "crop": (lambda _, x: x[:, :, 1:, 1:], "every n-th row"),
    "border": (lambda _, x: functional.pad(x, (1, 1, 1, 1)), "zero channels only"),
    "mixed axes": (lambda _, x: x.reshape(x.shape[0], 8, 3, 8), "flattening"),
    "mean of channels": (lambda _, x: x.mean(1, keepdim=True), "over height and width"),
    "resized": (lambda _, x: functional.interpolate(x, scale_factor=2), "interpolate"),
    "dropout": (lambda _, x: functional.dropout(x), "evaluation mode too"),
    "two outputs": (lambda m, x: (x, m.conv(x)), "one tensor of logits"),
    "fixed batch": (lambda _, x: x.view(1, -1), "."),
    "wrong size": (lambda _, x: x.view(x.size(0), 17), "does not run on the example inputs"),
}


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions_that_cannot_be_packed_are_refused_by_name(name):
    function, message = FUNCTIONS[name]
    with pytest.raises(InputError, match=message) as refusal:
        packed(Function(function), X)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    ("given", "options", "message"),
    [
        (X * 2 - 1, {}, r"reach from -0\.\d+ to \S+; give images from 0 to 1, .* as mean and std"),
        (X * 255, {}, "reach from"),
        (X * float("nan"), {}, "reach from"),
        ((X * 255).to(torch.uint8), {}, "divide bytes by 255"),
        (X[0], {}, "images .N, C, H, W."),
        (X[:0], {}, "images .N, C, H, W."),
        (X, {"mean": (0.5,) * 3}, "together"),
        (X, {"mean": (0.5,), "std": (0.5,)}, "one number for each of 3 channels"),
        (X, {"mean": (0.5,) * 3, "std": (0.0,) * 3}, "std above 0"),
    ],
)
def test_example_inputs_that_are_no_images(given, options, message):
    with pytest.raises(InputError, match=message):
        to_network(Net(lambda x: x), given, **options)


def test_normalisation_goes_into_the_table():
    torch.manual_seed(0)
    model = settled(Net(lambda x: x), X)
    network, _ = packed(model, X)
    grid, table = network.input.grid, network.input.table.astype(float)
    values = (table - grid.zero) * 2.0**grid.exponent
    wanted = (np.arange(256) / 255 - np.array([[0.4], [0.5], [0.6]])) / np.array([[0.2], [0.25], [0.3]])
    inside = (table > 0) & (table < 255)
    assert np.abs(values - wanted)[inside].max() <= 2.0 ** (grid.exponent - 1) + 1e-6
    assert inside.mean() > 0.5
