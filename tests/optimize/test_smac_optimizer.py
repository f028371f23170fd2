"""What is particular to the paper's method."""

import pytest
from ConfigSpace import ConfigurationSpace, Float, Integer

from greenshift.errors import InputError
from greenshift.objectives import get_objectives
from greenshift.optimize import make_fidelity, make_optimizer
from greenshift.optimize.problem import Problem

pytest.importorskip("smac")

from greenshift.optimize.smac import SmacOptimizer
from greenshift.optimize.smac_facade import CostScale


def space():
    space = ConfigurationSpace()
    space.add(Float("x", (0, 1), default=0.25), Integer("n", (1, 1000), default=7))
    return space


def make(fidelity=None, objectives=("error", "energy_j"), max_trials=8):
    return make_optimizer(
        "smac", space=space(), objectives=get_objectives(objectives), fidelity=fidelity, seed=3, max_trials=max_trials
    )


def run(optimizer, steps, values, fails=lambda _: False):
    proposals = []
    for number in range(steps):
        proposals += optimizer.ask(1)
        proposal = proposals[-1]
        optimizer.tell(
            trial=proposal.trial,
            fidelity=proposal.fidelity,
            objectives=None if fails(number) else values(proposal.configuration, proposal.fidelity),
            cost_s=1.0,
            status="failed" if fails(number) else "ok",
        )
    return proposals


def trade_off(configuration, fidelity):
    return {"error": (configuration["x"] - 0.3) ** 2 + 1 / (fidelity or 9), "energy_j": 1e-9 * configuration["n"]}


@pytest.mark.parametrize(
    ("minimum", "maximum", "eta", "rungs"),
    [
        (1, 9, 3, {1, 3, 9}),
        (1, 243, 3, {1, 3, 9, 27, 81, 243}),
        (2, 52, 3, {6, 17, 52}),
        (1, 4, 3, {1, 4}),
        (5, 100, 3, {11, 33, 100}),
        (1, 20, 2, {1, 2, 5, 10, 20}),
    ],
)
def test_rungs_are_whole_and_hang_from_the_maximum(minimum, maximum, eta, rungs):
    optimizer = make(make_fidelity("epochs", minimum, maximum, eta))
    brackets = optimizer._facade.intensifier
    brackets.__post_init__()
    proposed = {optimizer._told_fidelity(budget) for budget in brackets._budgets_in_stage[0]}
    assert proposed == {float(rung) for rung in rungs}


def test_hyperband_promotes_the_non_dominated_third():
    proposals = run(make(make_fidelity("epochs", 1, 9)), 13, trade_off)
    assert [proposal.fidelity for proposal in proposals] == [1] * 9 + [3] * 3 + [9]
    first = {proposal.trial: trade_off(proposal.configuration, 1) for proposal in proposals[:9]}
    promoted = {proposal.trial for proposal in proposals[9:12]}

    def dominates(one, other):
        return all(one[name] < other[name] for name in one)

    left = first.keys() - promoted
    assert not any(dominates(first[trial], first[other]) for trial in left for other in promoted)


def test_the_default_configuration_is_in_the_initial_design():
    proposals = run(make(max_trials=8), 3, trade_off)
    assert {"x": 0.25, "n": 7} in [proposal.configuration for proposal in proposals]


@pytest.mark.parametrize(("max_trials", "initial"), [(1, 1), (8, 2), (40, 10), (None, 20), (4000, 20)])
def test_size_of_the_initial_design(max_trials, initial):
    optimizer = make(max_trials=max_trials)
    # Ten per hyperparameter of this space is 20; the default comes on top.
    assert len(optimizer._facade._initial_design.select_configurations()) == initial + 1


@pytest.mark.parametrize("unit", [1.0, 2.0**-40])
def test_the_unit_of_an_objective_changes_nothing(unit):
    def scaled(configuration, fidelity):
        values = trade_off(configuration, fidelity)
        return {**values, "energy_j": values["energy_j"] * unit}

    # 2^-40 nanojoules would be a constant to SMAC, which takes ranges below 1e-10 for none.
    assert run(make(), 12, scaled) == run(make(), 12, trade_off)


def test_both_objectives_steer_the_search():
    proposals = run(make(), 40, trade_off)
    late = [proposal.configuration for proposal in proposals[15:]]
    assert sorted(configuration["n"] for configuration in late)[len(late) // 2] < 250  # 500 by chance
    assert sorted(abs(configuration["x"] - 0.3) for configuration in late)[len(late) // 2] < 0.2  # 0.25 by chance


def test_failures_cost_the_worst_that_was_seen():
    optimizer = make()
    run(optimizer, 10, trade_off, fails=lambda number: number in (0, 4))
    history = optimizer._facade.runhistory
    by_status = {
        status: [v.cost for v in history.values() if v.status.name == status] for status in ("SUCCESS", "CRASHED")
    }
    worst = [max(costs) for costs in zip(*by_status["SUCCESS"], strict=True)]
    assert by_status["CRASHED"] == [worst, worst]


def test_cost_scale_keeps_digits_and_brings_values_near_one():
    scale = CostScale(3)
    assert scale.worst() == [1.0, 1.0, 1.0]
    first = scale.scale((3e-9, 0.0, 700.0))
    assert 0.5 <= first[0] < 1
    assert first[1] == 0.0
    assert 0.5 <= first[2] < 1
    second = scale.scale((6e-9, 0.125, 70.0))
    assert second[0] == 2 * first[0]
    assert 0.5 <= second[1] < 1
    assert scale.worst() == [second[0], second[1], first[2]]


def test_a_trial_number_stands_for_one_configuration():
    optimizer = make()
    (proposal,) = optimizer.ask(1)
    with pytest.raises(InputError, match="trial 0 is another configuration here"):
        optimizer.tell(
            trial=proposal.trial,
            fidelity=None,
            objectives={"error": 0.1, "energy_j": 1e-9},
            cost_s=1.0,
            configuration={"x": 0.125, "n": 3},
        )


def test_brackets_survive_a_resume_of_several_workers():
    fidelity = make_fidelity("epochs", 1, 9)
    whole, window, optimizer = [], [], make(fidelity)
    for _ in range(17):
        while len(window) < 3:
            window += optimizer.ask(1)
        proposal = window.pop(0)
        whole.append(proposal)
        values = trade_off(proposal.configuration, proposal.fidelity)
        optimizer.tell(trial=proposal.trial, fidelity=proposal.fidelity, objectives=values, cost_s=1.0)
    resumed = make(fidelity)
    for proposal in whole:
        resumed.tell(
            trial=proposal.trial,
            fidelity=proposal.fidelity,
            objectives=trade_off(proposal.configuration, proposal.fidelity),
            cost_s=1.0,
            configuration=proposal.configuration,
        )
    # Told are two brackets' first rungs (9 at 1 epoch, 5 at 3) and the promotions to 3 epochs of the first one.
    assert sorted(proposal.fidelity for proposal in whole) == [1] * 9 + [3] * 8
    following = run(resumed, 5, trade_off)
    assert [proposal.fidelity for proposal in following] == [9] * 5
    promoted = [proposal.trial for proposal in following[:2]]
    assert set(promoted) <= {proposal.trial for proposal in whole}
    assert not {proposal.trial for proposal in following[2:]} & {proposal.trial for proposal in whole}


def test_ask_goes_on_after_the_plan_is_used_up():
    assert len(run(make(max_trials=4), 12, trade_off)) == 12


def test_the_class_is_what_the_name_makes():
    problem = Problem(space(), get_objectives(("error",)))
    assert isinstance(make_optimizer("smac", space=problem.space, objectives=problem.objectives), SmacOptimizer)
