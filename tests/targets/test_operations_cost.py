import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import conv, network

from greenshift.errors import InputError
from greenshift.profile import LayerProfile
from greenshift.targets import cost, load_target
from greenshift.targets.operations import operations_cost
from greenshift.targets.target import Figure, OperationsModel

ASIC = load_target("asic-45nm")


def arithmetic_pj(layer):
    """Energy of one multiply-accumulate: the layer's energy with its tensors taken away."""
    bare = dataclasses.replace(layer, input_shape=(0,), parameter_bytes=0, output_bits=0)
    return cost(network(bare), ASIC).energy_j / layer.macs * 1e12


def test_float_costs_what_horowitz_says():
    assert arithmetic_pj(conv("float", weight_bits=32, act_bits=32)) == pytest.approx(3.7 + 0.9)
    assert arithmetic_pj(conv("float", weight_bits=16, act_bits=16)) == pytest.approx(1.1 + 0.4)


def test_int8_costs_the_fitted_product_and_an_exact_sum():
    guard = math.ceil(math.log2(16 * 9))
    assert arithmetic_pj(conv("int")) == pytest.approx(0.003 * 64 + 0.003125 * (16 + guard))


@pytest.mark.parametrize(
    ("act_bits", "shift_pj"),
    [(8, 0.024), (16, 0.057), (32, 0.13), (4, 0.012), (12, 0.0405), (64, 0.13 + 32 * (0.13 - 0.057) / 16)],
)
def test_a_shift_costs_the_table_and_what_lies_between_and_beyond(act_bits, shift_pj):
    layer = conv("shift", weight_bits=4, act_bits=act_bits, levels=7)
    exact_sum = act_bits + min(6, act_bits) + math.ceil(math.log2(16 * 9))
    assert arithmetic_pj(layer) == pytest.approx(shift_pj + 0.003125 * exact_sum)


def test_one_exponent_needs_no_shifter():
    guard = math.ceil(math.log2(16 * 9))
    assert arithmetic_pj(conv("shift", weight_bits=2, levels=1)) == pytest.approx(0.003125 * (8 + guard))


def test_a_shift_is_cheaper_than_the_int8_product_it_replaces():
    assert arithmetic_pj(conv("shift", weight_bits=4, levels=7)) < 0.5 * arithmetic_pj(conv("int"))


def test_bytes_move_once_at_the_price_of_the_memory_that_holds_them():
    on_chip = conv(macs=0, parameter_bytes=1000)
    moved = 1000 + 2 * 16 * 16 * 16
    assert cost(network(on_chip), ASIC).energy_j == pytest.approx(moved * 12.5e-12)
    # 1 MiB less the activations is on chip, the rest of 2 MiB of weights beyond.
    large = conv(macs=0, parameter_bytes=2**21)
    activations = 2 * 16 * 16 * 16
    here = 2**20 - activations
    expected = (activations + here) * 12.5 + (2**21 - here) * 230
    assert cost(network(large), ASIC).energy_j == pytest.approx(expected * 1e-12)
    # Activations that do not fit leave no room for weights.
    wide = conv(macs=0, parameter_bytes=1000, channels=64, size=128)
    expected = 2**20 * 12.5 + (2 * 64 * 128 * 128 - 2**20 + 1000) * 230
    assert cost(network(wide), ASIC).energy_j == pytest.approx(expected * 1e-12)


def test_peak_memory_and_size():
    result = cost(network(conv(), conv(size=32), conv(act_bits=5)), ASIC)
    assert result.peak_memory_bytes == 2 * 16 * 32 * 32
    assert result.size_bytes == 3 * 16 * 16 * 9
    assert (result.fits, result.limits, result.provenance) == (True, (), "modelled")
    assert result.model == "operations of asic-45nm 1"


def test_a_fused_layer_costs_no_work_but_its_storage():
    norm = LayerProfile("bn", "elementwise", "float", (16, 16, 16), (16, 16, 16), 0, ops=8192, parameter_bytes=128)
    plain = cost(network(conv()), ASIC)
    fused = cost(network(conv(), dataclasses.replace(norm, fused=True)), ASIC)
    separate = cost(network(conv(), norm), ASIC)
    assert (fused.energy_j, fused.latency_s) == (plain.energy_j, plain.latency_s)
    assert fused.size_bytes == plain.size_bytes + 128 == network(conv(), norm).size_bytes
    assert fused.layers[1].kernel == "fused"
    assert separate.energy_j > plain.energy_j
    assert separate.latency_s > plain.latency_s


def test_latency_is_the_longer_of_computing_and_moving():
    computing = conv()
    assert cost(network(computing), ASIC).latency_s == pytest.approx(computing.macs / (168 * 200e6))
    moving = conv(macs=1000)
    assert cost(network(moving), ASIC).latency_s == pytest.approx((2 * 4096 + 2304) / 3.2e9)


def test_uncertainty_lies_between_that_of_the_parts_and_the_factor_of_shifts_shows():
    integer = cost(network(conv("int", weight_bits=4)), ASIC)
    shift = cost(network(conv("shift", weight_bits=4, levels=7)), ASIC)
    assert 1.2 < integer.uncertainty_factor < shift.uncertainty_factor < math.exp(math.hypot(math.log(3), math.log(3)))
    assert shift.latency_uncertainty_factor > 2


def test_impossible_layers_are_refused():
    with pytest.raises(InputError, match="asic-45nm: layer 'conv' needs floats of 64 bits, which it does not"):
        cost(network(conv("float", weight_bits=64, act_bits=64)), ASIC)
    with pytest.raises(InputError, match="'conv' has weight_levels 0"):
        cost(network(conv("shift", weight_bits=4)), ASIC)


def test_float_additions_between_wide_fixed_point_layers_are_float32():
    def energy_j(ops):
        add = LayerProfile("add", "elementwise", "float", (8,), (8,), 0, ops=ops, act_bits=64, output_bits=64)
        return cost(network(add), ASIC).energy_j

    assert energy_j(8) - energy_j(0) == pytest.approx(8 * 0.9e-12)


def test_one_known_shift_width_is_enough():
    assert isinstance(ASIC.model, OperationsModel)
    model = dataclasses.replace(ASIC.model, shift_pj=((8, Figure(0.8, 2.0, "x")),))
    layer = dataclasses.replace(
        conv("shift", act_bits=16, levels=2), input_shape=(0,), parameter_bytes=0, output_bits=0
    )
    expected = 1.6 + 0.003125 * (17 + math.ceil(math.log2(144)))
    assert operations_cost(network(layer), ASIC, model).energy_j / layer.macs == pytest.approx(expected * 1e-12)


@st.composite
def layers(draw, arithmetics=("float", "int", "shift")):
    arithmetic = draw(st.sampled_from(arithmetics))
    weight_bits = draw(st.integers(2, 8))
    act_bits = draw(st.integers(2, 64 if arithmetic == "shift" else 8))
    if arithmetic == "float":
        weight_bits = act_bits = 32
    return conv(
        arithmetic,
        channels=draw(st.integers(1, 16)),
        size=draw(st.integers(1, 16)),
        weight_bits=weight_bits,
        act_bits=act_bits,
        levels=2 ** (weight_bits - 1) - 1 if arithmetic == "shift" else 0,
        ops=draw(st.integers(0, 10_000)),
    )


@given(st.lists(layers(), min_size=1, max_size=5))
def test_costs_add_up_over_layers_and_are_pure(several):
    whole = cost(network(*several), ASIC)
    single = [cost(network(layer), ASIC) for layer in several]
    assert whole == cost(network(*several), ASIC)
    assert whole.energy_j == pytest.approx(sum(one.energy_j for one in single), rel=1e-12)
    assert whole.latency_s == pytest.approx(sum(one.latency_s for one in single), rel=1e-12)
    assert whole.size_bytes == sum(one.size_bytes for one in single)
    assert whole.energy_j == pytest.approx(sum(layer.energy_j for layer in whole.layers), rel=1e-12)
    assert all(layer.energy_j >= 0 and layer.latency_s >= 0 and layer.size_bytes >= 0 for layer in whole.layers)
    assert whole.uncertainty_factor >= 1


@given(layers(), st.sampled_from(["macs", "ops", "parameter_bytes", "output_bits"]), st.integers(1, 10**7))
def test_more_work_costs_more(layer, field, extra):
    more = dataclasses.replace(layer, **{field: getattr(layer, field) + extra})
    before, after = cost(network(layer), ASIC), cost(network(more), ASIC)
    assert after.energy_j > before.energy_j
    assert after.latency_s >= before.latency_s


@given(st.sampled_from(["int", "shift"]), st.integers(2, 64), st.integers(2, 7))
def test_more_bits_cost_more(arithmetic, act_bits, weight_bits):
    def energy_j(act, weight):
        levels = 2 ** (weight - 1) - 1 if arithmetic == "shift" else 0
        return cost(network(conv(arithmetic, act_bits=act, weight_bits=weight, levels=levels)), ASIC).energy_j

    assert energy_j(act_bits, weight_bits) < energy_j(act_bits + 1, weight_bits)
    assert energy_j(act_bits, weight_bits) < energy_j(act_bits, weight_bits + 1)


@given(st.integers(0, 5))
def test_more_shift_layers_cost_less_than_float(count):
    def energy_j(shifted):
        rest = [conv("float", weight_bits=32, act_bits=32)] * (6 - shifted)
        return cost(network(*rest, *[conv("shift", weight_bits=5, act_bits=32, levels=15)] * shifted), ASIC).energy_j

    assert energy_j(count + 1) < energy_j(count)


def test_json():
    data = cost(network(conv()), ASIC).to_json()
    assert {"energy_j", "latency_s", "size_bytes", "peak_memory_bytes", "provenance", "layers"} <= set(data)
    assert data["layers"][0]["name"] == "conv"
    assert data["layers"][0]["energy_j"] == data["energy_j"]
