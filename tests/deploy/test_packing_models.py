"""All networks of the house can be packed, and trained ones stay as accurate."""

import numpy as np
import pytest
import torch
from packing_models import images, normalised, packed, raw, settled

from greenshift.compress import convert
from greenshift.data import load_dataset, normalise
from greenshift.deploy import pack
from greenshift.deploy.file import read_network
from greenshift.deploy.packing import simulate, to_network
from greenshift.deploy.reference import run_reference
from greenshift.deploy.validity import check
from greenshift.design import Design, Optimization, Recipe
from greenshift.models import build_model, model_names
from greenshift.networks import train_design
from greenshift.records import DataChoice
from greenshift.schemes import Binary, Depth, Shift, Ternary, Uniform

DIGITS = load_dataset("digits")
SCHEMES = {
    "float32": (),
    "int8": (("*", Uniform(8, 8)),),
    "Q4": ((Depth(99), Shift("Q", 4, 8, 8)),),
    "PS5": ((Depth(99), Shift("PS", 5, 16, 16)),),
    "ternary": (("*", Ternary()),),
    "binary": (("*", Binary()),),
    "mixed": (("1.0", Shift("PS", 4)), ("3.0", Uniform(4, 8)), ("4.0", Uniform(2, 8))),
}


def built(name, size=16):
    torch.manual_seed(0)
    return build_model(name, num_classes=10, in_channels=3, image_size=size, width=0.25)


def resemblance(model, network, x):
    """Correlation of the logits: up to 56 random layers blow up every rounding, a wrong layer leaves nothing."""
    with torch.no_grad():
        wanted, found = model(normalised(x)), simulate(network)(x)
    np.testing.assert_array_equal(found.numpy(), run_reference(network, raw(x)))
    return float(torch.corrcoef(torch.stack([wanted.flatten(), found.flatten()]))[0, 1])


@pytest.mark.parametrize("name", model_names())
def test_every_model_can_be_packed(name):
    x = images(4, size=16)
    model = settled(built(name), x)
    network, report = packed(model, x)
    check(network)
    assert resemblance(model, network, x) > 0.9
    reported = {layer.name for layer in report.layers}
    weighted = {n for n, module in model.named_modules() if isinstance(module, torch.nn.Conv2d | torch.nn.Linear)}
    assert weighted <= reported
    # Only a batch norm that stands in front of a convolution is a step of its own.
    assert all(n.endswith(".bn") for n in reported - weighted)
    assert (reported == weighted) == (name != "birealnet20")


@pytest.mark.parametrize("name", ["resnet20", "mobilenetv2", "googlenet"])
def test_converted_models_can_be_packed(name):
    x = images(4, size=16)
    model = settled(convert(built(name), {Depth(999): Shift("PS", 4, 8, 8)}, x)[0], x)
    network, report = packed(model, x)
    check(network)
    assert {(layer.kind, layer.bits) for layer in report.layers} == {("shift", 4)}
    assert resemblance(model, network, x) > 0.9


@pytest.mark.parametrize("size", [8, 28, 33])
def test_odd_image_sizes(size):
    x = images(4, size=size)
    for name in ("tiny_cnn", "resnet20", "vgg16"):
        model = settled(built(name, size), x)
        assert resemblance(model, packed(model, x)[0], x) > 0.9


@pytest.fixture(scope="module", params=SCHEMES)
def trained(request):
    """A network of digits, and its name."""
    recipe = Recipe(epochs=8, batch_size=32, optimization=Optimization(lr=0.05, schedule="cosine"))
    design = Design("tiny_cnn", schemes=SCHEMES[request.param], recipe=recipe)
    model, _, _ = train_design(design, DataChoice("digits"), epochs=8, seed=0, final=True)
    return request.param, model.eval()


def test_packed_digits_are_as_accurate(trained, tmp_path):
    """At most 5 of 355 test images more are wrong, and 97 % have the class of the float network."""
    name, model = trained
    calibration, test = DIGITS.train_images[:256].float() / 255, DIGITS.test_images
    path = tmp_path / "a.packed"
    report = pack(model, path, calibration, mean=DIGITS.mean, std=DIGITS.std, allow_rounding=name == "PS5")
    network = read_network(path)
    with torch.no_grad():
        wanted = model(normalise(test, DIGITS.mean, DIGITS.std)).argmax(1)
        found = simulate(network)(test.float() / 255).argmax(1)
    accuracy = [float((classes == DIGITS.test_labels).double().mean()) for classes in (wanted, found)]
    assert accuracy[0] > 0.8
    assert accuracy[1] >= accuracy[0] - 5 / len(test)
    assert float((wanted == found).double().mean()) >= 0.97
    assert report.agreement >= 0.97
    few = test[:50]
    assert (run_reference(network, raw(few.float() / 255)).argmax(1) == found[:50].numpy()).all()
    assert report.size_bytes == path.stat().st_size < report.float32_bytes / 2.5


def test_packing_is_repeatable_and_changes_nothing(trained):
    _, model = trained
    x = DIGITS.train_images[:64].float() / 255
    options = {"mean": DIGITS.mean, "std": DIGITS.std, "allow_rounding": True, "description": {"a": 1}}
    model.train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    (one, first), (other, second) = (to_network(model, x, **options) for _ in range(2))
    assert model.training
    model.eval()
    assert first == second
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())
    pixels = raw(x[:4])
    assert (run_reference(one, pixels) == run_reference(other, pixels)).all()
    assert one.description["a"] == 1
    assert one.description["packing"]["calibration_images"] == 64
