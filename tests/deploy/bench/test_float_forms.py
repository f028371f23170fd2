"""The float32 forms that peers run, against the integers."""

import importlib.util
from dataclasses import replace

import numpy as np
import pytest
import torch
from random_networks import Builder, everything

from greenshift.deploy.bench.onnx_float import export_float_onnx
from greenshift.deploy.bench.torch_float import float_network
from greenshift.deploy.bench.unquantised import real_images, real_range, real_weights
from greenshift.deploy.network import Addition, Convolution, Grid, Network, Storage
from greenshift.deploy.reference import run_reference
from greenshift.errors import InputError

needs_onnx = pytest.mark.skipif(
    importlib.util.find_spec("onnx") is None or importlib.util.find_spec("onnxruntime") is None,
    reason="onnx or onnxruntime is not installed",
)


def every_float_step(seed: int = 0) -> Network:
    """All kinds of steps but the look-up, which has no float32 form; uneven padding and clipping among them."""
    b = Builder(np.random.default_rng(seed))
    x = b.input(13, 11, 3)
    x = b.conv(x, 8, high=192)
    y = b.conv(x, 8, groups=8, grid=Grid(-5, 128))
    x = b.add(x, y, Grid(-4))
    x = b.max_pool(x, 3, 2, 1)
    y = b.conv(x, 14, stride=2, grid=Grid(-4, 128))
    z = b.subsample(b.add(x, x, Grid(-4, 128)), 2, 2, 4)
    x = b.add(y, z, Grid(-4))
    x = b.concat(b.conv(x, 5, kernel=1), b.conv(x, 6))
    x = b.average_pool(x, 2, 1)
    b.linear(x, 10)
    network = b.network()
    steps = list(network.steps)
    steps[1] = replace(steps[1], padding=(2, 1, 0, 1))
    return Network(tuple(steps), network.description)


def images_of(network, count=4):
    return np.random.default_rng(1).integers(0, 256, (count, *network.input.shape), dtype=np.uint8)


def torch_logits(network, images):
    with torch.inference_mode():
        return float_network(network)(torch.from_numpy(real_images(network, images))).numpy()


@needs_onnx
@pytest.mark.parametrize("seed", range(3))
def test_torch_and_onnx_are_one_network(seed, tmp_path):
    import onnx
    import onnxruntime

    network = every_float_step(seed)
    export_float_onnx(network, tmp_path / "float.onnx")
    onnx.checker.check_model(onnx.load(tmp_path / "float.onnx"), full_check=True)
    session = onnxruntime.InferenceSession(tmp_path / "float.onnx", providers=["CPUExecutionProvider"])
    images = images_of(network)
    logits = session.run(None, {"images": real_images(network, images)})[0]
    wanted = torch_logits(network, images)
    np.testing.assert_allclose(logits, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def test_they_are_the_integers_network_where_nothing_is_rounded_or_cut_off():
    """A layer whose sums all fit its grid: what is left between the two forms is rounding to it."""
    rng = np.random.default_rng(0)
    b = Builder(rng)
    x = b.input(6, 6, 3)
    x = b.conv(x, 4, grid=Grid(-4, 128))
    b.linear(x, 5)
    network = b.network()
    conv = network.steps[1]
    fine = replace(conv, multiplier=np.full(4, 2.0**-10, np.float32))
    network = Network((network.steps[0], fine, network.steps[2]))
    images = images_of(network)
    exact, real = run_reference(network, images), torch_logits(network, images)
    half_steps = 0.5 * np.abs(network.steps[2].weight).sum(axis=(1, 2, 3)) * network.steps[2].multiplier
    assert (np.abs(exact - real) <= 1.01 * half_steps).all()
    assert np.abs(real).max() > 0


def test_a_look_up_table_has_no_float_form(tmp_path):
    network = everything()
    with pytest.raises(InputError, match="table of bytes, which has no float32 form"):
        float_network(network)
    if importlib.util.find_spec("onnx") is not None:
        with pytest.raises(InputError, match="no float32 form"):
            export_float_onnx(network, tmp_path / "float.onnx")


@pytest.mark.parametrize(
    ("zero", "low", "high", "wanted"),
    [
        (0, 0, 255, (0.0, None)),
        (128, 0, 255, (None, None)),
        (128, 128, 255, (0.0, None)),
        (0, 0, 96, (0.0, 6.0)),
        (128, 112, 144, (-1.0, 1.0)),
    ],
)
def test_ranges_are_those_of_activations_not_of_bytes(zero, low, high, wanted):
    assert real_range(Addition("a", (0, 0), (1, 1, 1), Grid(-4, zero), low, high)) == wanted


def test_weights_in_real_numbers():
    weight = np.array([[[[64]]], [[[-1]]]], np.int16)
    step = Convolution(
        *("c", (0,), (1, 1, 2), Grid(-3)),
        *(weight, np.array([8, 16], np.int32), np.array([0.5, 0.25], np.float32), Storage("shift", 4)),
    )
    real, bias = real_weights(step, Grid(-5))
    assert real[:, 0, 0, 0].tolist() == [64 * 0.5 * 4, -1 * 0.25 * 4]
    assert bias.tolist() == [8 * 0.5 / 8, 16 * 0.25 / 8]


def test_images_are_what_the_bytes_stand_for():
    network = every_float_step()
    images = images_of(network, 1)
    real = real_images(network, images)
    assert real.shape == (1, 3, 13, 11)
    byte = network.input.table[2, images[0, 4, 5, 2]]
    assert real[0, 2, 4, 5] == (int(byte) - 128) / 64
