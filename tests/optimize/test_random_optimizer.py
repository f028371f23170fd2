"""Random search: one sequence of draws, whatever is told and in whatever order."""

from collections import Counter

from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer
from hypothesis import given, settings
from hypothesis import strategies as st

from greenshift.objectives import get_objectives
from greenshift.optimize import make_fidelity, make_optimizer


def make(space, seed=0):
    return make_optimizer("random", space=space, objectives=get_objectives(("error",)), seed=seed)


def continuous():
    space = ConfigurationSpace()
    space.add(Float("x", (0, 1)), Integer("n", (1, 1000)))
    return space


def tell(optimizer, proposal):
    optimizer.tell(
        trial=proposal.trial,
        fidelity=None,
        objectives={"error": 0.5},
        cost_s=1.0,
        configuration=proposal.configuration,
    )


@given(data=st.data(), kept=st.integers(0, 12), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_retelling_in_any_order_goes_on_where_it_stopped(data, kept, seed):
    whole = make(continuous(), seed).ask(20)
    resumed = make(continuous(), seed)
    for proposal in data.draw(st.permutations(whole[:kept])):
        tell(resumed, proposal)
    assert resumed.ask(20 - kept) == whole[kept:]


@given(chunks=st.lists(st.integers(1, 6), min_size=1, max_size=6))
@settings(max_examples=30, deadline=None)
def test_how_many_are_asked_for_at_once_changes_nothing(chunks):
    optimizer = make(continuous())
    asked = [proposal for chunk in chunks for proposal in optimizer.ask(chunk)]
    assert asked == make(continuous()).ask(sum(chunks))


@given(sizes=st.lists(st.integers(1, 5), min_size=1, max_size=3), seed=st.integers(0, 1000))
@settings(max_examples=40, deadline=None)
def test_a_finite_space_is_used_up_exactly(sizes, seed):
    space = ConfigurationSpace()
    space.add(*(Categorical(f"c{i}", [f"v{j}" for j in range(size)]) for i, size in enumerate(sizes)))
    optimizer = make(space, seed)
    points = 1
    for size in sizes:
        points *= size
    proposals = optimizer.ask(points + 5)
    assert len({tuple(proposal.configuration.values()) for proposal in proposals}) == len(proposals) == points
    assert optimizer.ask(1) == []


def test_draws_are_uniform():
    proposals = make(continuous()).ask(2000)
    tenths = Counter(int(proposal.configuration["x"] * 10) for proposal in proposals)
    hundreds = Counter((proposal.configuration["n"] - 1) // 100 for proposal in proposals)
    # 200 expected in each; six standard deviations are about 80.
    for counts in (tenths, hundreds):
        assert set(counts) == set(range(10))
        assert all(120 < count < 280 for count in counts.values())


def test_proposals_are_at_full_fidelity():
    optimizer = make_optimizer(
        "random",
        space=continuous(),
        objectives=get_objectives(("error",)),
        fidelity=make_fidelity("epochs", 2, 30),
    )
    assert [proposal.fidelity for proposal in optimizer.ask(3)] == [30, 30, 30]


def test_a_lost_trial_is_proposed_again():
    whole, resumed = make(continuous()).ask(5), make(continuous())
    for proposal in whole[:2] + whole[3:]:
        tell(resumed, proposal)
    (again,) = resumed.ask(1)
    assert (again.trial, again.configuration) == (5, whole[2].configuration)


def test_foreign_trials_do_not_move_the_sequence():
    foreign, plain = make(continuous(), seed=9).ask(3), make(continuous(), seed=1).ask(4)
    optimizer = make(continuous(), seed=1)
    for proposal in foreign:
        tell(optimizer, proposal)
    asked = optimizer.ask(4)
    assert [proposal.configuration for proposal in asked] == [proposal.configuration for proposal in plain]
    assert [proposal.trial for proposal in asked] == [3, 4, 5, 6]


def test_changing_a_proposal_does_not_change_the_sequence():
    optimizer = make(continuous())
    optimizer.ask(1)[0].configuration["x"] = 7.0
    resumed = make(continuous())
    for proposal in make(continuous()).ask(1):
        tell(resumed, proposal)
    assert optimizer.ask(2) == resumed.ask(2)
