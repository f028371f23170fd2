"""ONNX against the reference, as ONNX Runtime runs it."""

import dataclasses

import numpy as np
import pytest
from random_networks import BINARY, INT8, SHIFT4, SHIFT5, TERNARY, Builder, everything, residual

from greenshift.deploy.network import Grid, Network
from greenshift.deploy.onnx import export_onnx, verify_onnx
from greenshift.deploy.reference import run_reference
from greenshift.energy import machine
from greenshift.errors import InputError

onnx = pytest.importorskip("onnx", reason="needs the extra onnx")
pytest.importorskip("onnxruntime", reason="needs the extra onnx")

# Elsewhere ONNX Runtime multiplies bytes by vpmaddubsw, whose sums of two products saturate for weights above 64.
needs_dot_products = pytest.mark.skipif(
    not any("vnni" in name for name in machine().isa), reason="int8 is exact on processors with VNNI only"
)


def images(network, count=8, seed=1):
    return np.random.default_rng(seed).integers(0, 256, (count, *network.input.shape), dtype=np.uint8)


def checked(network, tmp_path, fused=True):
    report = export_onnx(network, tmp_path / "new" / "network.onnx")
    assert report.size_bytes == report.path.stat().st_size
    return report, verify_onnx(network, report.path, images(network), fused=fused)


@pytest.mark.parametrize("storage", [SHIFT4, SHIFT5, TERNARY, BINARY, pytest.param(INT8, marks=needs_dot_products)])
def test_a_resnet_gives_the_same_bytes_and_logits(storage, tmp_path):
    network = residual(3, blocks=1, storage=storage)
    report, check = checked(network, tmp_path)
    assert check.equal
    assert (check.same_class, check.largest_difference) == (8, 0)
    assert check.equal_steps == check.steps == len(network.steps) - 1
    names = tuple(layer.name for layer in network.convolutions)
    assert (report.int8_layers, report.widened_layers) == (((), names) if storage == SHIFT5 else (names, ()))


@needs_dot_products
@pytest.mark.parametrize("seed", range(3))
def test_every_kind_of_step_gives_the_same_bytes(seed, tmp_path):
    report, check = checked(everything(seed), tmp_path)
    assert check.equal
    assert check.equal_steps == check.steps
    assert report.widened_layers == ("conv6",)


def test_a_clamped_layer_of_two_planes(tmp_path):
    b = Builder(np.random.default_rng(0))
    b.linear(b.conv(b.input(9, 9, 3), 8, storage=SHIFT5, high=100), 10)
    _, check = checked(b.network(), tmp_path)
    assert check.equal
    assert check.equal_steps == check.steps


def test_without_fusion_a_byte_may_be_one_off_but_classes_stay(tmp_path):
    _, check = checked(residual(3, blocks=1), tmp_path, fused=False)
    assert not check.fused
    assert check.same_class == check.images
    assert check.largest_difference < 0.01 * check.largest_logit


@pytest.mark.parametrize("kernel", [2, 3, 7, 11])
@pytest.mark.parametrize("grids", [(Grid(-5), Grid(-6)), (Grid(-4, 128), Grid(-5, 128)), (Grid(-5), Grid(-4))])
def test_means_next_to_the_middle_of_two_bytes_are_rounded_alike(kernel, grids, tmp_path):
    b = Builder(np.random.default_rng(kernel))
    x = b.conv(b.input(15, 15, 3), 24, grid=grids[0])
    b.linear(b.average_pool(x, kernel, 1, grids[1]), 5)
    _, check = checked(b.network(), tmp_path)
    assert check.equal
    assert check.equal_steps == check.steps


def test_logits_of_a_layer_with_padding_or_groups(tmp_path):
    b = Builder(np.random.default_rng(0))
    b.conv(b.conv(b.input(1, 1, 4), 8), 4, grid=None, groups=2)
    network = b.network()
    _, check = checked(network, tmp_path)
    assert check.largest_difference < 1e-5 * check.largest_logit
    b = Builder(np.random.default_rng(0))
    b.conv(b.conv(b.input(1, 1, 4), 8), 4, grid=None, storage=SHIFT5)
    assert checked(b.network(), tmp_path)[1].equal


def test_the_model_is_a_standard_one(tmp_path):
    network = residual(0, blocks=1)
    report, _ = checked(network, tmp_path)
    model = onnx.load(report.path)
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", report.opset)]
    assert {node.domain for node in model.graph.node} == {""}
    shape = [dim.dim_value or dim.dim_param for dim in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == ["batch", 3, 32, 32]
    weights = [c for c in model.graph.initializer if c.name.endswith("/weight")]
    assert {onnx.numpy_helper.to_array(weight).dtype for weight in weights} == {np.dtype(np.int8)}


def test_the_check_sees_a_wrong_model(tmp_path):
    network = residual(0, blocks=1)
    steps = list(network.steps)
    bias = steps[-1].bias.copy()
    bias[3] += 1000
    steps[-1] = dataclasses.replace(steps[-1], bias=bias)
    report = export_onnx(Network(tuple(steps)), tmp_path / "wrong.onnx")
    check = verify_onnx(network, report.path, images(network))
    assert not check.equal
    right = run_reference(network, images(network))
    wrong = run_reference(Network(tuple(steps)), images(network))
    assert check.largest_difference == np.abs(right - wrong).max() > 0


def test_what_cannot_be_written_or_run_is_named(tmp_path):
    network = residual(0, blocks=1)
    with pytest.raises(InputError, match="cannot be written"):
        export_onnx(network, tmp_path)
    with pytest.raises(InputError, match="steps"):
        export_onnx(Network(network.steps[:1]), tmp_path / "x.onnx")
    (tmp_path / "x.onnx").write_text("this is no model")
    with pytest.raises(InputError, match="onnxruntime refuses the model"):
        verify_onnx(network, tmp_path / "x.onnx", images(network))
