"""Exported C gives the reference's bytes and logits on this machine, however the layers are implemented."""

import re
from dataclasses import replace

import numpy as np
import pytest
from exported_c import is_clean_under_sanitizers, needs_gcc
from random_networks import SHIFT4, SHIFT5, STORAGES, Builder, everything, residual

from greenshift.deploy.c_export import export_c, verify_c, weights
from greenshift.deploy.c_export.choice import choose_implementations
from greenshift.deploy.network import Addition, Convolution, Grid, Network, Storage
from greenshift.deploy.reference import run_reference
from greenshift.errors import InputError
from greenshift.targets import load_target

M4 = load_target("cortex-m4")


def small(storage: Storage) -> Network:
    """Ordinary, grouped, depthwise and linear layers, both zeros, stride 2."""
    b = Builder(np.random.default_rng(0))
    x = b.conv(b.input(9, 7, 6), 6, 3, groups=2, storage=storage, grid=Grid(-5, 128))
    x = b.conv(x, 6, 3, groups=6, storage=storage)
    x = b.conv(x, 5, 3, 2, storage=storage, grid=Grid(-5, 128))
    b.linear(x, 3, storage=storage)
    return b.network()


def identical_on_host(network, folder, **options) -> bool:
    export_c(network, M4, folder, **options)
    return verify_c(folder, M4).runs[0].identical


@needs_gcc
@pytest.mark.parametrize("only", ["generated", "lists", "loops"])
def test_every_step_and_map_is_the_references(tmp_path, only):
    assert identical_on_host(everything(1), tmp_path, only=only)


@needs_gcc
@pytest.mark.parametrize("storage", STORAGES, ids=lambda s: f"{s.kind}{s.bits}")
def test_layers_of_every_kind(tmp_path, storage):
    network = small(storage)
    for only in ("generated", "lists", "loops"):
        assert identical_on_host(network, tmp_path / only, only=only), only


@needs_gcc
def test_shortcuts_and_their_rows(tmp_path):
    assert identical_on_host(residual(0, blocks=2, channels=4, size=12), tmp_path)


@needs_gcc
def test_a_wrong_weight_is_noticed(tmp_path):
    export_c(small(SHIFT4), M4, tmp_path, only="loops")
    source = (tmp_path / "network.c").read_text()
    position = source.index("weights_1[] = {") + len("weights_1[] = {")
    (tmp_path / "network.c").write_text(source[:position] + "1 + " + source[position:])
    assert not verify_c(tmp_path, M4).runs[0].identical


@needs_gcc
def test_sanitizers_find_nothing(tmp_path):
    export_c(everything(2), M4, tmp_path)
    assert is_clean_under_sanitizers(tmp_path)


def test_the_source_asks_for_nothing_but_integers(tmp_path):
    export_c(everything(0), M4, tmp_path)
    text = (tmp_path / "network.c").read_text() + (tmp_path / "network.h").read_text()
    assert set(re.findall(r"#include (\S+)", text)) == {'"network.h"', "<stdint.h>"}
    assert not re.search(r"\b(double|malloc|printf|[0-9]+\.[0-9])", text)


def test_rows_that_are_no_longer_needed_make_room(tmp_path):
    b = Builder(np.random.default_rng(0))
    x = b.conv(b.input(64, 16, 4), 8)
    for _ in range(4):
        x = b.conv(x, 8)
    b.linear(b.average_pool(b.max_pool(x, 8, 8), 2), 2)
    whole = 64 * 16 * 8
    assert export_c(b.network(), M4, tmp_path).ram_bytes < whole


def test_zeros_take_no_flash_and_faster_layers_take_more():
    network = small(SHIFT4)
    layer = network.steps[1]
    assert isinstance(layer, Convolution)
    empty = Network((network.steps[0], replace(layer, weight=np.zeros_like(layer.weight)), *network.steps[2:]))
    full, none = (choose_implementations(net, M4, 0, (), only="generated")[1] for net in (network, empty))
    assert none.flash_bytes == none.cycles == 0 < full.flash_bytes
    by_way = {way: choose_implementations(network, M4, 0, (), only=way)[1] for way in ("generated", "lists", "loops")}
    assert by_way["generated"].cycles < min(by_way["lists"].cycles, by_way["loops"].cycles)
    assert by_way["generated"].flash_bytes > max(by_way["lists"].flash_bytes, by_way["loops"].flash_bytes)
    room = M4.model.flash_bytes.value - M4.model.flash_reserved_bytes.value
    needed = sum(weights.loops_bytes(layer) for layer in network.convolutions)
    tight = choose_implementations(network, M4, room - needed, ())
    assert {found.implementation for found in tight.values()} <= {"loops", "lists"}


def big_linear() -> Network:
    b = Builder(np.random.default_rng(0))
    x = b.linear(b.input(24, 24, 2), 300, grid=Grid(-4))
    b.linear(x, 10)
    return b.network()


def _wide_map() -> Network:
    b = Builder(np.random.default_rng(0))
    b.linear(b.average_pool(b.conv(b.input(8, 64, 1), 64), 8, 8), 2)
    return b.network()


def _distant_grids() -> Network:
    b = Builder(np.random.default_rng(0))
    x = b.input(2, 2, 1)
    b.linear(b.add(b.conv(x, 1, grid=Grid(-30)), b.conv(x, 1, grid=Grid(2))), 2)
    assert isinstance(b.steps[3], Addition)
    return b.network()


def _overflow() -> Network:
    b = Builder(np.random.default_rng(0))
    b.linear(b.conv(b.input(4, 4, 1024), 2, 3, storage=SHIFT5), 2)
    return b.network()


@pytest.mark.parametrize(
    ("network", "target", "words"),
    [
        (big_linear, "cortex-m0", "flash .* layer 'conv1' is the largest"),
        (_wide_map, "rv32ic", "RAM .* step 'conv1' is the largest"),
        (lambda: small(SHIFT4), "asic-45nm", "no processor with a cycle model"),
        (_distant_grids, "cortex-m4", "step 'add3'.*differ"),
        (_overflow, "cortex-m4", "layer 'conv1': sums may reach .* above 32 bits"),
    ],
)
def test_what_cannot_be_exported_is_said_in_one_line(tmp_path, network, target, words):
    with pytest.raises(InputError, match=words) as found:
        export_c(network(), load_target(target), tmp_path)
    assert "\n" not in str(found.value)


def test_a_folder_without_an_export_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"no exported network\.c"):
        verify_c(tmp_path, M4)


@needs_gcc
def test_the_class_is_that_of_the_float_logits(tmp_path):
    """The self-test compares the class with NumPy's argmax, also where all logits are negative or equal."""
    b = Builder(np.random.default_rng(3))
    b.linear(b.input(1, 1, 2, 0), 5)
    layer = b.steps[1]
    assert isinstance(layer, Convolution)
    layer.bias[:] = [-(10**6), -(10**6), -(2 * 10**6), -(10**6), -(3 * 10**6)]
    layer.multiplier[:] = layer.multiplier[0]
    layer.weight[:] = layer.weight[0]
    images = np.zeros((1, 1, 1, 2), dtype=np.uint8)
    assert run_reference(b.network(), images).argmax() == 0
    assert identical_on_host(b.network(), tmp_path, images=images)
