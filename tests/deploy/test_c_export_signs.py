"""Signs on both sides become counted bits in exported C: the same bytes and logits, in less memory."""

from dataclasses import replace

import numpy as np
import pytest
from exported_c import is_clean_under_sanitizers, needs_gcc
from random_networks import BINARY, SHIFT4, TERNARY, Builder

from greenshift.deploy.c_export import export_c, verify_c
from greenshift.deploy.c_export.signs import Signs, sign_maps
from greenshift.deploy.network import Grid, Lookup, Network
from greenshift.targets import load_target

M4 = load_target("cortex-m4")


def one_layer(channels=16, size=(9, 7), kernel=3, stride=1, threshold=100, unit=16, padding=None) -> Network:
    b = Builder(np.random.default_rng(channels + kernel))
    x = b.signs(b.input(*size, channels), threshold, unit)
    x = b.conv(x, 6, kernel, stride, padding, storage=BINARY, grid=Grid(-5, 128))
    b.linear(x, 3)
    return b.network()


def exported(network, folder, **options):
    """Report and whether every map and logit is the reference's."""
    report = export_c(network, M4, folder, **options)
    return report, verify_c(folder, M4).runs[0].identical


@needs_gcc
@pytest.mark.parametrize(
    "shape",
    [
        {"channels": 8},
        {"channels": 24, "stride": 2},
        {"channels": 40, "kernel": 1},
        {"channels": 128, "size": (4, 5)},  # 36 words, more than one byte of a count holds
        {"channels": 16, "kernel": 5, "size": (5, 4)},
        {"channels": 16, "kernel": 3, "padding": 0, "size": (3, 3)},
        {"channels": 16, "threshold": 1, "unit": 127},
        {"channels": 16, "threshold": 255, "unit": 1},
    ],
    ids=str,
)
def test_counted_bits_give_the_references_bytes(shape, tmp_path):
    report, identical = exported(one_layer(**shape), tmp_path)
    assert report.layers[0].implementation == "popcount"
    assert identical


@needs_gcc
def test_logits_and_two_readers_and_stripes_between_other_layers(tmp_path):
    """Layers that gather bytes use the memory of the mask in between."""
    b = Builder(np.random.default_rng(3))
    x = b.conv(b.input(10, 9, 3), 16, storage=SHIFT4)
    y = b.signs(x)
    left = b.conv(y, 16, storage=BINARY, grid=Grid(-4))
    right = b.conv(b.conv(y, 16, storage=BINARY, grid=Grid(-4)), 16, storage=TERNARY, grid=Grid(-4))
    b.linear(b.signs(b.max_pool(b.add(left, right))), 5, storage=BINARY)
    report, identical = exported(b.network(), tmp_path)
    assert [layer.implementation for layer in report.layers].count("popcount") == 3
    assert report.layers[-1].implementation == "popcount"
    assert identical


@needs_gcc
def test_a_wrong_bit_is_noticed(tmp_path):
    export_c(one_layer(), M4, tmp_path)
    source = (tmp_path / "network.c").read_text()
    position = source.index("} weights_2 = {{") + len("} weights_2 = {{")
    (tmp_path / "network.c").write_text(source[:position] + "1 ^ " + source[position:])
    assert not verify_c(tmp_path, M4).runs[0].identical


@needs_gcc
def test_sanitizers_find_nothing(tmp_path):
    export_c(one_layer(channels=24, stride=2), M4, tmp_path)
    assert is_clean_under_sanitizers(tmp_path)


def test_bits_take_an_eighth_of_the_memory_of_their_map_and_of_int8_weights(tmp_path):
    network = one_layer(channels=64, size=(16, 16))
    counted = export_c(network, M4, tmp_path / "a")
    bytes_each = export_c(network, M4, tmp_path / "b", only="loops")
    assert counted.layers[0].flash_bytes == bytes_each.layers[0].flash_bytes / 8 * 6 / 8  # loops fill up to 8 outputs
    assert counted.layers[0].cycles < bytes_each.layers[0].cycles / 4
    assert counted.ram_bytes < bytes_each.ram_bytes - 1000


def tabled(network: Network, table) -> Network:
    """The network with another table in its look-up."""
    steps = [replace(step, table=table) if isinstance(step, Lookup) else step for step in network.steps]
    return Network(tuple(steps), network.description)


def test_what_is_no_map_of_signs_stays_bytes():
    network, places = one_layer(), np.arange(256)
    assert sign_maps(network) == {1: Signs(100, 16)}
    for table in (
        np.where(places < 100, 144, 112),  # falling
        np.where(places < 100, 112, 145),  # not as far from zero
        np.where(places < 100, 112, np.where(places < 200, 128, 144)),  # three values
        np.full(256, 144),
    ):
        assert sign_maps(tabled(network, table.astype(np.uint8))) == {}
    assert sign_maps(one_layer(channels=12)) == {}


def test_maps_that_others_read_stay_bytes():
    for storage, groups in ((TERNARY, 1), (BINARY, 2)):
        b = Builder(np.random.default_rng(0))
        x = b.signs(b.input(6, 6, 16))
        y = b.conv(x, 4, storage=storage, groups=groups)
        b.linear(b.add(y, b.conv(x, 4, storage=BINARY)), 3)
        assert sign_maps(b.network()) == {}
    b = Builder(np.random.default_rng(0))
    x = b.signs(b.input(6, 6, 16))
    b.linear(b.add(x, b.conv(x, 16, storage=BINARY)), 3)
    assert sign_maps(b.network()) == {}


def test_a_target_without_a_figure_for_it_counts_no_bits(tmp_path):
    model = replace(M4.model, kernels=tuple(k for k in M4.model.kernels if k.name != "binary-popcount"))
    report = export_c(one_layer(), replace(M4, model=model), tmp_path)
    assert report.layers[0].implementation == "generated"
