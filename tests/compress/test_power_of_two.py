"""Power-of-two layers: nearest rounding, windows of least error, the training's contract."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from greenshift.compress import PowerOfTwo, apply_masks, calibrate, convert, prune, refit_windows
from greenshift.compress.power_of_two import (
    PowerOfTwoLinear,
    fitted_window,
    power_of_two_codes,
    power_of_two_weight,
    rounded_magnitudes,
)
from greenshift.compress.uniform import learned_steps
from greenshift.data import load_dataset, split
from greenshift.design import Design, Optimization, Pruning, Recipe
from greenshift.errors import InputError
from greenshift.networks import build_network, image_shape, train_design
from greenshift.records import DataChoice
from greenshift.train import Compute, Training, train

SETS = [*(PowerOfTwo(bits) for bits in (2, 3, 4)), *(PowerOfTwo(bits, terms=2) for bits in (4, 5, 6, 7))]
sets = st.sampled_from(SETS)
magnitudes = st.lists(st.floats(0, 200, width=32), min_size=1, max_size=50).map(torch.tensor)
DIGITS = DataChoice("digits", train_limit=400)
RECIPE = Recipe(epochs=2, batch_size=32, optimization=Optimization(lr=0.05))


def random_weight(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def layer(scheme, weight):
    linear = nn.Linear(weight.shape[1], weight.shape[0], bias=False)
    with torch.no_grad():
        linear.weight.copy_(weight)
    return convert(linear, {"*": scheme}, torch.zeros(1, weight.shape[1]))[0]


def rounded(weight, scheme):
    return power_of_two_weight(layer(scheme, weight)).detach()


def relative_error(weight, scheme):
    return float((rounded(weight, scheme) - weight).square().sum() / weight.square().sum())


@pytest.mark.parametrize(
    ("scheme", "exponents", "members"),
    [
        (PowerOfTwo(2), 1, (0, 1)),
        (PowerOfTwo(3), 3, (0, 1, 2, 4)),
        (PowerOfTwo(4), 7, (0, 1, 2, 4, 8, 16, 32, 64)),
        (PowerOfTwo(4, terms=2), 4, (0, 1, 2, 3, 4, 6, 8, 12)),
        (PowerOfTwo(5, terms=2), 6, (0, 1, 2, 3, 4, 5, 6, 8, 10, 12, 16, 20, 24, 32, 40, 48)),
    ],
)
def test_sets_by_hand(scheme, exponents, members):
    assert (scheme.exponents, scheme.magnitudes) == (exponents, members)


@pytest.mark.parametrize("scheme", SETS)
def test_a_set_fits_its_bits_and_int8(scheme):
    assert 2 * len(scheme.magnitudes) - 1 <= 2**scheme.weight_bits
    assert scheme.magnitudes[-1] <= 127
    powers = [2**exponent for exponent in range(scheme.exponents)]
    second = [0, *powers, *(-power for power in powers)] if scheme.terms == 2 else [0]
    assert set(scheme.magnitudes) <= {0} | {a + b for a in powers for b in second}


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"weight_bits": 5}, "2 to 4 with terms=1, not 5: .*; choose terms=2"),
        ({"weight_bits": 1}, "weight_bits is 2 to 4"),
        ({"weight_bits": 8, "terms": 2}, "4 to 7 with terms=2, not 8: .*choose 7"),
        ({"weight_bits": 3, "terms": 2}, "choose terms=1"),
        ({"terms": 3}, "terms is 1 or 2"),
        ({"act_bits": 9}, "act_bits is 2 to 8"),
        ({"scale": "mean"}, "scale is"),
        ({"rounding": "up"}, "rounding is"),
        ({"weight_bits": 5, "terms": 2, "rounding": "log"}, "choose 'nearest', or terms=1"),
        ({"step": "fixed"}, "step is"),
    ],
)
def test_fields_outside_their_range(fields, message):
    with pytest.raises(InputError, match=f"^poweroftwo: .*{message}"):
        PowerOfTwo(**fields)


@settings(deadline=None)
@given(sets, magnitudes)
def test_rounding_is_nearest(scheme, units):
    """No other member of the set is nearer, and halfway goes up."""
    found = rounded_magnitudes(units, scheme)
    members = torch.tensor(scheme.magnitudes, dtype=torch.float64)
    distances = (units.double()[:, None] - members).abs()
    ties = distances == distances.amin(1, keepdim=True)
    nearest = (ties * members).amax(1)
    assert torch.equal(found.double(), nearest)


@settings(deadline=None)
@given(sets)
def test_members_of_the_set_stay(scheme):
    members = torch.tensor(scheme.magnitudes, dtype=torch.float32)
    assert torch.equal(rounded_magnitudes(members, scheme), members)


def test_rounding_in_the_logarithm_by_hand():
    """The boundary is the geometric mean: 2 from the first float above its square root on, not from 1.5."""
    scheme, root = PowerOfTwo(4, rounding="log"), torch.tensor(2.0).sqrt()
    above = torch.nextafter(root, torch.tensor(2.0))
    units = torch.stack([torch.tensor(0.49), torch.tensor(0.5), root, above, torch.tensor(5.6), torch.tensor(5.7)])
    assert rounded_magnitudes(units, scheme).tolist() == [0, 1, 1, 2, 4, 8]
    many = torch.rand(10_000, generator=torch.Generator().manual_seed(0)) * 60 + 1
    assert torch.equal(rounded_magnitudes(many, scheme), torch.exp2(torch.log2(many.double()).round()).float())


@settings(deadline=None)
@given(sets, st.integers(0, 999), st.floats(0.01, 100))
def test_rounding_twice_is_rounding_once(scheme, seed, size):
    """With the same window; a fitted one may find a smaller set that holds the rounded weights, too."""
    built = layer(scheme, size * random_weight(seed, 3, 20))
    once = power_of_two_weight(built).detach()
    with torch.no_grad():
        built.weight.copy_(once)
    assert torch.equal(power_of_two_weight(built), once)
    refit_windows(built)
    assert torch.equal(power_of_two_weight(built), once)


@settings(deadline=None)
@given(sets, st.integers(0, 999), st.integers(-40, 40), st.sampled_from(["mse", "max"]))
def test_powers_of_two_pass_through(scheme, seed, exponent, scale):
    scheme = PowerOfTwo(scheme.weight_bits, 8, scheme.terms, scale)
    weight = random_weight(seed, 3, 20)
    assert torch.equal(rounded(weight * 2.0**exponent, scheme), rounded(weight, scheme) * 2.0**exponent)


@settings(deadline=None)
@given(sets, st.integers(0, 999))
def test_signs_pass_through(scheme, seed):
    weight = random_weight(seed, 3, 20)
    assert torch.equal(rounded(-weight, scheme), -rounded(weight, scheme))


@settings(deadline=None)
@given(sets, st.integers(0, 999), st.floats(1e-3, 1e3))
def test_weights_are_exact_in_bfloat16(scheme, seed, size):
    weight = rounded(size * random_weight(seed, 3, 20), scheme)
    assert torch.equal(weight.bfloat16().float(), weight)


@settings(deadline=None)
@given(sets, st.integers(0, 999))
def test_bfloat16_weights_are_rounded_as_float32(scheme, seed):
    weight = random_weight(seed, 3, 20).bfloat16()
    found = rounded(weight.float(), scheme)
    half = layer(scheme, weight.float()).bfloat16()
    assert half.window.dtype == torch.int8
    assert torch.equal(power_of_two_weight(half).float(), found)


@settings(deadline=None)
@given(sets, st.integers(0, 999))
def test_no_neighbouring_window_has_less_error(scheme, seed):
    weight = random_weight(seed, 4, 30)
    built = layer(scheme, weight)
    least = (power_of_two_weight(built) - weight).square().sum(1)
    for offset in (-2, -1, 1, 2):
        built.window.copy_(fitted_window(weight, scheme) + offset)
        assert bool(((power_of_two_weight(built) - weight).square().sum(1) >= least).all())


def test_windows_by_hand():
    weight = torch.tensor([[1.0, -0.5], [1.6, 0.0], [0.3, 0.3], [0.0, 0.0]])
    built = layer(PowerOfTwo(scale="max"), weight)
    assert built.window.tolist()[:3] == [0, 1, -2]
    assert rounded(weight, PowerOfTwo()).tolist() == [[1.0, -0.5], [2.0, 0.0], [0.25, 0.25], [0.0, 0.0]]


def test_an_outlier_does_not_set_the_window():
    weight = torch.cat([torch.full((1, 400), 0.3), torch.tensor([[1.0]])], 1)
    assert relative_error(weight, PowerOfTwo(2)) < 0.1 < relative_error(weight, PowerOfTwo(2, scale="max"))


def test_weights_that_are_not_finite_show():
    built = layer(PowerOfTwo(), torch.ones(1, 3))
    with torch.no_grad():
        built.weight[0, 1] = torch.nan
    assert power_of_two_weight(built).isnan().tolist() == [[False, True, False]]


@pytest.mark.parametrize(
    ("scheme", "gauss", "laplace"),
    [
        (PowerOfTwo(2), 0.212, 0.265),
        (PowerOfTwo(3), 0.048, 0.071),
        (PowerOfTwo(4), 0.0375, 0.0386),
        (PowerOfTwo(4, terms=2), 0.0128, 0.0186),
        (PowerOfTwo(5, terms=2), 0.0052, 0.0063),
        (PowerOfTwo(6, terms=2), 0.0019, 0.0021),
        (PowerOfTwo(7, terms=2), 0.0015, 0.0018),
    ],
)
def test_relative_error_of_samples(scheme, gauss, laplace):
    """At the best place of the window, as samples of another width sit elsewhere between two powers.

    One term agrees with the published saturation: nothing is gained from four bits on; a second term gains sevenfold.
    """
    normal = random_weight(0, 1, 20_000)
    uniform = torch.rand(1, 20_000, generator=torch.Generator().manual_seed(0)).double() - 0.5
    long_tailed = (-uniform.sign() * torch.log1p(-2 * uniform.abs())).float()
    assert relative_error(normal, scheme) == pytest.approx(gauss, rel=0.05)
    assert relative_error(long_tailed, scheme) == pytest.approx(laplace, rel=0.07)


def test_rounding_in_the_logarithm_has_more_error():
    weight = random_weight(0, 4, 5000)
    ratio = relative_error(weight, PowerOfTwo(4, rounding="log")) / relative_error(weight, PowerOfTwo(4))
    assert 1.05 < ratio < 1.25


@pytest.mark.parametrize("scheme", SETS)
def test_the_gradient_passes_unchanged(scheme):
    """Also where a weight beyond its window is clipped."""
    built = layer(scheme, random_weight(0, 3, 8)).train()
    built.window -= 3
    upstream = random_weight(1, 3, 8)
    power_of_two_weight(built).backward(upstream)
    assert torch.equal(built.weight.grad, upstream)


@pytest.mark.parametrize("scheme", [PowerOfTwo(3), PowerOfTwo(5, terms=2), PowerOfTwo(4, 4, step="learned")])
def test_an_epoch_on_digits_lowers_the_loss(scheme):
    _, _, curve = train_design(Design("tiny_cnn", schemes=(("*", scheme),), recipe=RECIPE), DIGITS, epochs=2, seed=0)
    assert curve[1].train_loss < 0.8 * curve[0].train_loss


def test_a_layer_built_alone_has_the_window_of_its_own_weight():
    torch.manual_seed(0)
    built = PowerOfTwoLinear(8, 3, scheme=PowerOfTwo())
    assert torch.equal(built.window, fitted_window(built.weight, built.scheme))


def test_learned_activations_are_calibrated_and_do_not_decay():
    model = nn.Sequential(nn.Linear(6, 4), nn.ReLU(), nn.Linear(4, 2))
    model = convert(model, {"*": PowerOfTwo(step="learned")}, torch.zeros(1, 6))[0]
    calibrate(model, random_weight(0, 8, 6), batches=2)
    assert all(float(module.range.step.detach()) > 0 for module in (model[0], model[2]))
    assert sum(len(learned_steps(module)) for module in model.modules()) == 2


@pytest.mark.parametrize("scheme", [PowerOfTwo(2), PowerOfTwo(4), PowerOfTwo(5, terms=2)])
def test_pruned_weights_stay_zero(scheme):
    model = nn.Sequential(nn.Linear(16, 8), nn.ReLU(), nn.Linear(8, 4))
    model = convert(model, {"*": scheme}, torch.zeros(1, 16))[0].train()
    prune(model, Pruning(0.5, schedule="one-shot"), 1.0)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    for _ in range(3):
        model(random_weight(0, 8, 16)).square().sum().backward()
        optimizer.step()
        apply_masks(model)
        refit_windows(model)
    for module in (model[0], model[2]):
        assert bool((power_of_two_codes(module)[0][~module.pruning_mask] == 0).all())


def training(epochs, precision="float32"):
    dataset = load_dataset("digits")
    splits = split(dataset, DIGITS)
    recipe = Recipe(epochs, 32, Optimization(lr=0.05, weight_decay=0.0))
    design = Design("tiny_cnn", schemes=(("*", PowerOfTwo(3)),), recipe=recipe)
    torch.manual_seed(3)
    compute = Compute(torch.device("cpu"), precision)
    return build_network(design, image_shape(DIGITS)), Training(dataset, splits.train, None, recipe, 7, compute)


def test_training_in_bfloat16_lowers_the_loss():
    model, setting = training(2, "bfloat16")
    seen = []
    for module in model.modules():
        if hasattr(module, "window"):
            module.register_forward_hook(lambda m, a, o: seen.append(o.dtype))  # noqa: ARG005
    curve = train(model, setting, 2)
    assert set(seen) == {torch.bfloat16}
    assert curve[1].train_loss < 0.8 * curve[0].train_loss


def windows(model):
    return {name: value.clone() for name, value in model.state_dict().items() if name.endswith("window")}


def test_windows_follow_the_weights_for_a_third_of_the_training_and_then_stay():
    """Epochs 1 to 3 of 10 start by a fit: windows shifted on purpose are mended there, and nowhere else."""
    model, setting = training(10)
    mended = []

    def shift_windows(metrics):
        now = windows(model)
        if shifted:
            mended.append(any(not torch.equal(now[name], value) for name, value in shifted.items()))
        for module in model.modules():
            if hasattr(module, "window"):
                module.window += 5 if metrics.epoch < 5 else 0
        shifted.update(windows(model))

    shifted = {}
    train(model, setting, 5, on_epoch=shift_windows)
    assert mended == [True, True, False, False]


def test_a_resumed_training_has_the_same_windows(tmp_path):
    whole, setting = training(4)
    train(whole, setting, 3)
    for epochs in (2, 3):
        part, setting = training(4)
        train(part, setting, epochs, checkpoint=tmp_path / "c.safetensors")
    for (name, expected), found in zip(whole.state_dict().items(), part.state_dict().values(), strict=True):
        assert torch.equal(expected, found), name
