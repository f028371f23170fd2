import pytest
import torch
from torch import nn

from greenshift.errors import InputError
from greenshift.models import build_model, model_names, registry
from greenshift.models.layers import deepened, halvings

NAMES = (
    *("birealnet20", "googlenet", "lenet5", "mobilenetv2", "resnet20", "resnet32", "resnet56"),
    *("tiny_cnn", "vgg16", "vgg19"),
)
CONVOLUTIONS = {
    "birealnet20": 19,
    "googlenet": 64,
    "lenet5": 2,
    "mobilenetv2": 52,
    "resnet20": 19,
    "resnet32": 31,
    "resnet56": 55,
    "tiny_cnn": 4,
    "vgg16": 13,
    "vgg19": 16,
}
PARAMETERS = {"lenet5": 62_006, "resnet20": 269_722, "resnet56": 853_018, "vgg16": 14_724_042}


def build_on_meta(name, **changes):
    arguments = {"num_classes": 10, "in_channels": 3, "image_size": 32, **changes}
    with torch.device("meta"):
        return build_model(name, **arguments)


def count(model):
    return sum(p.numel() for p in model.parameters())


def last_map(model, size, channels=3):
    """Height and width of what enters the global average, or is flattened where there is none."""
    shapes = []
    pool = next(m for m in model.modules() if isinstance(m, nn.AdaptiveAvgPool2d | nn.Flatten))
    pool.register_forward_hook(lambda _module, inputs, _output: shapes.append(tuple(inputs[0].shape[2:])))
    model(torch.zeros(2, channels, size, size, device="meta"))
    return shapes[0]


def test_names():
    assert model_names() == NAMES


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("size", [8, 9, 15, 16, 28, 32, 33, 64])
def test_every_image_size_gives_logits_and_maps_that_hold_something(name, size):
    model = build_on_meta(name, image_size=size, in_channels=1, num_classes=7)
    assert model(torch.zeros(2, 1, size, size, device="meta")).shape == (2, 7)
    assert last_map(model, size, 1)[0] >= (1 if name.startswith("vgg") else 2)


@pytest.mark.parametrize(
    ("name", "size", "expected"),
    [
        ("resnet20", 32, 8),
        ("resnet20", 8, 2),
        ("googlenet", 32, 8),
        ("lenet5", 32, 5),
        ("lenet5", 28, 5),
        ("lenet5", 8, 2),
        ("mobilenetv2", 32, 4),
        ("mobilenetv2", 8, 2),
        ("tiny_cnn", 32, 8),
        ("tiny_cnn", 8, 4),
        ("vgg16", 32, 1),
        ("vgg16", 64, 2),
        ("vgg19", 28, 1),
    ],
)
def test_last_maps(name, size, expected):
    assert last_map(build_on_meta(name, image_size=size), size) == (expected, expected)


@pytest.mark.parametrize(
    ("size", "wanted", "smallest", "expected"),
    [
        (32, 5, 1, (2, 2, 2, 2, 2)),
        (28, 5, 1, (2, 2, 2, 2, 2)),
        (8, 5, 1, (1, 1, 2, 2, 2)),
        (8, 3, 2, (1, 2, 2)),
        (9, 2, 4, (1, 2)),
        (64, 2, 2, (2, 2)),
    ],
)
def test_halvings_are_saved_at_the_input(size, wanted, smallest, expected):
    assert halvings(size, wanted, smallest) == expected


@pytest.mark.parametrize("name", NAMES)
def test_layers_are_modules_that_hooks_see(name):
    model = build_on_meta(name)
    seen = set()
    for layer_name, module in model.named_modules():
        if not list(module.children()):
            module.register_forward_hook(lambda *_, layer_name=layer_name: seen.add(layer_name))
    model(torch.zeros(2, 3, 32, 32, device="meta"))
    leaves = {n for n, m in model.named_modules() if not list(m.children())}
    assert seen == leaves
    kinds = [type(m) for m in model.modules()]
    assert kinds.count(nn.Conv2d) == CONVOLUTIONS[name]
    assert kinds.count(nn.BatchNorm2d) == (0 if name == "lenet5" else CONVOLUTIONS[name])
    assert kinds.count(nn.Linear) == (3 if name == "lenet5" else 1)
    assert not any(isinstance(m, nn.ReLU) and m.inplace for m in model.modules())


def test_every_resnet_block_has_its_own_activations():
    relus = [m for m in build_on_meta("resnet20").modules() if isinstance(m, nn.ReLU)]
    assert len(relus) == 19


@pytest.mark.parametrize("name", PARAMETERS)
def test_parameter_counts_of_the_papers_networks(name):
    assert count(build_on_meta(name)) == PARAMETERS[name]


def test_tiny_is_tiny():
    assert 20_000 < count(build_on_meta("tiny_cnn", in_channels=1)) < 40_000


@pytest.mark.parametrize("name", NAMES)
def test_width_scales_channels(name):
    whole, half, sliver = (count(build_on_meta(name, width=width)) for width in (1.0, 0.5, 0.01))
    assert sliver < half < whole
    assert 0.2 < half / whole < 0.4
    model = build_on_meta(name, width=0.7)
    assert model(torch.zeros(2, 3, 32, 32, device="meta")).shape == (2, 10)
    convolutions = [m for m in model.modules() if isinstance(m, nn.Conv2d)]
    assert all(m.out_channels % 4 == 0 for m in convolutions)


@pytest.mark.parametrize(
    ("name", "half", "twice"),
    [
        ("googlenet", 37, 128),
        ("mobilenetv2", 35, 103),
        ("resnet20", 14, 38),
        ("resnet56", 32, 110),
        ("tiny_cnn", 5, 9),
        ("vgg16", 9, 27),
    ],
)
def test_depth_multiplies_the_blocks_of_every_stage(name, half, twice):
    for depth, expected in ((0.5, half), (1.0, CONVOLUTIONS[name] + 1), (2.0, twice)):
        model = build_on_meta(name, depth=depth)
        assert sum(isinstance(m, nn.Conv2d | nn.Linear) for m in model.modules()) == expected
        assert model(torch.zeros(2, 3, 32, 32, device="meta")).shape == (2, 10)
        assert last_map(model, 32) == last_map(build_on_meta(name), 32)


@pytest.mark.parametrize("name", sorted({*NAMES} - {"lenet5"}))
def test_one_block_a_stage_stays(name):
    least, less = (count(build_on_meta(name, depth=depth)) for depth in (0.01, 0.1))
    assert least == less > 0


def test_a_network_without_blocks_has_no_depth():
    with pytest.raises(InputError, match="model lenet5: it has no depth multiplier; use depth 1"):
        build_on_meta("lenet5", depth=0.5)


@pytest.mark.parametrize(
    ("blocks", "depth", "expected"), [(3, 1, 3), (3, 0.5, 2), (9, 0.5, 5), (2, 1.25, 3), (2, 1.2, 2), (1, 0.1, 1)]
)
def test_blocks_are_rounded_halves_up(blocks, depth, expected):
    assert deepened(blocks, depth) == expected


def test_a_builder_without_depth_is_built_at_depth_1_only(monkeypatch):
    monkeypatch.setattr(registry, "_BUILDERS", {})
    registry.register("flat")(lambda num_classes, **_: nn.Linear(4, num_classes))
    assert isinstance(build_model("flat", num_classes=2, in_channels=1, image_size=8), nn.Linear)
    with pytest.raises(InputError, match="model flat: it has no depth multiplier; use depth 1"):
        build_model("flat", num_classes=2, in_channels=1, image_size=8, depth=0.5)


def test_the_same_seed_gives_the_same_weights():
    models = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        models.append(build_model("tiny_cnn", num_classes=10, in_channels=1, image_size=8))
    first, second, third = (torch.cat([p.flatten() for p in m.parameters()]) for m in models)
    assert torch.equal(first, second)
    assert not torch.equal(first, third)


def test_option_a_shortcut_keeps_pixels_and_pads_channels_on_both_sides():
    model = build_model("resnet20", num_classes=10, in_channels=3, image_size=32)
    x = torch.randn(1, 16, 6, 6)
    y = model.layer2[0].shortcut(x)
    assert y.shape == (1, 32, 3, 3)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert y[:, :8].abs().sum() == y[:, 24:].abs().sum() == 0


@pytest.mark.parametrize(
    ("name", "changes", "message"),
    [
        ("resnet21", {}, "did you mean .*resnet20"),
        ("nothing", {}, "known: birealnet20, googlenet"),
        ("resnet20", {"width": 0.0}, "width must be a number above 0, not 0"),
        ("resnet20", {"width": float("nan")}, "width must be"),
        ("resnet20", {"depth": 0.0}, "depth must be a number above 0, not 0"),
        ("resnet20", {"num_classes": 0}, "num_classes must be at least 1, not 0"),
        ("resnet20", {"in_channels": 0}, "in_channels"),
        ("vgg16", {"image_size": 7}, "image_size must be at least 8 pixels, not 7"),
    ],
)
def test_bad_input_is_refused_in_one_line(name, changes, message):
    with pytest.raises(InputError, match=message) as caught:
        build_on_meta(name, **changes)
    assert "\n" not in str(caught.value)


def test_a_name_cannot_be_registered_twice():
    with pytest.raises(ValueError, match="'resnet20' is registered already"):
        registry.register("resnet20")(lambda **_: nn.Identity())
