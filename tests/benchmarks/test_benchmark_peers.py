"""Other libraries' optimizers keep to the protocol."""

import pytest
from benchmark_problems import tiny_problem
from ConfigSpace import Categorical, ConfigurationSpace, Constant, EqualsCondition, Float, Integer
from ConfigSpace import Configuration as Sample

from greenshift.errors import InputError
from greenshift.objectives import Objective
from greenshift.optimize import Fidelity
from greenshift.optimize.problem import Problem
from optimizers.contestants import enter, parse_contestant
from optimizers.simulator import Limits, simulate

NAMES = ["optuna-gp", "optuna-tpe", "optuna-nsga2", "botorch"]


def mixed_space():
    space = ConfigurationSpace()
    kind = Categorical("kind", ["plain", "shift", "binary"])
    bits = Integer("bits", (2, 8))
    order = Categorical("order", ["s", "m", "l"], ordered=True)
    space.add(kind, bits, order, Float("rate", (1e-4, 1e-1), log=True), Constant("fixed", 3))
    space.add(EqualsCondition(bits, kind, "shift"))
    return space


def peer(name, problem):
    if name == "botorch":
        pytest.importorskip("botorch")
        from optimizers.peers.botorch import BotorchOptimizer

        return BotorchOptimizer(problem)
    pytest.importorskip("optuna")
    from optimizers.peers.optuna import OptunaOptimizer, make_sampler

    return OptunaOptimizer(problem, make_sampler(name.removeprefix("optuna-"), problem.seed))


def search(name, seed, rounds):
    space = mixed_space()
    objectives = (Objective("error", "", 1.0), Objective("size", "B", 10.0))
    optimizer = peer(name, Problem(space, objectives, Fidelity("epochs", 1, 9), None, seed))
    found = []
    for index in range(rounds):
        (proposal,) = optimizer.ask(1)
        assert proposal.fidelity == 9
        assert dict(Sample(space, values=proposal.configuration)) == proposal.configuration
        found.append(proposal.configuration)
        size = float(proposal.configuration.get("bits", 9))
        values = {"error": abs(proposal.configuration["rate"] - 0.01), "size": size}
        status = "failed" if index == 2 else "ok"
        optimizer.tell(
            trial=proposal.trial, fidelity=9, objectives=None if index == 2 else values, cost_s=1, status=status
        )
    return found


@pytest.mark.parametrize("name", NAMES)
def test_proposals_are_legal_and_repeat_with_the_seed(name):
    # Beyond the random start: BoTorch's has 14 configurations here, Optuna's 10.
    rounds = 16 if name == "botorch" else 13
    first = search(name, 0, rounds)
    assert any("bits" in configuration for configuration in first)
    assert any("bits" not in configuration for configuration in first)
    assert search(name, 0, rounds) == first
    assert search(name, 1, 3) != first[:3]


def test_botorch_points_and_configurations_are_the_same_thing():
    pytest.importorskip("botorch")
    space = mixed_space()
    optimizer = peer("botorch", Problem(space, (Objective("error", "", 1.0),)))
    space.seed(0)
    for sample in space.sample_configuration(30):
        point = optimizer._encode(dict(sample))
        assert point.min() >= 0
        assert point.max() <= 1
        decoded = optimizer._decode(point)
        assert decoded.pop("rate") == pytest.approx(sample["rate"])
        assert decoded == {name: value for name, value in dict(sample).items() if name != "rate"}


def test_botorch_needs_references():
    pytest.importorskip("botorch")
    with pytest.raises(InputError, match="reference"):
        peer("botorch", Problem(mixed_space(), (Objective("error", ""),)))


def test_what_an_optimizer_is_not_told_of_stays_hidden():
    optimizer = enter(parse_contestant("random:fidelity=false+known=false+reference=false"), tiny_problem(), 0)
    assert optimizer.ask(1)[0].fidelity is None
    trace = simulate(optimizer, tiny_problem(), "resume", Limits(cost=2))
    assert [item.at for item in trace.observed] == [1, 2]


@pytest.mark.parametrize("text", ["random:alpha=1", "optuna-gp:alpha=1"])
def test_a_setting_that_is_not_taken_is_said(text):
    with pytest.raises(InputError, match="optimizer: "):
        enter(parse_contestant(text), tiny_problem(), 0)
