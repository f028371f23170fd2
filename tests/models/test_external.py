import sys
import types

import pytest
import torch
from torch import nn

from greenshift.errors import InputError
from greenshift.models import build_model

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, in_channels, num_classes, hidden=8):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, hidden, 3)
        self.drop = nn.Dropout(0.5)
        self.linear = nn.Linear(hidden, num_classes)

    @classmethod
    def small(cls, in_channels, num_classes):
        return cls(in_channels, num_classes, hidden=2)

    def forward(self, x):
        return self.linear(self.drop(self.conv(x).mean((2, 3))))

def wide(num_classes, in_channels, image_size, width):
    return Net(in_channels, num_classes, hidden=int(8 * width))

def everything(**options):
    assert sorted(options) == ["image_size", "in_channels", "num_classes", "width"]
    return Net(options["in_channels"], options["num_classes"])

def bare():
    return Net(3, 10)

def needy(num_classes, depth):
    return Net(3, num_classes)

def failing():
    raise RuntimeError("two\\nlines")

def no_network():
    return "text"

def lazy(num_classes):
    return nn.Sequential(nn.Flatten(), nn.LazyLinear(num_classes))

def pair(num_classes, in_channels):
    class Pair(Net):
        def forward(self, x):
            return super().forward(x), x
    return Pair(in_channels, num_classes)

network = Net(3, 10)
number = 3
"""


@pytest.fixture(autouse=True)
def user_module(tmp_path, monkeypatch):
    """A module of the user's in the current directory."""
    (tmp_path / "usernets.py").write_text(MODULE)
    (tmp_path / "broken_nets.py").write_text("import no_such_package\n")
    monkeypatch.chdir(tmp_path)
    yield
    sys.modules.pop("usernets", None)


def build(name, **changes):
    return build_model(name, **{"num_classes": 10, "in_channels": 3, "image_size": 12, **changes})


@pytest.mark.parametrize("factory", ["Net", "everything", "bare", "Net.small", "lazy"])
def test_factories_get_what_they_accept(factory):
    before = list(sys.path)
    model = build(f"usernets:{factory}")
    assert isinstance(model, nn.Module)
    assert model.training
    assert model(torch.zeros(2, 3, 12, 12)).shape == (2, 10)
    assert sys.path == before


def test_width_reaches_a_factory_that_accepts_it():
    assert build("usernets:wide", width=0.5).conv.out_channels == 4


def test_installed_packages_work_and_meta_allocates_nothing():
    with torch.device("meta"):
        model = build("usernets:Net")
    assert model.conv.weight.is_meta


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("usernets:Net", {"width": 0.5}, "does not accept 'width'"),
        ("usernets:Net", {"depth": 0.5}, "networks from elsewhere have no depth multiplier; use depth 1"),
        ("timm:resnet18", {"depth": 2}, "networks from elsewhere have no depth multiplier"),
        ("usernets:Nett", {}, "has no 'Nett'; did you mean Net"),
        ("usernets:", {}, "has no ''"),
        ("no_such_module:x", {}, "'no_such_module' cannot be imported"),
        ("broken_nets:x", {}, "'broken_nets' cannot be imported.*no_such_package"),
        (":x", {}, "cannot be imported"),
        ("usernets:network", {}, "is a network; name a function or class"),
        ("usernets:number", {}, "is a int"),
        ("usernets:needy", {}, "depth"),
        ("usernets:failing", {}, "RuntimeError: two lines"),
        ("usernets:no_network", {}, "gave a str, not a torch.nn.Module"),
        ("usernets:bare", {"num_classes": 7}, r"gives \(1, 10\), not logits of shape \(1, 7\)"),
        ("usernets:bare", {"in_channels": 1}, "does not take an image of 1x12x12"),
        ("usernets:pair", {}, "gives tuple"),
    ],
)
def test_what_is_wrong_is_said_in_one_line(name, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        build(name, **changes)
    assert "\n" not in str(caught.value)
    assert name in str(caught.value)


def test_missing_timm_names_the_command(monkeypatch):
    monkeypatch.setitem(sys.modules, "timm", None)
    with pytest.raises(InputError, match=r"needs timm: pip install 'greenshift\[timm\]'"):
        build("timm:resnet18")


@pytest.fixture
def stand_in_timm(monkeypatch):
    """Stands in for timm with two networks, of which one needs the image size."""
    calls = []

    def create_model(name, pretrained, **options):
        calls.append({"name": name, "pretrained": pretrained, **options})
        return nn.Sequential(
            nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(options["in_chans"], options["num_classes"])
        )

    module = types.ModuleType("timm")
    module.create_model = create_model
    module.list_models = lambda: ["resnet18", "vit_tiny"]
    module.models = types.SimpleNamespace(
        get_pretrained_cfg=lambda name: types.SimpleNamespace(fixed_input_size=name == "vit_tiny")
    )
    monkeypatch.setitem(sys.modules, "timm", module)
    return calls


@pytest.mark.usefixtures("stand_in_timm")
@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("timm:resnet_18", {}, "did you mean resnet18"),
        ("timm:qqqqqq", {}, r"timm.list_models\(\)"),
        ("timm:resnet18", {"width": 0.5}, "no width multiplier"),
    ],
)
def test_timm_input(name, changes, message):
    with pytest.raises(InputError, match=message):
        build(name, **changes)


def test_timm_gets_channels_classes_and_where_needed_the_size(stand_in_timm):
    build("timm:resnet18", in_channels=1)
    build("timm:vit_tiny.tag")
    assert stand_in_timm == [
        {"name": "resnet18", "pretrained": False, "num_classes": 10, "in_chans": 1},
        {"name": "vit_tiny.tag", "pretrained": False, "num_classes": 10, "in_chans": 3, "img_size": 12},
    ]


def test_the_real_timm():
    try:
        import timm  # noqa: F401
    except Exception as error:
        pytest.skip(f"timm cannot be imported: {error}")
    model = build_model("timm:resnet18", num_classes=5, in_channels=1, image_size=32)
    assert model(torch.zeros(2, 1, 32, 32)).shape == (2, 5)
