"""A warm start is a few configurations of another problem's front."""

import pytest

pytest.importorskip("botorch")  # the test functions come from it

from optimizers.contestants import enter, parse_contestant
from optimizers.registry import make_problem
from optimizers.simulator import Limits
from optimizers.warm import earlier_front


def test_the_earlier_front_comes_first(monkeypatch):
    monkeypatch.setattr("optimizers.warm.EARLIER", Limits(cost=2.0))
    earlier_front.cache_clear()
    configurations = earlier_front("momf-branincurrin", None, 0)
    assert 1 <= len(configurations) <= 8
    assert len({tuple(c.items()) for c in configurations}) == len(configurations)
    contestant = parse_contestant('freezethaw:warm_from="momf-branincurrin"+floor=0.1')
    assert contestant.warm_from == "momf-branincurrin"
    assert contestant.settings == {"floor": 0.1}
    started = enter(contestant, make_problem("momf-branincurrin"), 1, configurations)
    assert [proposal.configuration for proposal in started.ask(len(configurations))] == list(configurations)
    earlier_front.cache_clear()


def test_others_take_a_warm_start_too():
    problem = make_problem("momf-branincurrin")
    first = dict(problem.space.get_default_configuration())
    optimizer = enter(parse_contestant("hyperband"), problem, 0, [first])
    (proposal,) = optimizer.ask(1)
    assert proposal.configuration == pytest.approx(first)
