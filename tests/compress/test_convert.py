import copy

import pytest
import torch
from torch import nn

from greenshift.compress import Depth, Shift, Uniform, convert
from greenshift.errors import InputError


class Net(nn.Module):
    """Two convolutions, one of them shared by two names, and a head."""

    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, padding=1)
        self.body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False), nn.BatchNorm2d(4), nn.ReLU())
        self.again = self.body[0]
        self.head = nn.Linear(4, 5)

    def forward(self, x):
        x = self.again(self.body(self.stem(x)))
        return self.head(x.mean((2, 3)))


X = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def scheme_names(report):
    return {layer.name: type(layer.scheme).__name__ for layer in report.layers}


def test_leaves_the_callers_model_untouched():
    model = Net().train()
    before = copy.deepcopy(model.state_dict())
    converted, _ = convert(model, {"*": Shift("Q")}, X)
    assert type(model.stem) is nn.Conv2d
    assert model.training
    assert converted.training
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("stem", {"stem"}),
        ("body.*", {"body.0"}),
        (Depth(1), {"body.0", "head"}),
        ("@output:1", {"body.0", "head"}),
        (Depth(1, "input"), {"stem", "head"}),
        (Depth(9), {"stem", "body.0", "head"}),
    ],
)
def test_selects_by_name_glob_and_depth(key, expected):
    _, report = convert(Net(), {key: Shift("PS")}, X)
    assert {layer.name for layer in report.converted} == expected
    assert len(report.layers) == 3


def test_first_matching_key_decides():
    _, report = convert(Net(), {"head": Uniform(), "*": Shift("Q")}, X)
    assert scheme_names(report) == {"stem": "Shift", "body.0": "Shift", "head": "Uniform"}


def test_a_shared_layer_stays_shared():
    converted, _ = convert(Net(), {"*": Shift("Q")}, X)
    assert converted.again is converted.body[0]


def test_q_conversion_at_many_bits_stays_near_the_float_network():
    model = Net().eval()
    converted, _ = convert(model, {"*": Shift("Q", 8)}, X)
    assert (converted(X) - model(X)).abs().max() < 0.5 * model(X).abs().max()


def test_works_on_a_bare_layer():
    layer, _ = convert(nn.Linear(4, 2), {"*": Shift("PS")}, torch.zeros(1, 4))
    assert set(dict(layer.named_parameters())) == {"shift", "sign", "bias"}


def test_subclasses_are_left_alone_with_a_reason():
    class Odd(nn.Conv2d):
        pass

    model = nn.Sequential(Odd(3, 4, 3), nn.Conv2d(4, 2, 3))
    _, report = convert(model, {"*": Shift("Q")}, X)
    assert report.layers[0].scheme is None
    assert "Odd" in report.layers[0].reason
    with pytest.raises(InputError, match=r"no layer was converted.*Odd"):
        convert(model, {"0": Shift("Q")}, X)


@pytest.mark.parametrize(
    ("schemes", "message"),
    [
        ({"nothing*": Shift("Q")}, "'nothing\\*' selects no layer; .* stem"),
        ({"@end:3": Shift("Q")}, "neither @output:N nor @input:N"),
        ({Depth(0): Shift("Q")}, "selects no layer"),
    ],
)
def test_keys_that_select_nothing_are_errors(schemes, message):
    with pytest.raises(InputError, match=message):
        convert(Net(), schemes, X)


def test_a_model_that_does_not_run_is_an_error():
    with pytest.raises(InputError, match="given model does not run"):
        convert(Net(), {"*": Shift("Q")}, torch.zeros(1, 7, 8, 8))


@pytest.mark.parametrize(
    "arguments", [("X",), ("Q", 1), ("Q", 9), ("Q", 4, 0), ("Q", 4, 33), ("Q", 4, 4, -1), ("Q", 4, 4, 4, "up")]
)
def test_shift_refuses_bad_values(arguments):
    with pytest.raises(InputError, match="shift:"):
        Shift(*arguments)
