"""The last step: trained for good with several seeds, tested once each, kept as an artifact."""

import dataclasses

import pytest
import torch

from greenshift.design import Design, Optimization, Recipe
from greenshift.errors import InputError
from greenshift.final import checkpoint_error, retrain
from greenshift.models import build_model
from greenshift.networks import load_splits, train_design
from greenshift.records import DataChoice
from greenshift.schemes import Depth, Shift
from greenshift.train import DivergedError, error_rate

DIGITS = DataChoice("digits")
FEW = DataChoice("digits", train_limit=300)
DESIGN = Design(
    "tiny_cnn",
    schemes=((Depth(99), Shift("Q", 4, 8, 8)),),
    recipe=Recipe(4, 32, Optimization("Adam", lr=0.003, schedule="cosine")),
)


@pytest.fixture(scope="module")
def shipped(tmp_path_factory):
    """A design trained on all images with two seeds, and what was said meanwhile."""
    said = []
    path = tmp_path_factory.mktemp("final") / "a.safetensors"
    return retrain(DESIGN, DIGITS, [3, 8], path, epochs=4, on_seed=lambda *s: said.append(s)), said


def test_every_seed_is_tested_once(shipped):
    result, said = shipped
    assert result.seeds == (3, 8)
    assert said == list(zip(result.seeds, result.test_errors, strict=True))
    assert result.mean == pytest.approx(sum(result.test_errors) / 2)
    assert result.std == pytest.approx(abs(result.test_errors[0] - result.test_errors[1]) / 2**0.5)
    assert result.reading.wall_s > 0


def test_it_learns(shipped):
    """Fully shifted to 4 bits, a tiny network reads most digits after 4 epochs; chance is 90 % wrong."""
    assert max(shipped[0].test_errors) < 0.35


def test_the_artifact_is_that_of_the_first_seed(shipped):
    result, _ = shipped
    error, count = checkpoint_error(result.artifact, None, DIGITS, threads=1)
    assert count == len(load_splits(DIGITS)[1].test)
    # bfloat16 may have measured in the training; float32 here: an image or two apart
    assert error == pytest.approx(result.test_errors[0], abs=2.5 / count)
    assert checkpoint_error(result.artifact, "tiny_cnn", DIGITS, threads=1) == (error, count)


def test_one_seed_has_no_spread(tmp_path):
    result = retrain(DESIGN, FEW, [0], tmp_path / "a.safetensors", epochs=1)
    assert result.std is None
    assert len(result.test_errors) == 1


def test_a_divergence_writes_no_artifact(tmp_path):
    wild = dataclasses.replace(DESIGN, schemes=(), recipe=Recipe(2, 16, Optimization("SGD", lr=1e30)))
    with pytest.raises(DivergedError, match="diverged"):
        retrain(wild, FEW, [0], tmp_path / "a.safetensors", epochs=2)
    assert list(tmp_path.iterdir()) == []


def test_plain_weights_are_tested_as_the_model_that_is_named(tmp_path):
    plain = dataclasses.replace(DESIGN, schemes=())
    model, training, _ = train_design(plain, FEW, epochs=2, seed=0)
    dataset, splits = load_splits(FEW)
    expected = error_rate(model, dataset, splits.test, training.compute)
    torch.save({"state_dict": model.state_dict()}, tmp_path / "w.pt")
    error, count = checkpoint_error(tmp_path / "w.pt", "tiny_cnn", FEW, threads=1)
    assert error == pytest.approx(expected, abs=2.5 / count)


def test_checkpoints_that_do_not_fit(shipped, tmp_path):
    artifact = shipped[0].artifact
    other = build_model("tiny_cnn", num_classes=10, in_channels=3, image_size=32)
    torch.save(other.state_dict(), tmp_path / "other.pt")
    for checkpoint, model, data, message in (
        (tmp_path / "none.pt", "tiny_cnn", DIGITS, "no such file"),
        (tmp_path / "other.pt", None, DIGITS, "--model"),
        (tmp_path / "other.pt", "tiny_cnn", DIGITS, "another model"),
        (artifact, "resnet20", DIGITS, "artifact of tiny_cnn, not of resnet20"),
        (artifact, None, DataChoice("cifar10"), "made for digits images"),
    ):
        with pytest.raises(InputError, match=message) as refused:
            checkpoint_error(checkpoint, model, data, threads=1)
        assert str(checkpoint) in str(refused.value)
