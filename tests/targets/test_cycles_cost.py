import dataclasses
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from greenshift.errors import InputError
from greenshift.profile import LayerProfile, NetworkProfile
from greenshift.targets import cost, load_target
from greenshift.targets.target import Figure

M4, M7 = load_target("cortex-m4"), load_target("cortex-m7")
BOUNDLESS = [
    dataclasses.replace(
        target, model=dataclasses.replace(target.model, flash_bytes=Figure(1e12, 1, ""), ram_bytes=Figure(1e12, 1, ""))
    )
    for target in (M4, M7)
]


def conv(name, inputs, outputs, size, *, arithmetic="int", stride=1, kernel=3, bits=8, act_bits=8, levels=0, groups=1):
    out = size // stride
    weights = inputs * outputs * kernel * kernel // groups
    return LayerProfile(
        name,
        "conv",
        arithmetic,
        (inputs, size, size),
        (outputs, out, out),
        weights * out * out,
        weights=weights,
        weight_bits=bits,
        act_bits=act_bits,
        output_bits=act_bits,
        parameter_bytes=math.ceil(weights * bits / 8) + 4 * outputs,
        weight_levels=levels,
        groups=groups,
    )


def resnet8():
    """ResNet-8 of MLPerf Tiny in int8: 32x32x3 images, three stacks of one block, ten classes."""
    layers = [conv("stem", 3, 16, 32)]
    inputs, size = 16, 32
    for outputs in (16, 32, 64):
        stride = 1 if outputs == inputs else 2
        layers.append(conv(f"{outputs}.1", inputs, outputs, size, stride=stride))
        layers.append(conv(f"{outputs}.2", outputs, outputs, size // stride))
        if stride == 2:
            layers.append(conv(f"{outputs}.skip", inputs, outputs, size, stride=2, kernel=1))
        inputs, size = outputs, size // stride
        shape = (outputs, size, size)
        ops = outputs * size * size
        layers.append(LayerProfile(f"{outputs}.add", "elementwise", "int", shape, shape, 0, ops=ops, act_bits=8))
    pool = LayerProfile("pool", "elementwise", "int", (64, 8, 8), (64,), 0, ops=4096, act_bits=8)
    head = LayerProfile("head", "linear", "int", (64,), (10,), 640, weights=640, weight_bits=8, act_bits=8)
    return NetworkProfile((*layers, pool, head), (3, 32, 32))


def network(*layers):
    return NetworkProfile(layers, layers[0].input_shape)


@pytest.mark.parametrize(
    ("target", "latency_ms", "energy_mj", "factor"),
    [(M4, (165, 227), (6.9, 10.7), 2.1), (M7, (41, 52), (5.1, 6.3), 1.7)],
    ids=["L4R5", "H7A3"],
)
def test_int8_resnet8_lands_among_the_published_boards(target, latency_ms, energy_mj, factor):
    profile = resnet8()
    assert profile.macs == 12_501_632
    result = cost(profile, target)
    # The model lies in the published range, so every published board lies within its uncertainty.
    assert latency_ms[0] <= result.latency_s * 1e3 <= latency_ms[1]
    assert energy_mj[0] <= result.energy_j * 1e3 <= energy_mj[1]
    for published in latency_ms:
        assert max(published / result.latency_s / 1e3, result.latency_s * 1e3 / published) < (
            result.latency_uncertainty_factor
        )
    for published in energy_mj:
        assert max(published / result.energy_j / 1e3, result.energy_j * 1e3 / published) < result.uncertainty_factor
    assert 1 < result.latency_uncertainty_factor < result.uncertainty_factor < factor
    assert result.fits


def test_energy_is_time_times_power():
    result = cost(network(conv("a", 16, 16, 8)), M4)
    assert result.energy_j == pytest.approx(result.latency_s * 0.042)
    moved = 2 * 16 * 8 * 8
    assert result.latency_s == pytest.approx((16 * 16 * 9 * 64 * 1.73 + moved * 0.5) / 120e6)
    assert result.layers[0].kernel == "int8-smlad"
    assert result.size_bytes == 16 * 16 * 9 + 4 * 16


def kernel_of(target=M4, max_size_bytes=None, **fields):
    return cost(network(conv("a", 16, 16, 8, **fields)), target, max_size_bytes).layers[0].kernel


def test_kernels_are_chosen_by_what_they_can_run_and_by_speed():
    assert kernel_of(arithmetic="float", bits=32, act_bits=32) == "float32-fpu"
    assert kernel_of(arithmetic="shift", bits=4, levels=7) == "shift-generated"
    assert kernel_of(arithmetic="shift", bits=5, levels=15) == "shift-generated"
    assert kernel_of(arithmetic="shift", bits=2, levels=1) == "ternary-generated"


def test_a_small_flash_makes_kernels_smaller():
    shift = {"arithmetic": "shift", "bits": 4, "levels": 7}
    assert kernel_of(max_size_bytes=12_000, **shift) == "shift-generated"
    assert kernel_of(max_size_bytes=6_000, **shift) == "int8-smlad"
    assert kernel_of(max_size_bytes=2_000, **shift) == "shift-packed"
    # More than 7 exponents or 8 activation bits are beyond int8.
    assert kernel_of(max_size_bytes=6_000, arithmetic="shift", bits=4, levels=8) == "shift-lists"
    assert kernel_of(max_size_bytes=6_000, **shift, act_bits=9) == "shift-lists"
    assert kernel_of(max_size_bytes=2_000, bits=4) == "int4-smlad"


def test_what_was_folded_takes_its_share_of_the_flash():
    folded = LayerProfile("bn", "elementwise", "float", (1,), (1,), 0, parameter_bytes=100, fused=True)
    layer = conv("a", 16, 16, 8, arithmetic="shift", bits=4, levels=7)
    generated = cost(network(layer), M4).size_bytes
    assert cost(network(layer, folded), M4, generated + 100).layers[0].kernel == "shift-generated"
    assert cost(network(layer, folded), M4, generated + 99).layers[0].kernel == "int8-smlad"


def test_wide_sums_and_activations_take_words():
    def mac_cycles(act_bits, levels):
        layer = conv("a", 16, 16, 8, arithmetic="shift", bits=5, act_bits=act_bits, levels=levels)
        result = cost(network(layer), M4)
        return (result.latency_s * 120e6 - (layer.input_bytes + layer.output_bytes) * 0.5) / layer.macs

    # 144 products need 8 guard bits: 10 + 10 + 8 bits fit a word, 11 + 11 + 8 too, 16 + 14 + 8 do not.
    assert mac_cycles(10, 15) == pytest.approx(1.37)
    assert mac_cycles(16, 7) == pytest.approx(1.37)
    assert mac_cycles(16, 15) == pytest.approx(2 * 1.37)
    assert mac_cycles(32, 15) == pytest.approx(2 * 1.37)
    assert mac_cycles(64, 15) == pytest.approx(3 * 2 * 1.37)


def test_generated_code_grows_with_its_instructions():
    def size_bytes(act_bits):
        return cost(
            network(conv("a", 16, 16, 8, arithmetic="shift", bits=5, act_bits=act_bits, levels=15)), M4
        ).size_bytes

    assert size_bytes(8) == math.ceil(16 * 16 * 9 * 4.8) + 4 * 16
    assert size_bytes(32) == math.ceil(2 * 16 * 16 * 9 * 4.8) + 4 * 16


def test_depthwise_layers_cannot_reuse_what_they_load():
    ordinary = cost(network(conv("a", 16, 16, 8)), M4)
    depthwise = cost(network(conv("a", 16, 16, 8, groups=16)), M4)
    grouped = cost(network(conv("a", 16, 16, 8, groups=2)), M4)
    memory_s = 2 * 16 * 64 * 0.5 / 120e6
    assert (depthwise.latency_s - memory_s) * 16 == pytest.approx(2 * (ordinary.latency_s - memory_s))
    assert (grouped.latency_s - memory_s) * 2 == pytest.approx(ordinary.latency_s - memory_s)


def test_flash_overflow_is_said_and_smallest_kernels_stay():
    layers = [conv(f"c{i}", 512, 512, 4, arithmetic="shift", bits=4, levels=7) for i in range(3)]
    result = cost(network(*layers), M4)
    assert not result.fits
    assert result.limits == (f"flash: {result.size_bytes / 1e3:.1f} kB of 2048.0 kB",)
    assert {layer.kernel for layer in result.layers} == {"shift-packed"}
    assert result.size_bytes == 3 * (512 * 512 * 9 // 2 + 4 * 512)


def test_a_wish_for_more_than_the_flash_does_not_enlarge_it():
    layers = [conv(f"c{i}", 256, 256, 4, arithmetic="shift", bits=4, levels=7) for i in range(2)]
    result = cost(network(*layers), M4, 1e9)
    assert result.fits
    assert result == cost(network(*layers), M4)


def test_ram_overflow_is_said():
    result = cost(network(conv("a", 16, 16, 256)), M4)
    assert not result.fits
    assert result.limits == ("RAM: 2097.2 kB of 622.6 kB",)
    assert result.peak_memory_bytes == 2 * 16 * 256 * 256


def test_a_layer_without_kernel_is_refused():
    with pytest.raises(InputError, match="cortex-m4: no kernel for int layer 'a' with 8-bit weights and 12-bit activ"):
        cost(network(conv("a", 4, 4, 8, act_bits=12)), M4)


def test_a_fused_layer_costs_no_work_and_a_separate_one_does():
    add = LayerProfile("add", "elementwise", "shift", (16, 8, 8), (16, 8, 8), 0, ops=1024, act_bits=33, output_bits=33)
    base = cost(network(conv("a", 16, 16, 8)), M4)
    fused = cost(network(conv("a", 16, 16, 8), dataclasses.replace(add, fused=True, parameter_bytes=64)), M4)
    assert (fused.energy_j, fused.latency_s, fused.size_bytes) == (base.energy_j, base.latency_s, base.size_bytes + 64)
    separate = cost(network(conv("a", 16, 16, 8), add), M4)
    # Two words per value, five bytes moved on either side.
    assert separate.latency_s - base.latency_s == pytest.approx((1024 * 3 * 2 + 2 * 1024 * 5 * 0.5) / 120e6)


def test_empty_networks_cost_nothing():
    for target in (M4, load_target("asic-45nm")):
        result = cost(NetworkProfile((), (3, 32, 32)), target)
        assert (result.energy_j, result.latency_s, result.size_bytes, result.uncertainty_factor >= 1) == (0, 0, 0, True)


@st.composite
def shift_networks(draw):
    return [
        conv(
            f"c{i}",
            draw(st.integers(1, 64)),
            draw(st.integers(1, 64)),
            draw(st.sampled_from([4, 8, 16])),
            arithmetic="shift",
            bits=bits,
            act_bits=draw(st.integers(2, 64)),
            levels=2 ** (bits - 1) - 1,
        )
        for i, bits in enumerate(draw(st.lists(st.integers(2, 8), min_size=1, max_size=6)))
    ]


@given(shift_networks(), st.sampled_from([M4, M7]), st.floats(0.02, 1.2))
def test_the_choice_of_kernels_fits_where_it_can_and_wastes_no_room(layers, target, share):
    free = cost(network(*layers), target)
    smallest = cost(network(*layers), target, 0)
    limit = smallest.size_bytes + share * (free.size_bytes - smallest.size_bytes)
    chosen = cost(network(*layers), target, limit)
    assert chosen == cost(network(*layers), target, limit)
    assert chosen.size_bytes <= limit
    assert free.energy_j <= chosen.energy_j <= smallest.energy_j * (1 + 1e-12)
    if share >= 1:
        assert chosen == free
    for i, layer in enumerate(layers):
        alone = cost(network(layer), target, limit - chosen.size_bytes + chosen.layers[i].size_bytes)
        assert alone.energy_j >= chosen.layers[i].energy_j * (1 - 1e-12)


@given(shift_networks(), st.sampled_from(BOUNDLESS))
def test_without_want_of_flash_costs_add_up_and_more_work_costs_more(layers, target):
    whole = cost(network(*layers), target)
    single = [cost(network(layer), target) for layer in layers]
    assert whole.energy_j == pytest.approx(sum(one.energy_j for one in single), rel=1e-12)
    assert whole.size_bytes == sum(one.size_bytes for one in single)
    assert all(layer.energy_j > 0 and layer.size_bytes > 0 for layer in whole.layers)
    first, *rest = layers
    assert whole.fits
    more = cost(network(dataclasses.replace(first, macs=first.macs + 1000), *rest), target)
    assert more.energy_j > whole.energy_j
    wider = cost(network(dataclasses.replace(first, act_bits=first.act_bits + 1), *rest), target)
    assert wider.energy_j >= whole.energy_j
    more_levels = cost(network(dataclasses.replace(first, weight_levels=first.weight_levels + 1), *rest), target)
    assert more_levels.energy_j >= whole.energy_j
