"""Beginning with configurations from elsewhere, and priors that an optimizer cannot use."""

import importlib.util

import pytest
from ConfigSpace import Categorical, ConfigurationSpace, Float, Integer

from greenshift.errors import InputError
from greenshift.objectives import get_objectives
from greenshift.optimize import make_fidelity, make_optimizer

LIBRARIES = {"smac": "smac", "nsga2": "pymoo"}
EARLIER = [{"lr": 0.01 * number, "bits": number, "kind": "PS"} for number in range(2, 9)]


def space():
    made = ConfigurationSpace()
    made.add(Float("lr", (1e-3, 0.1)), Integer("bits", (2, 8)), Categorical("kind", ["Q", "PS"]))
    return made


def make(name, **changes):
    if importlib.util.find_spec(LIBRARIES.get(name, "ConfigSpace")) is None:
        pytest.skip("its library is not installed")
    arguments = {
        "space": space(),
        "objectives": get_objectives(("error", "energy_j")),
        "fidelity": make_fidelity("epochs", 1, 9),
        "max_trials": 40,
        "warm_start": EARLIER,
        **changes,
    }
    return make_optimizer(name, **arguments)


def run(optimizer, steps):
    proposals = []
    for _ in range(steps):
        proposals += optimizer.ask(1)
        tell(optimizer, proposals[-1])
    return proposals


def tell(optimizer, proposal):
    configuration = proposal.configuration
    optimizer.tell(
        trial=proposal.trial,
        fidelity=proposal.fidelity,
        objectives={"error": configuration["lr"] + 1 / proposal.fidelity, "energy_j": 1e-9 * configuration["bits"]},
        cost_s=1.0,
        configuration=configuration,
    )


@pytest.mark.parametrize("name", ["random", "hyperband", "nsga2", "lahc"])
def test_it_is_proposed_first_and_each_once(name):
    twice = [*EARLIER, EARLIER[0]]
    proposals = run(make(name, warm_start=twice), 12)
    assert [p.configuration for p in proposals[:7]] == [dict(sorted(one.items())) for one in EARLIER]
    assert [p.trial for p in proposals[:8]] == list(range(8))
    assert all(p.configuration not in EARLIER or p.trial < 7 for p in proposals[7:])


@pytest.mark.parametrize("name", ["random", "hyperband"])
def test_the_usual_draws_follow(name):
    warm, cold = (make(name, warm_start=first).ask(9) for first in (EARLIER, ()))
    assert [p.configuration for p in warm[7:]] == [p.configuration for p in cold[:2]]


def test_it_is_on_hyperbands_first_rung():
    proposals = run(make("hyperband"), 9)
    assert {p.fidelity for p in proposals} == {1}


def test_nsga2_makes_room_for_all_of_it_in_the_first_generation():
    many = [{"lr": number / 1000, "bits": 4, "kind": "Q"} for number in range(1, 31)]
    proposals = make("nsga2", warm_start=many).ask(30)
    assert [p.configuration["lr"] for p in proposals] == [one["lr"] for one in many]


def test_smac_has_it_in_its_initial_design():
    # 40 planned trials are 10 random ones, then the warm start and the default.
    proposals = run(make("smac"), 40)
    configurations = list({p.trial: p.configuration for p in proposals}.values())
    assert sorted(configurations.index(one) for one in EARLIER) == list(range(10, 17))
    cold = run(make("smac", warm_start=()), 5)
    assert [p.configuration for p in cold] == [p.configuration for p in proposals[:5]]


@pytest.mark.parametrize("name", ["random", "hyperband", "nsga2", "smac"])
@pytest.mark.parametrize("kept", [3, 15])
def test_retelling_resumes_a_search_that_began_warm(name, kept):
    whole = run(make(name), 24)
    resumed = make(name)
    for proposal in reversed(whole[:kept]):
        tell(resumed, proposal)
    assert run(resumed, 24 - kept) == whole[kept:]


@pytest.mark.parametrize("name", ["random", "smac"])
def test_what_is_not_legal_here_is_refused(name):
    with pytest.raises(InputError, match="warm_start: number 2 is no configuration of this space") as error:
        make(name, warm_start=[EARLIER[0], {"lr": 7.0, "bits": 2, "kind": "Q"}])
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("name", "prior", "message"),
    [
        ("random", {"lr": 0.05}, "prior: optimizer 'random' cannot use it; choose freezethaw"),
        ("smac", {"bits": 4}, "prior: optimizer 'smac' cannot use it; choose freezethaw"),
        ("hyperband", {"kind": "Q"}, "prior: optimizer 'hyperband' cannot use it; choose freezethaw"),
        ("nsga2", {"kind": "Q"}, "prior: optimizer 'nsga2' cannot use it; choose freezethaw"),
        ("random", {"rate": 0.05}, "prior: unknown hyperparameter 'rate'; known: bits, kind, lr"),
        ("random", {"lr": 7.0}, r"prior: lr cannot be 7.0; allowed: lr, .*Range: \[0.001, 0.1\]"),
        ("random", {"bits": 3.5}, r"prior: bits cannot be 3.5; allowed: bits, .*Range: \[2, 8\]"),
        ("random", {"lr": "high"}, "prior: lr cannot be 'high'"),
        ("random", {"lr": float("nan")}, "prior: lr cannot be nan"),
        ("random", {"kind": 4}, "prior: kind cannot be 4; allowed: kind, .*Choices"),
    ],
)
def test_a_prior_that_cannot_be_used_is_refused(name, prior, message):
    with pytest.raises(InputError, match=message) as error:
        make(name, prior=prior)
    assert "\n" not in str(error.value)


def test_an_empty_prior_is_none():
    assert len(make("random", prior={}).ask(2)) == 2
