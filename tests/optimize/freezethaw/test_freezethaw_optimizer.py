"""What freeze-thaw does beyond the contract that all optimizers keep."""

import dataclasses
import math

import numpy as np
import pytest
from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer

from greenshift.errors import InputError
from greenshift.objectives import Objective
from greenshift.optimize import Fidelity, Problem, make_optimizer
from greenshift.optimize.freezethaw import FreezeThawOptimizer, Settings
from greenshift.optimize.freezethaw.surrogate import FIT_POINTS
from greenshift.pareto import hypervolume

ERROR = Objective("error", "", reference=1.0)
ENERGY = Objective("energy_j", "J", reference=100.0, known=True, log=True)
EPOCHS = Fidelity("epochs", 1, 27, 3)


def space():
    made = ConfigurationSpace()
    made.add(Float("lr", (1e-4, 1.0), log=True), Integer("width", (1, 32), log=True), Categorical("kind", ["a", "b"]))
    return made


def known(configuration):
    return {"energy_j": float(configuration["width"] ** 1.3), "size_bytes": 1000.0 * configuration["width"]}


def error(configuration, epochs):
    """Wider is better, a rate of 0.01 is best, kind b is worse, and everything follows a power law of the epochs."""
    away = abs(math.log10(configuration["lr"]) + 2)
    best = 0.03 + 0.5 / configuration["width"] + (0.1 if configuration["kind"] == "b" else 0.0)
    return min(0.9, best + (0.05 + 0.2 * away) * epochs**-0.5 + 0.05 * away)


def problem(seed=0, **changes):
    whole = Problem(space(), (ERROR, ENERGY), EPOCHS, known, seed)
    return dataclasses.replace(whole, **changes)


def cost_s(configuration, start, end):
    return (end - start) * (1 + configuration["width"] / 8)


def drive(optimizer, full_trainings, fails=lambda _: False):
    """Run until so many average full trainings are paid for; return proposals and points."""
    spent, proposals, points, reached = 0.0, [], [], {}
    while spent < full_trainings * 27 * 2.5:
        (proposal,) = optimizer.ask(1)
        configuration, epochs = proposal.configuration, proposal.fidelity or 27.0
        cost = cost_s(configuration, reached.get(proposal.trial, 0.0), epochs)
        reached[proposal.trial] = epochs
        spent += cost
        proposals.append(proposal)
        failed = fails(configuration)
        values = {"error": error(configuration, epochs), **known(configuration)}
        optimizer.tell(
            trial=proposal.trial,
            fidelity=proposal.fidelity,
            objectives=None if failed else values,
            cost_s=cost,
            status="failed" if failed else "ok",
        )
        if not failed:
            points.append((values["error"], math.log10(values["energy_j"])))
    return proposals, points


def volume(points):
    return hypervolume(points, [1.0, 2.0])


def test_it_finds_more_than_hyperband_and_random_search_for_the_same_cost():
    volumes = {}
    for name in ("freezethaw", "hyperband", "random"):
        volumes[name] = []
        for seed in range(2):
            made = make_optimizer(
                name, space=space(), objectives=(ERROR, ENERGY), fidelity=EPOCHS, known=known, seed=seed
            )
            volumes[name].append(volume(drive(made, 5)[1]))
    assert min(volumes["freezethaw"]) > max(volumes["hyperband"] + volumes["random"])


def test_trials_are_paused_and_taken_up_again():
    proposals, _ = drive(FreezeThawOptimizer(problem()), 4)
    trials = [proposal.trial for proposal in proposals]
    assert {proposal.fidelity for proposal in proposals} == {1.0, 3.0, 9.0, 27.0}
    thawed = [n for n, trial in enumerate(trials) if trial in trials[:n] and trials[n - 1] != trial]
    assert thawed


def test_a_limit_on_what_is_known_is_kept():
    proposals, _ = drive(FreezeThawOptimizer(problem(limits={"size_bytes": 9000.0, "energy_j": 15.0})), 3)
    assert max(proposal.configuration["width"] for proposal in proposals) <= 8


def test_a_limit_on_what_is_uncertain_turns_the_search_there():
    def share_of_a(limits):
        proposals, _ = drive(FreezeThawOptimizer(problem(limits=limits), Settings(floor=0.0)), 5)
        reached = {p.trial: (p.fidelity, error(p.configuration, 27)) for p in proposals}
        full = [value for fidelity, value in reached.values() if fidelity == 27.0]
        return np.mean([value <= 0.15 for value in full])

    assert share_of_a({"error": 0.15}) > share_of_a({})


def test_a_limit_on_something_unheard_of_is_refused():
    with pytest.raises(InputError, match="limits: 'latency_s' is neither an objective nor known before an evaluation"):
        make_optimizer("freezethaw", space=space(), objectives=(ERROR,), limits={"latency_s": 1.0})


def test_a_warm_start_comes_first_and_a_bad_one_is_left():
    good, bad = {"lr": 0.01, "width": 20, "kind": "a"}, {"lr": 1.0, "width": 30, "kind": "b"}
    proposals, _ = drive(FreezeThawOptimizer(problem(warm_start=(good, bad))), 4)
    assert [proposal.configuration for proposal in proposals[:2]] == [good, bad]
    furthest = {proposal.trial: proposal.fidelity for proposal in proposals}
    assert furthest[0] > furthest[1] == 1.0


def test_a_prior_draws_the_search_and_a_wrong_one_costs_little():
    def run(prior):
        proposals, points = drive(FreezeThawOptimizer(problem(prior=prior)), 5)
        early = {p.trial: p.configuration["lr"] for p in proposals[:40]}
        return np.mean([lr > 0.3 for lr in early.values()]), volume(points)

    with_prior, without = run({"lr": 1.0}), run(None)
    assert with_prior[0] > without[0]
    assert with_prior[1] > 0.95 * without[1]


def test_failures_are_avoided():
    proposals, _ = drive(FreezeThawOptimizer(problem()), 4, fails=lambda c: c["kind"] == "b")
    late = [proposal.configuration["kind"] for proposal in proposals[len(proposals) // 2 :]]
    assert late.count("b") < 0.25 * len(late)


def test_what_a_failure_cost_does_not_say_what_its_like_will():
    """A training that diverges at once is cheap; were that believed, the search would go where trainings diverge."""
    following = []
    for share in (1e-4, 1.0):
        optimizer = FreezeThawOptimizer(problem(), Settings(cooling=0.0))
        proposals = []
        for _ in range(40):
            (proposal,) = optimizer.ask(1)
            proposals.append(proposal)
            configuration, failed = proposal.configuration, proposal.configuration["lr"] > 0.1
            values = {"error": error(configuration, proposal.fidelity), **known(configuration)}
            optimizer.tell(
                trial=proposal.trial,
                fidelity=proposal.fidelity,
                objectives=None if failed else values,
                cost_s=cost_s(configuration, 0.0, proposal.fidelity) * (share if failed else 1.0),
                status="failed" if failed else "ok",
            )
        following.append(proposals)
    assert following[0] == following[1]
    assert any(proposal.configuration["lr"] > 0.1 for proposal in following[0]), "something has failed"


def test_what_is_proposed_does_not_depend_on_the_order_of_what_was_told():
    proposals, _ = drive(FreezeThawOptimizer(problem()), 3)
    orders = [proposals, proposals[::-1], sorted(proposals, key=lambda p: p.fidelity)]
    following = []
    for order in orders:
        resumed, spent = FreezeThawOptimizer(problem()), {}
        for p in sorted(order, key=lambda p: p.fidelity):
            spent[p.trial, p.fidelity] = cost_s(
                p.configuration, max((f for t, f in spent if t == p.trial), default=0.0), p.fidelity
            )
        for p in order:
            values = {"error": error(p.configuration, p.fidelity), **known(p.configuration)}
            resumed.tell(
                trial=p.trial,
                fidelity=p.fidelity,
                objectives=values,
                cost_s=spent[p.trial, p.fidelity],
                configuration=p.configuration,
            )
        following.append(resumed.ask(3))
    assert following[0] == following[1] == following[2]


def test_many_evaluations_are_modelled_though_the_kernel_is_fitted_on_some():
    optimizer = FreezeThawOptimizer(problem(), Settings(floor=0.0))
    drawn = space()
    drawn.seed(1)
    for trial, sample in enumerate(drawn.sample_configuration(2 * FIT_POINTS)):
        configuration = dict(sample)
        values = {"error": error(configuration, 1), **known(configuration)}
        optimizer.tell(
            trial=trial,
            fidelity=1.0,
            objectives=values,
            cost_s=cost_s(configuration, 0, 1),
            configuration=configuration,
        )
    proposals, _ = drive(optimizer, 2)
    best = min(error(p.configuration, 27) for p in proposals if p.fidelity == 27.0)
    assert best < 0.13


def test_the_expected_gain_falls_as_the_search_goes_on():
    optimizer = FreezeThawOptimizer(problem(), Settings(floor=0.0))
    assert optimizer.expected_gain_per_s() is None
    drive(optimizer, 2)
    early = optimizer.expected_gain_per_s()
    drive(optimizer, 4)
    assert 0 <= optimizer.expected_gain_per_s() < early


def test_only_full_evaluations_count_where_partial_ones_are_no_solutions():
    whole = dataclasses.replace(EPOCHS, partial=False)
    finished = []
    for fidelity in (EPOCHS, whole):
        proposals, _ = drive(FreezeThawOptimizer(problem(fidelity=fidelity)), 4)
        finished.append(sum(proposal.fidelity == 27.0 for proposal in proposals))
    assert finished[1] >= finished[0] > 0
