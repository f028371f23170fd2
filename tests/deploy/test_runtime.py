"""The compiled runtime gives the reference's bytes, step by step, on every instruction set of this processor."""

import os
import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.random_networks import BINARY, INT8, SHIFT5, STORAGES, TERNARY, Builder, everything, residual
from greenshift.deploy import runtime
from greenshift.deploy.network import Convolution, Grid, Network
from greenshift.deploy.reference import run_reference, run_steps
from greenshift.deploy.runtime import Runtime, available_isas
from greenshift.errors import InputError

ISAS = available_isas()
needs_library = pytest.mark.skipif(not ISAS, reason="the compiled library was not built")
on_every_isa = pytest.mark.parametrize("isa", ISAS or [pytest.param("", marks=needs_library)])


def images_for(network: Network, batch: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (batch, *network.input.shape)).astype(np.uint8)


def assert_same_steps(network: Network, isa: str, images: np.ndarray) -> None:
    expected = run_steps(network, images)
    for fuse in (True, False):
        kept = Runtime(network, isa, keep_maps=True, fuse=fuse)
        for index, step in enumerate(network.steps[:-1]):
            found = kept.step_output(images, index)
            if found is None:
                assert fuse, step.name
                assert isinstance(step, Convolution), step.name
            else:
                np.testing.assert_array_equal(found, expected[index], err_msg=f"{isa} {step.name}")
        # Without kept maps, maps share memory.
        for found_logits in (kept.run(images), Runtime(network, isa, fuse=fuse).run(images)):
            np.testing.assert_array_equal(found_logits, expected[-1].reshape(len(images), -1))


@on_every_isa
@pytest.mark.parametrize("seed", range(6))
def test_every_kind_of_step(isa: str, seed: int) -> None:
    network = everything(seed)
    assert_same_steps(network, isa, images_for(network, 3, seed))


@on_every_isa
@pytest.mark.parametrize("storage", STORAGES, ids=lambda storage: f"{storage.kind}{storage.bits}")
def test_residual_network(isa: str, storage) -> None:
    network = residual(1, blocks=1, size=16, storage=storage)
    assert_same_steps(network, isa, images_for(network, 2))


@needs_library
def test_additions_after_convolutions_are_fused() -> None:
    network = residual(0, blocks=2, size=8)
    kept = Runtime(network, keep_maps=True)
    fused = [i for i in range(len(network.steps) - 1) if kept.step_output(images_for(network, 1), i) is None]
    assert len(fused) == 6  # one for every addition, also where the other source comes later


@st.composite
def single_layers(draw: st.DrawFn) -> Network:
    """One or two convolutions of any geometry, and a second pair of them whose sum is fused, over a random map."""
    builder = Builder(np.random.default_rng(draw(st.integers(0, 2**16))))
    groups = draw(st.sampled_from([1, 1, 2, 3, 8]))
    depthwise = draw(st.booleans())
    channels = draw(st.integers(1, 40)) if depthwise else groups * draw(st.integers(1, 12))
    outputs = channels if depthwise else groups * draw(st.integers(1, 40 // groups))
    height, width = draw(st.integers(1, 12)), draw(st.integers(1, 20))
    storage = draw(st.sampled_from(STORAGES))
    x = builder.input(height, width, channels, draw(st.sampled_from([0, 128, 7])))
    kernel = draw(st.integers(1, 5)), draw(st.integers(1, 5))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    top, left = draw(st.integers(0, kernel[0] - 1)), draw(st.integers(0, kernel[1] - 1))
    bottom = max(draw(st.integers(0, kernel[0] - 1)), kernel[0] - height - top)
    right = max(draw(st.integers(0, kernel[1] - 1)), kernel[1] - width - left)
    shape = (
        (height + top + bottom - kernel[0]) // stride[0] + 1,
        (width + left + right - kernel[1]) // stride[1] + 1,
        outputs,
    )
    groups = channels if depthwise else groups
    weight_shape = (outputs, *kernel, channels // groups)
    y, z = (
        builder._weighted(x, weight_shape, shape, storage, grid, stride, (top, left, bottom, right), groups, high)
        for grid, high in ((Grid(-5), 200), (Grid(-4, 128), 255))
    )
    builder.steps[y] = replace(builder.steps[y], low=draw(st.sampled_from([0, 3])))
    added = builder.add(z, y, Grid(-4, draw(st.sampled_from([0, 100]))), low=draw(st.sampled_from([0, 5])), high=250)
    builder.linear(added, draw(st.integers(1, 20)), storage=draw(st.sampled_from(STORAGES)))
    return builder.network()


@needs_library
@settings(deadline=None, max_examples=120)
@given(single_layers(), st.integers(1, 5))
def test_any_geometry(network: Network, batch: int) -> None:
    for isa in ISAS:
        assert_same_steps(network, isa, images_for(network, batch))


@on_every_isa
@pytest.mark.parametrize("weight", [0, 1, -1, 4, 64, -64, 65, 127, -127, -128, 128, 8192, -8192])
@pytest.mark.parametrize("groups", [1, 32])
def test_nothing_saturates(isa: str, weight: int, groups: int) -> None:
    builder = Builder(np.random.default_rng(0))
    x = builder.input(6, 6, 32, zero=0)
    builder.steps[x] = replace(builder.steps[x], table=np.full((32, 256), 255, np.uint8))
    x = builder.conv(x, 32, groups=groups, storage=SHIFT5, grid=Grid(-5, 128))
    layer = builder.steps[x]
    largest = max(abs(weight), 1) * 255 * 9 * (32 // groups)
    builder.steps[x] = replace(
        layer,
        weight=np.full_like(layer.weight, weight),
        bias=np.zeros_like(layer.bias),
        multiplier=np.full_like(layer.multiplier, np.float16(100 / 2**14) * 2.0 ** (14 - np.ceil(np.log2(largest)))),
    )
    builder.linear(x, 3)
    network = builder.network()
    assert_same_steps(network, isa, images_for(network, 1))


@on_every_isa
@pytest.mark.parametrize("batch", [1, 2, 15, 16, 17, 33, 256])
def test_batches(isa: str, batch: int) -> None:
    builder = Builder(np.random.default_rng(batch))
    x = builder.conv(builder.input(6, 6, 3), 20, stride=2)
    x = builder.linear(x, 37, grid=Grid(-4), storage=TERNARY)
    builder.linear(x, 10, storage=INT8)
    network = builder.network()
    images = images_for(network, batch)
    np.testing.assert_array_equal(Runtime(network, isa).run(images), run_reference(network, images))


@on_every_isa
def test_large_layers_run_for_several_images_together(isa: str) -> None:
    builder = Builder(np.random.default_rng(0))
    x = builder.conv(builder.input(8, 8, 2), 24, storage=BINARY)
    x = builder.linear(x, 500, grid=Grid(-4))
    builder.linear(x, 10)
    network = builder.network()
    images = images_for(network, 21)
    ran = Runtime(network, isa)
    np.testing.assert_array_equal(ran.run(images), run_reference(network, images))
    np.testing.assert_array_equal(ran.run(images[:3]), run_reference(network, images[:3]))


@on_every_isa
def test_logits_may_be_a_map(isa: str) -> None:
    builder = Builder(np.random.default_rng(0))
    builder.conv(builder.conv(builder.input(7, 9, 3), 16), 19, grid=None)
    network = builder.network()
    images = images_for(network, 3)
    np.testing.assert_array_equal(Runtime(network, isa).run(images), run_reference(network, images))


@on_every_isa
def test_threads_share_a_network(isa: str) -> None:
    network = everything(3)
    ran, images = Runtime(network, isa), images_for(network, 8)
    expected = run_reference(network, images)
    wrong = []

    def work(first: int) -> None:
        for i in range(60):
            some = slice(first, first + 1 + i % 4)
            if not np.array_equal(ran.run(images[some]), expected[some]):
                wrong.append(first)

    threads = [threading.Thread(target=work, args=(first,)) for first in (0, 4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_images_need_not_be_contiguous() -> None:
    network = everything(0)
    images = images_for(network, 4)
    turned = np.ascontiguousarray(images.transpose(0, 3, 1, 2)).transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(Runtime(network).run(turned[::2]), run_reference(network, images[::2]))


def test_no_images() -> None:
    network = everything(0)
    assert Runtime(network).run(images_for(network, 0)).shape == (0, 10)


@pytest.mark.parametrize(
    "images",
    [np.zeros((1, 13, 11, 3), np.float32), np.zeros((13, 11, 3), np.uint8), np.zeros((1, 3, 13, 11), np.uint8)],
)
def test_wrong_images_are_refused(images: np.ndarray) -> None:
    with pytest.raises(InputError, match=r"^images are .* takes uint8 \(batch, 13, 11, 3\)") as found:
        Runtime(everything(0)).run(images)
    assert "\n" not in str(found.value)


@needs_library
def test_instruction_set_can_be_forced(monkeypatch: pytest.MonkeyPatch) -> None:
    network = everything(0)
    assert Runtime(network).kernel == ISAS[0]
    monkeypatch.setenv("GREENSHIFT_ISA", "reference")
    assert Runtime(network).kernel == "reference"
    monkeypatch.setenv("GREENSHIFT_ISA", "neon")
    with pytest.raises(InputError, match=r"\(neon\): this processor or this build has no such instruction set"):
        Runtime(network)


@needs_library
def test_invalid_network_is_refused() -> None:
    network = everything(0)
    steps = list(network.steps)
    steps[1] = replace(steps[1], shape=(14, 11, 16))
    with pytest.raises(InputError, match="the shape of a convolution does not follow from its source"):
        Runtime(Network(tuple(steps)))
    steps[1] = replace(network.steps[1], bias=np.zeros(3, np.int32))
    with pytest.raises(InputError, match="conv1: weights, bias and multipliers"):
        Runtime(Network(tuple(steps)))


@pytest.mark.skipif(os.environ.get("GREENSHIFT_REQUIRE_NATIVE") != "1", reason="no library has to be there")
def test_the_library_is_there_where_it_has_to_be() -> None:
    assert ISAS, "make test builds it, and what is skipped without it would pass unseen"
    assert shutil.which("gcc"), "tests of exported C would be skipped unseen"


def test_without_library_it_runs_on_numpy_and_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runtime, "load_library", lambda: "there is no compiled library here")
    network = everything(0)
    ran, images = Runtime(network, keep_maps=True), images_for(network, 2)
    assert ran.kernel == "numpy reference: there is no compiled library here"
    np.testing.assert_array_equal(ran.run(images), run_reference(network, images))
    np.testing.assert_array_equal(ran.step_output(images, 4), run_steps(network, images)[4])
    assert available_isas() == []
    with pytest.raises(InputError, match="cannot be timed"):
        ran.profile(images)
    monkeypatch.setenv("GREENSHIFT_ISA", "avx2")
    with pytest.raises(InputError, match="unset it to run on NumPy"):
        Runtime(network)


@needs_library
def test_profile_names_every_step_that_runs() -> None:
    network = residual(0, blocks=1, size=8)
    profiled = Runtime(network).profile(images_for(network, 1), repeats=3)
    fused = sum(name.startswith("add") for name, _, _ in profiled)
    assert fused == 3
    assert len(profiled) == len(network.steps) - fused
    assert all(seconds >= 0 for _, _, seconds in profiled)


def test_outputs_of_steps_need_kept_maps() -> None:
    network = everything(0)
    with pytest.raises(InputError, match="keep_maps=True"):
        Runtime(network).step_output(images_for(network, 1), 1)
