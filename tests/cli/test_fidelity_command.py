"""Fewer images, smaller images, fewer bits and fewer shifted layers as the fidelity of a tiny real study."""

import numpy as np
import pytest
from PIL import Image

from greenshift.schemes import Depth
from greenshift.store import Store


def without(command, option):
    """A command without an option and its value."""
    place = command.index(option)
    return *command[:place], *command[place + 2 :]


@pytest.mark.parametrize(
    ("fidelity", "extra", "full"),
    [
        ("data_fraction", ("--min-fidelity", "33", "--train-limit", "64"), {"data_fraction": 1.0}),
        ("epochs,data_fraction", ("--min-fidelity", "3", "--max-fidelity", "9"), {"epochs": 9.0, "data_fraction": 1.0}),
    ],
)
def test_a_search_over_shares_of_the_images(contract, call, tmp_path, fidelity, extra, full):
    search = (
        *without(contract, "--max-fidelity"),
        "--fidelity",
        fidelity,
        *extra,
        "--optimizer",
        "hyperband",
        "--store",
        tmp_path,
    )
    assert call(*search, "--budget", "2trials", "--no-baselines").code == 0
    said = call(*search, "--budget", "5trials", "--no-baselines")
    assert said.code == 0, said.err
    with Store.open(tmp_path) as store:
        evaluations = store.evaluations()
    assert {e.outcome for e in evaluations} == {"ok"}
    shares = {e.fidelity["data_fraction"] for e in evaluations}
    assert len(shares) > 1
    assert {tuple(e.fidelity) for e in evaluations} == {tuple(full)}
    for evaluation in evaluations:
        trained = evaluation.fidelity.get("epochs", evaluation.design.recipe.epochs)
        assert len(evaluation.curve) == trained
    assert call("front", tmp_path).code == 0
    assert call("report", tmp_path).code == 0


@pytest.fixture
def pictures(tmp_path):
    """A folder of two classes: bright left or bright right halves, 16 pixels a side."""
    generator = np.random.default_rng(0)
    for part, count in (("train", 40), ("test", 6)):
        for label, columns in (("left", slice(0, 8)), ("right", slice(8, 16))):
            folder = tmp_path / "pictures" / part / label
            folder.mkdir(parents=True)
            for index in range(count):
                image = generator.integers(0, 120, (16, 16), dtype=np.uint8)
                image[:, columns] += 120
                Image.fromarray(image).save(folder / f"{index}.png")
    return f"{tmp_path / 'pictures'}@16"


@pytest.mark.parametrize(
    ("fidelity", "extra", "sides"),
    [
        ("resolution", ("--epochs", "2"), {8, 16}),
        ("epochs,resolution", ("--min-fidelity", "1", "--max-fidelity", "3"), {11, 16}),
        ("data_fraction,resolution", ("--min-fidelity", "30", "--epochs", "2"), {12, 16}),
    ],
)
def test_a_search_over_smaller_images(pictures, call, tmp_path, fidelity, extra, sides):
    search = (
        *("search", "--data", pictures, "--model", "tiny_cnn", "--space", "paper", "--optimizer", "hyperband"),
        *("--fidelity", fidelity, *extra, "--no-baselines", "--store", tmp_path / "run"),
    )
    if fidelity == "resolution":
        said = call(*search, "--min-fidelity", "4", "--budget", "1trials", "--store", tmp_path / "other")
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert "fidelity_min: model tiny_cnn: image_size must be at least 8 pixels, not 4" in said.err
    for budget in ("2trials", "5trials"):
        said = call(*search, "--budget", budget)
        assert said.code == 0, said.err
    with Store.open(tmp_path / "run") as store:
        evaluations = store.evaluations()
    assert {e.outcome for e in evaluations} == {"ok"}, [e.reason for e in evaluations]
    assert {e.design.resolution or 16 for e in evaluations} <= sides
    assert len({e.design.resolution for e in evaluations}) > 1
    assert call("front", tmp_path / "run").code == 0
    assert call("report", tmp_path / "run").code == 0


def test_a_search_over_bits_of_a_weight(contract, call, tmp_path):
    search = (*without(contract, "--max-fidelity"), "--fidelity", "weight_bits", "--optimizer", "hyperband")
    options = ("--epochs", "2", "--train-limit", "64", "--no-baselines", "--store", tmp_path)
    for budget in ("2trials", "5trials"):
        said = call(*search, *options, "--budget", budget)
        assert said.code == 0, said.err
    with Store.open(tmp_path) as store:
        evaluations = store.evaluations()
    assert len({e.fidelity["weight_bits"] for e in evaluations}) > 1
    for evaluation in evaluations:
        assert {s.weight_bits for _, s in evaluation.design.schemes} <= {evaluation.fidelity["weight_bits"]}
    for fidelity in ("weight_bits", "epochs,weight_bits"):
        said = call(
            *("search", "--space", "full", "--fidelity", fidelity, "--budget", "1trials", "--store", tmp_path / "x")
        )
        assert (said.code, said.err.count("\n")) == (2, 1)
        assert "'weight_bits' is unknown in space full, where layers have schemes of their own" in said.err


def test_a_search_over_epochs_and_the_layers_that_are_shifted_in_proportion(contract, call, tmp_path):
    search = (*without(contract, "--max-fidelity"), "--fidelity", "epochs,shift_depth", "--optimizer", "hyperband")
    options = ("--max-fidelity", "4", "--min-fidelity", "1", "--train-limit", "64", "--store", tmp_path)
    for budget in ("2trials", "5trials"):
        said = call(*search, *options, "--budget", budget)
        assert said.code == 0, said.err
    with Store.open(tmp_path) as store:
        evaluations = store.evaluations()
    trials = [e for e in evaluations if e.label is None]
    assert {(e.fidelity["epochs"], e.fidelity["shift_depth"]) for e in trials} == {(1.0, 1.0), (4.0, 5.0)}
    for evaluation in trials:
        assert len(evaluation.curve) == evaluation.fidelity["epochs"]
        assert evaluation.design.schemes[0][0] == Depth(int(evaluation.fidelity["shift_depth"]))
    assert {tuple(e.fidelity.items()) for e in evaluations if e.label} == {(("epochs", 4.0),)}
    said = call("front", tmp_path)
    assert said.code == 0
    assert "float32" in said.out
    said = call("report", tmp_path)
    assert said.code == 0
