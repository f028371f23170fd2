"""Late acceptance hill climbing: its moves, its rule, and that it climbs."""

import pytest
from ConfigSpace import Categorical, ConfigurationSpace, Float

from greenshift.objectives import get_objectives
from greenshift.optimize import make_optimizer

CHOICES = ("a", "b", "c", "d", "e", "f")
GENES = tuple(f"g{number}" for number in range(8))
BEST = {gene: CHOICES[number % len(CHOICES)] for number, gene in enumerate(GENES)}


def genome():
    space = ConfigurationSpace()
    space.add(*(Categorical(gene, CHOICES) for gene in GENES))
    return space


def wrong(configuration):
    return sum(configuration[gene] != BEST[gene] for gene in GENES) / len(GENES)


def make(name="lahc", seed=0, space=None, **options):
    options = {"space": space or genome(), "objectives": get_objectives(("error",)), "seed": seed, **options}
    return make_optimizer(name, **options)


def tell(optimizer, proposal, error):
    optimizer.tell(
        trial=proposal.trial,
        fidelity=None,
        objectives=None if error is None else {"error": error},
        cost_s=1.0,
        status="failed" if error is None else "ok",
    )


def run(optimizer, steps, error=wrong):
    proposals = []
    for _ in range(steps):
        proposals += optimizer.ask(1)
        tell(optimizer, proposals[-1], error(proposals[-1].configuration))
    return [proposal.configuration for proposal in proposals]


def changed(one, other):
    return {gene for gene in one if one[gene] != other[gene]}


def test_it_climbs_further_than_random_search():
    def found(name):
        return [min(map(wrong, run(make(name, seed), 150))) for seed in range(3)]

    assert sum(found("lahc")) <= 0.75 * sum(found("random"))


def test_a_move_changes_one_gene_and_swaps_two():
    """At most three genes differ, and of the two that are swapped nothing is lost."""
    start = make().ask(1)[0].configuration
    optimizer = make()
    moves = run(optimizer, 60, lambda configuration: 0.0 if configuration == start else 1.0)[1:]
    sizes = [len(changed(start, move)) for move in moves]
    assert set(sizes) <= {1, 2, 3}
    assert sizes.count(3) > 30
    for move in moves:
        kept = [gene for gene in GENES if start[gene] == move[gene]]
        rest = [sorted(values[gene] for gene in GENES if gene not in kept) for values in (start, move)]
        fresh = [v for v in set(rest[1]) if rest[1].count(v) > rest[0].count(v)]
        assert len(fresh) <= 1


def test_numbers_move_to_near_ones():
    space = ConfigurationSpace()
    space.add(Float("x", (0, 1)))
    first, *moves = run(make(space=space), 30, lambda configuration: 1.0 + configuration["x"])
    assert len({move["x"] for move in moves}) == 29
    assert min(move["x"] for move in moves) < first["x"]


def follow(errors):
    """Drive a search through given errors; return which earlier configuration each one descends from."""
    optimizer, seen, parents = make(), [], []
    for error in errors:
        (proposal,) = optimizer.ask(1)
        near = [n for n, other in enumerate(seen) if len(changed(other, proposal.configuration)) <= 3]
        parents.append(near)
        seen.append(proposal.configuration)
        tell(optimizer, proposal, error)
    return parents


def test_late_acceptance_by_hand():
    """History 5 5 5; 4 is accepted (4 5 5); 4.5 is worse than 4 but better than the 5 of three steps ago."""
    parents = follow([5, 4, 4.5, 9, 9])
    assert 1 in parents[2]
    assert 2 in parents[3]
    assert 2 in parents[4]
    assert 1 not in parents[3] or 2 in parents[3]


def test_the_history_of_the_first_is_not_the_present_one():
    """With an error that equals neither the present one nor a better one of the history, a step is rejected."""
    parents = follow([1, 2, 3, 4])
    assert all(0 in near for near in parents[1:])


def test_failures_are_never_where_a_search_goes_on():
    parents = follow([1, None, None, None, None])
    assert all(0 in near for near in parents[1:])


@pytest.mark.parametrize("seed", [0, 1])
def test_the_warm_start_comes_first_and_the_best_of_it_is_the_start(seed):
    warm = [dict.fromkeys(GENES, choice) for choice in "abc"]
    proposals = run(make(seed=seed, warm_start=warm), 8, lambda c: 0.0 if set(c.values()) == {"b"} else 1.0)
    assert proposals[:3] == warm
    assert all(len(changed(warm[1], proposal)) <= 3 for proposal in proposals[3:])


def test_steps_that_are_late_do_not_hold_up_others():
    optimizer = make()
    (first,) = optimizer.ask(1)
    tell(optimizer, first, 0.0)
    asked = optimizer.ask(6)
    assert all(len(changed(first.configuration, proposal.configuration)) <= 3 for proposal in asked)
    assert len({proposal.trial for proposal in asked}) == 6
