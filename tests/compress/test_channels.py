"""Channels that go: as many as the design says, those that matter least, and nothing else changes."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional

from greenshift.compress import convert, profile, prune, prune_channels
from greenshift.design import Design, Pruning
from greenshift.errors import InputError
from greenshift.models import build_model
from greenshift.networks import build_network, image_shape, profile_design
from greenshift.records import DataChoice
from greenshift.schemes import PowerOfTwo, Uniform

DIGITS = DataChoice("digits")
SHAPE = (3, 8, 8)
BACKBONES = ["tiny_cnn", "resnet20", "resnet56", "vgg16", "mobilenetv2", "googlenet"]
WEIGHTED = (nn.Conv2d, nn.Linear)


def channels(sparsity=0.5, **fields):
    return Pruning(sparsity, "channels", "one-shot", **fields)


def built(name, seed=0, width=1.0):
    torch.manual_seed(seed)
    return build_model(name, num_classes=10, in_channels=3, image_size=8, width=width).eval()


def shapes(model):
    return {name: tuple(value.shape) for name, value in model.state_dict().items()}


def weighted(model):
    return {name: module for name, module in model.named_modules() if isinstance(module, WEIGHTED)}


def costly(found):
    """The layers of a profile that cost something; the ranges of integer layers are no layers of a design."""
    return [layer for layer in found.layers if not layer.fused]


def pairs(model):
    """Convolutions by name, each with its norm: the layer that is registered after it."""
    modules = [(name, module) for name, module in model.named_modules() if not any(module.children())]
    following = zip(modules, [module for _, module in modules][1:], strict=False)
    return {name: (module, after) for (name, module), after in following if isinstance(module, nn.Conv2d)}


@pytest.mark.parametrize("sparsity", [0.25, 0.5, 0.75])
@pytest.mark.parametrize("name", BACKBONES)
def test_the_wanted_share_of_the_multiplications_goes_and_little_more(name, sparsity):
    whole = profile_design(Design(name), DIGITS)
    cut = profile_design(Design(name, pruning=channels(sparsity)), DIGITS)
    assert 0.95 * (1 - sparsity) <= cut.macs / whole.macs <= 1 - sparsity
    counts = [layer.output_shape[0] for layer in cut.layers if layer.kind == "conv"]
    assert all(count >= 4 and count % 4 == 0 for count in counts)
    assert cut.size_bytes < whole.size_bytes
    assert cut.layers[-1].output_shape == whole.layers[-1].output_shape == (10,)
    assert all(layer.sparsity == 0 for layer in cut.layers)


@pytest.mark.parametrize("name", ["tiny_cnn", "resnet20", "mobilenetv2", "googlenet"])
def test_a_profile_without_weights_is_that_of_the_network(name):
    design = Design(name, width=0.5, schemes=(("*", Uniform()),), pruning=channels())
    torch.manual_seed(1)
    found = profile(build_network(design, image_shape(DIGITS)), image_shape(DIGITS).input)
    assert costly(found) == costly(profile_design(design, DIGITS))


@pytest.mark.parametrize("name", BACKBONES)
def test_channels_of_zeros_leave_without_a_trace(name):
    """The network with zeros in place of what goes computes what the smaller one does, wherever it is joined."""
    model, x = built(name), torch.randn(4, *SHAPE)
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.uniform_(module.weight, 0.5, 1.5)
            nn.init.normal_(module.bias)
    removed = prune_channels(copy.deepcopy(model), channels(), SHAPE)
    with torch.no_grad():
        for layer, (conv, norm) in pairs(model).items():
            gone = list(removed.get(layer, ()))
            for tensor in (conv.weight, norm.weight, norm.bias):
                tensor[gone] = 0.0
        cut = copy.deepcopy(model)
        again = prune_channels(cut, channels(), SHAPE)
        before, after = model(x), cut(x)
    assert again == removed
    assert sum(value.numel() for value in cut.parameters()) < 0.7 * sum(value.numel() for value in model.parameters())
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-4 * float(before.abs().max()))
    # The check can fail: without the same zeros the networks differ.
    assert not torch.allclose(built(name)(x), after, rtol=1e-2)


@pytest.mark.parametrize("name", BACKBONES)
def test_how_many_go_follows_from_the_design_alone(name):
    first, second = built(name, seed=1), built(name, seed=2)
    one, other = (prune_channels(model, channels(0.4), SHAPE) for model in (first, second))
    assert shapes(first) == shapes(second)
    assert one != other
    assert {name: len(gone) for name, gone in one.items()} == {name: len(gone) for name, gone in other.items()}
    second.load_state_dict(first.state_dict())
    x = torch.randn(2, *SHAPE)
    assert torch.equal(first.eval()(x), second.eval()(x))


@pytest.mark.parametrize(("name", "ends"), [("resnet20", [(16, 4), (64, 44)]), ("vgg16", [(64, 24), (512, 468)])])
def test_early_layers_lose_more_than_late_ones_but_no_stage_is_cut_to_the_bone(name, ends):
    model = build_model(name, num_classes=10, in_channels=3, image_size=32)
    whole = {layer: module.out_channels for layer, module in weighted(model).items() if isinstance(module, nn.Conv2d)}
    removed = prune_channels(model, channels(), (3, 32, 32))
    left = [(whole[layer], whole[layer] - len(gone)) for layer, gone in removed.items()]
    assert [left[0], left[-1]] == ends
    by_width = {width: [kept / width for size, kept in left if size == width] for width in dict(left)}
    shares = [sum(kept) / len(kept) for kept in by_width.values()]
    assert shares == sorted(shares)
    assert shares[0] < 0.5 < shares[-1]


def test_channels_of_small_norm_go_and_the_rest_keep_their_weights():
    model = built("resnet20")
    whole = copy.deepcopy(model)
    conv, norm, reader = model.layer2[1].conv1, model.layer2[1].bn1, model.layer2[1].conv2
    with torch.no_grad():
        for tensor in (conv.weight, norm.weight, reader.weight.transpose(0, 1)):
            tensor[1::2] *= 0.01
    removed = prune_channels(model, channels(), SHAPE)
    assert removed["layer2.1.conv1"] == tuple(range(1, 32, 2))
    assert torch.equal(conv.weight, whole.layer2[1].conv1.weight[::2])
    assert torch.equal(reader.weight[:, 3], whole.layer2[1].conv2.weight[:, 6])


def test_padded_sums_stay_whole_and_blocks_are_cut_inside():
    model = built("resnet20")
    removed = prune_channels(model, channels(), SHAPE)
    assert set(removed) <= {f"layer{stage}.{block}.conv1" for stage in (1, 2, 3) for block in (0, 1, 2)}
    assert (model.layer1[0].conv2.out_channels, model.layer2[0].conv2.out_channels) == (16, 32)


def test_depthwise_convolutions_go_with_their_neighbours():
    model = built("mobilenetv2")
    removed = prune_channels(model, channels(), SHAPE)
    block = model[2].layers
    widen, filtering, narrow = block[0][0], block[1][0], block[2][0]
    assert filtering.groups == filtering.out_channels == widen.out_channels == narrow.in_channels < 96
    assert removed["2.layers.0.0"] == removed["2.layers.1.0"]
    # Summands of one residual sum lose the same channels.
    assert removed["2.layers.2.0"] == removed["3.layers.2.0"]


def test_first_and_last_layers_stay_whole_where_that_is_asked():
    whole, loose, kept = built("vgg16"), built("vgg16"), built("vgg16")
    prune_channels(loose, channels(), SHAPE)
    prune_channels(kept, channels(keep_first=True, keep_last=True), SHAPE)
    first, last = next(iter(weighted(whole))), list(weighted(whole))[-1]
    for name in (first, last):
        assert weighted(kept)[name].weight.shape == weighted(whole)[name].weight.shape
        assert weighted(loose)[name].weight.numel() < weighted(whole)[name].weight.numel()


@pytest.mark.parametrize("training", [True, False])
def test_cutting_runs_the_network_without_touching_its_state(training):
    model = built("tiny_cnn").train(training)
    prune_channels(model, channels(), SHAPE)
    assert all(module.training == training for module in model.modules())
    norms = [module for module in model.modules() if isinstance(module, nn.BatchNorm2d)]
    assert all(float(norm.running_mean.abs().max()) == 0 for norm in norms)
    assert all(int(norm.num_batches_tracked) == 0 for norm in norms)


class Flattened(nn.Module):
    """A linear layer that reads every pixel, after a convolution in groups that no channel can leave alone."""

    def __init__(self, groups):
        super().__init__()
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 16, 3, padding=1, groups=groups)
        self.prelu = nn.PReLU(16)
        self.third = nn.Conv2d(16, 16, 3, padding=1)
        self.head = nn.Linear(16 * 64, 7)

    def forward(self, x):
        y = self.prelu(self.second(functional.relu(self.first(x))))
        return functional.log_softmax(self.head(functional.relu(self.third(y)).flatten(1)), 1)


def test_a_flattened_map_loses_all_pixels_of_a_channel_and_groups_stay_together():
    model = Flattened(groups=4)
    removed = prune_channels(model, channels(0.25), SHAPE)
    assert set(removed) == {
        "third"
    }  # not the groups' inputs, not the channels with slopes of their own, not the logits
    assert model.head.in_features == model.third.out_channels * 64
    assert model(torch.zeros(2, *SHAPE)).shape == (2, 7)


class Joined(nn.Module):
    """Two ways joined and normalised together, as in dense networks; or one of them, padded with channels of zeros."""

    def __init__(self, padded):
        super().__init__()
        self.padded = padded
        self.first = nn.Conv2d(3, 16, 3, padding=1)
        self.second = nn.Conv2d(16, 16, 3, padding=1)
        self.norm = nn.BatchNorm2d(32)
        self.last = nn.Conv2d(32, 8, 3)

    def forward(self, x):
        y = self.first(x)
        z = self.second(functional.gelu(y))
        joined = functional.pad(z, (0, 0, 0, 0, 16, 0)) if self.padded else torch.cat([y, z], 1)
        return self.last(torch.sigmoid(self.norm(joined))).mean((2, 3))


def test_joined_channels_are_found_where_they_went():
    model = Joined(padded=False)
    with torch.no_grad():
        model.norm.bias.uniform_(-1, 1)
        model.norm.weight.uniform_(0.5, 1.5)
    whole = copy.deepcopy(model)
    removed = prune_channels(model, channels(), SHAPE)
    places = [place for place in range(16) if place not in removed["first"]]
    places += [16 + place for place in range(16) if place not in removed["second"]]
    assert 8 < len(places) < 32
    assert torch.equal(model.norm.weight, whole.norm.weight[places])
    assert torch.equal(model.last.weight, whole.last.weight[:, places])


@pytest.mark.parametrize(
    ("model", "sparsity", "message"),
    [
        (built("resnet20"), 0.9, r"can save at most 8\d\.\d% of the multiply-accumulates .* not 90\.0%; ask for less"),
        (built("tiny_cnn", width=0.25), 0.9, r"groups can be cut, to 4 channels each"),
        (nn.Sequential(nn.Flatten(), nn.Linear(192, 10)), 0.1, r"at most 0\.0% .* \(0 groups can be cut"),
        (nn.Sequential(nn.Conv2d(1, 8, 3)), 0.1, r"channels cannot be traced: .*; prune unstructured"),
        (
            Joined(padded=True).eval(),
            0.5,
            r"channels cannot be followed \(its outputs change by \d+%\); prune",
        ),
    ],
    ids=["too much", "too few channels", "no channels", "does not run", "moved"],
)
def test_what_cannot_be_cut_is_refused_in_one_line(model, sparsity, message):
    with pytest.raises(InputError, match=message) as refusal:
        prune_channels(model, channels(sparsity), SHAPE)
    assert "\n" not in str(refusal.value)


def test_masks_are_not_for_channels():
    with pytest.raises(InputError, match="channels are taken out of a float network"):
        prune(built("tiny_cnn"), channels(), 0.0)


def masked():
    model = built("tiny_cnn")
    prune(model, Pruning(0.5, schedule="one-shot"), 1.0)
    return model


@pytest.mark.parametrize(
    ("model", "pruning", "message"),
    [
        (masked(), channels(), "0.0 has a mask, whose places a cut would move"),
        (convert(built("tiny_cnn"), {"0.0": PowerOfTwo()}, torch.zeros(1, *SHAPE))[0], channels(), "0.0 has a scheme"),
        (built("tiny_cnn"), Pruning(0.5), "'unstructured' is for prune"),
        (nn.Sequential(nn.ReLU()), channels(), "no convolution or linear layer"),
    ],
    ids=["masked", "converted", "another pattern", "no layers"],
)
def test_only_plain_float_layers_are_cut(model, pruning, message):
    """Masks and grids have numbers for each channel, which would stay behind."""
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(InputError, match=message) as refusal:
        prune_channels(model, pruning, SHAPE)
    assert "\n" not in str(refusal.value)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
