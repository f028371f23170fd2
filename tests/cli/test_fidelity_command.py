"""Shares of the images as the fidelity of a tiny real study."""

import pytest

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
