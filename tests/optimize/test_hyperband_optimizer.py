"""Random Hyperband: its brackets, what it promotes, and that only what was told decides."""

import itertools

import numpy as np
import pytest
from ConfigSpace import Categorical, ConfigurationSpace, Float
from hypothesis import given, settings
from hypothesis import strategies as st

from greenshift.objectives import get_objectives
from greenshift.optimize import Fidelity, make_fidelity, make_optimizer
from greenshift.optimize.fidelity import rungs
from greenshift.optimize.hyperband import bracket_sizes
from greenshift.pareto import non_dominated


def make(*, maximum=9, seed=0, space=None):
    if space is None:
        space = ConfigurationSpace()
        space.add(Float("x", (0, 1)), Float("y", (0, 1)))
    return make_optimizer(
        "hyperband",
        space=space,
        objectives=get_objectives(("error", "energy_j")),
        fidelity=make_fidelity("epochs", 1, maximum),
        seed=seed,
    )


def outcome(proposal):
    """Two objectives that disagree, and ranks that change with the fidelity."""
    x, y = proposal.configuration["x"], proposal.configuration["y"]
    return {"error": x + y / proposal.fidelity, "energy_j": 1 - x + 0.3 * y}


def tell(optimizer, proposal, objectives=None, status="ok"):
    optimizer.tell(
        trial=proposal.trial,
        fidelity=proposal.fidelity,
        objectives=(objectives or outcome(proposal)) if status == "ok" else None,
        cost_s=1.0,
        status=status,
        configuration=proposal.configuration,
    )


def run(optimizer, steps):
    proposals = []
    for _ in range(steps):
        proposals += optimizer.ask(1)
        tell(optimizer, proposals[-1])
    return proposals


def test_rungs_are_powers_of_eta_below_the_maximum():
    assert rungs(Fidelity("epochs", 1, 9)) == (1, 3, 9)
    assert rungs(Fidelity("epochs", 1, 52)) == (2, 6, 17, 52)
    assert rungs(Fidelity("epochs", 2, 52)) == (6, 17, 52)
    assert rungs(Fidelity("epochs", 1, 243)) == (1, 3, 9, 27, 81, 243)
    assert rungs(Fidelity("share", 0.25, 1.0, 2)) == (0.25, 0.5, 1.0)


@given(low=st.integers(1, 30), factor=st.floats(1, 300), eta=st.integers(2, 5))
def test_rungs_rise_and_end_at_the_maximum(low, factor, eta):
    high = round(low * factor)
    values = rungs(Fidelity("epochs", low, high, eta))
    assert values[-1] == high
    assert values[0] >= low
    assert all(below < above for below, above in itertools.pairwise(values))


def test_brackets_have_smacs_numbers():
    assert bracket_sizes(3, 3) == [[9, 3, 1], [5, 1], [3]]
    assert bracket_sizes(3, 4) == [[27, 9, 3, 1], [12, 4, 1], [6, 2], [4]]
    assert bracket_sizes(2, 3) == [[4, 2, 1], [3, 1], [3]]


@pytest.mark.parametrize(("minimum", "maximum", "eta"), [(1, 9, 3), (1, 52, 3), (2, 52, 3), (1, 100, 2), (5, 100, 4)])
def test_brackets_are_those_of_the_installed_smac(minimum, maximum, eta):
    utils = pytest.importorskip("smac.intensifier.hyperband_utils")
    theirs = utils.determine_HB(minimum, maximum, eta)
    fidelity = Fidelity("epochs", minimum, maximum, eta)
    assert bracket_sizes(eta, len(rungs(fidelity))) == list(theirs["n_configs_in_stage"].values())
    assert rungs(fidelity) == tuple(map(round, theirs["budgets_in_stage"][0]))


@pytest.mark.parametrize(("maximum", "round_of"), [(9, [9, 3, 1, 5, 1, 3]), (52, [27, 9, 3, 1, 12, 4, 1, 6, 2, 4])])
def test_two_rounds_of_brackets_one_rung_after_the_other(maximum, round_of):
    fidelities = [proposal.fidelity for proposal in run(make(maximum=maximum), 2 * sum(round_of))]
    stairs = {9: [1, 3, 9, 3, 9, 9], 52: [2, 6, 17, 52, 6, 17, 52, 17, 52, 52]}[maximum]
    expected = [fidelity for count, fidelity in zip(round_of, stairs, strict=True) for _ in range(count)]
    assert fidelities == 2 * expected


def test_promoted_are_the_non_dominated_at_that_rung():
    optimizer = make()
    first, points = optimizer.ask(9), {}
    # Three points on the front, which no weighted sum would all choose, and six behind it.
    values = [(5, 5), (1, 4), (6, 6), (3.5, 3.5), (7, 7), (4, 1), (8, 8), (9, 4.5), (4.5, 9)]
    for proposal, (error, energy_j) in zip(first, values, strict=True):
        points[proposal.trial] = error, energy_j
        tell(optimizer, proposal, {"error": error, "energy_j": energy_j})
    promoted = optimizer.ask(3)
    assert {proposal.trial for proposal in promoted} == {first[1].trial, first[3].trial, first[5].trial}
    assert non_dominated([points[proposal.trial] for proposal in promoted]).all()
    assert all(proposal.fidelity == 3 for proposal in promoted)
    assert all(proposal.configuration == first[proposal.trial].configuration for proposal in promoted)


def test_failures_are_not_promoted():
    optimizer = make()
    first = optimizer.ask(9)
    for proposal in first[:7]:
        tell(optimizer, proposal, status="failed")
    for proposal in first[7:]:
        tell(optimizer, proposal, {"error": 0.9, "energy_j": float(proposal.trial)})
    following = optimizer.ask(3)
    assert [(proposal.trial, proposal.fidelity) for proposal in following[:2]] == [(7, 3), (8, 3)]
    assert (following[2].trial, following[2].fidelity) == (9, 3), "the next bracket starts where this one waits"


def test_nobody_waits_for_results_that_are_late():
    optimizer = make()
    asked = optimizer.ask(200)
    assert len({(proposal.trial, proposal.fidelity) for proposal in asked}) == 200
    for proposal in asked[1:9]:
        tell(optimizer, proposal)
    assert optimizer.ask(1)[0].trial == 200
    tell(optimizer, asked[0])
    assert (optimizer.ask(1)[0].fidelity, asked[0].fidelity) == (3, 1), "the oldest bracket goes on first"


@given(data=st.data(), steps=st.integers(0, 40), workers=st.integers(1, 5), seed=st.integers(0, 100))
@settings(max_examples=30, deadline=None)
def test_retelling_in_any_order_goes_on_where_it_stopped(data, steps, workers, seed):
    original, resumed = make(seed=seed), make(seed=seed)
    under_way, told = list(original.ask(workers)), []
    for _ in range(steps):
        told.append(under_way.pop(data.draw(st.integers(0, len(under_way) - 1))))
        tell(original, told[-1])
        under_way += original.ask(1)
    for proposal in under_way:  # a study finishes and tells what is under way before it asks again
        tell(original, proposal)
    for proposal in data.draw(st.permutations(told + under_way)):
        tell(resumed, proposal)
    assert resumed.ask(6) == original.ask(6)


def test_a_small_space_ends_with_everything_at_full_fidelity():
    space = ConfigurationSpace()
    space.add(Categorical("x", [0.1, 0.2, 0.3, 0.4]), Categorical("y", [0.0, 0.5]))
    optimizer, proposals = make(space=space), []
    while asked := optimizer.ask(1):
        proposals += asked
        tell(optimizer, asked[0])
    assert sorted(p.trial for p in proposals if p.fidelity == 9) == list(range(8))
    assert len(proposals) < 3 * 8
    assert len({(p.trial, p.fidelity) for p in proposals}) == len(proposals)


def test_what_failed_in_a_small_space_is_not_tried_again():
    space = ConfigurationSpace()
    space.add(Categorical("x", [0.1, 0.2, 0.3]), Categorical("y", [0.0]))
    optimizer, proposals = make(space=space), []
    while asked := optimizer.ask(1):
        proposals += asked
        tell(optimizer, asked[0], status="failed")
    assert [proposal.fidelity for proposal in proposals] == [1, 1, 1]


def test_told_above_the_rung_counts_at_the_rung():
    space = ConfigurationSpace()
    space.add(Categorical("x", [0.1, 0.2, 0.3]), Categorical("y", [0.0]))
    optimizer = make(space=space)
    for trial, x in enumerate((0.1, 0.2, 0.3)):
        configuration = {"x": x, "y": 0.0}
        objectives = {"error": x, "energy_j": x}
        optimizer.tell(trial=trial, fidelity=9, objectives=objectives, cost_s=1, configuration=configuration)
    assert optimizer.ask(1) == []


def test_results_only_decide_what_is_promoted():
    """The configurations are one sequence of draws, whatever is told."""
    first, second = make(seed=4), make(seed=4)
    for optimizer, sign in ((first, 1), (second, -1)):
        for proposal in optimizer.ask(9):
            tell(optimizer, proposal, {"error": sign * proposal.trial, "energy_j": sign * float(proposal.trial)})
    assert {p.trial for p in first.ask(3)} == {0, 1, 2}
    assert {p.trial for p in second.ask(3)} == {6, 7, 8}
    fresh = [[p for p in optimizer.ask(5) if p.trial >= 9] for optimizer in (first, second)]
    assert fresh[0] == fresh[1]
    assert len(np.unique([p.configuration["x"] for p in fresh[0]])) == len(fresh[0]) > 0
