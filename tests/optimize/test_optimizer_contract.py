"""What every optimizer promises, tried on all of them."""

import importlib.util
import os
import subprocess
import sys

import pytest
from ConfigSpace import (
    Categorical,
    ConfigurationSpace,
    Constant,
    EqualsCondition,
    Float,
    ForbiddenAndConjunction,
    ForbiddenEqualsClause,
    Integer,
)
from ConfigSpace import Configuration as Sample

from greenshift.errors import InputError
from greenshift.objectives import get_objectives
from greenshift.optimize import Fidelity, make_fidelity, make_optimizer, optimizer_names

NAMES = ("error", "energy_j", "latency_s")
LIBRARIES = {"smac": "smac", "nsga2": "pymoo"}
OPTIMIZERS = [
    pytest.param(
        name,
        marks=pytest.mark.skipif(
            importlib.util.find_spec(LIBRARIES.get(name, "ConfigSpace")) is None, reason="its library is not installed"
        ),
    )
    for name in optimizer_names()
]
pytestmark = pytest.mark.parametrize("name", OPTIMIZERS)
EPOCHS = make_fidelity("epochs", 1, 9)


def mixed_space():
    space = ConfigurationSpace()
    space.add(Float("lr", (1e-3, 0.1), default=0.05), Integer("bits", (2, 8)), Categorical("kind", ["Q", "PS"]))
    return space


def conditional_space():
    space = ConfigurationSpace()
    optimizer, momentum = Categorical("optimizer", ["SGD", "Adam"]), Float("momentum", (0, 0.9))
    kind = Categorical("kind", ["a", "b"])
    space.add(
        optimizer, momentum, kind, Float("lr", (1e-5, 1e-1), log=True), EqualsCondition(momentum, optimizer, "SGD")
    )
    space.add(ForbiddenAndConjunction(ForbiddenEqualsClause(optimizer, "Adam"), ForbiddenEqualsClause(kind, "b")))
    return space


def categorical_space():
    space = ConfigurationSpace()
    space.add(
        Categorical("kind", ["Q", "PS"]), Categorical("size", ["s", "m", "l"]), Categorical("flip", ["no", "yes"])
    )
    return space


def one_point_space():
    space = ConfigurationSpace()
    space.add(Constant("bits", 4), Categorical("kind", ["Q"]))
    return space


def result(configuration, fidelity, count):
    """Any smooth trade-off; energies in nanojoules, as tiny networks have them."""
    error = abs(configuration.get("lr", 0.05) - 0.03) + 0.1 * len(str(configuration.get("kind", ""))) + 0.3 / fidelity
    values = (error, 1e-9 * configuration.get("bits", 3), 1e-3 * (1 + configuration.get("momentum", 0.5)))
    return dict(zip(NAMES[:count], values[:count], strict=True))


def make(name, space, *, count=2, fidelity=EPOCHS, seed=1, max_trials=16):
    return make_optimizer(
        name,
        space=space,
        objectives=get_objectives(NAMES[:count]),
        fidelity=fidelity,
        seed=seed,
        max_trials=max_trials,
    )


def told(proposal, count=2, failed=False):
    return {
        "trial": proposal.trial,
        "fidelity": proposal.fidelity,
        "objectives": None if failed else result(proposal.configuration, proposal.fidelity or 9, count),
        "cost_s": 1.0,
        "status": "failed" if failed else "ok",
    }


def drive(optimizer, steps, *, workers=1, count=2, fails=lambda _: False):
    """Run a study with a sliding window of `workers` evaluations; return the proposals in order."""
    window, proposals = [], []
    for number in range(steps):
        while len(window) < workers and (asked := optimizer.ask(1)):
            window += asked
        if not window:
            break
        proposal = window.pop(0)
        proposals.append(proposal)
        optimizer.tell(**told(proposal, count, fails(number)))
    return proposals


def slots(proposals):
    return [(proposal.trial, proposal.fidelity) for proposal in proposals]


def check(proposals, space, fidelity):
    """Legal, never twice, one number for one configuration, fidelities inside and rising."""
    assert len(set(slots(proposals))) == len(proposals)
    configurations, reached = {}, {}
    for proposal in proposals:
        Sample(space, values=proposal.configuration).check_valid_configuration()
        assert all(type(value) in (int, float, str) for value in proposal.configuration.values())
        assert configurations.setdefault(proposal.trial, proposal.configuration) == proposal.configuration
        if fidelity is None:
            assert proposal.fidelity is None
        else:
            assert fidelity.minimum <= proposal.fidelity <= fidelity.maximum
            assert proposal.fidelity > reached.get(proposal.trial, 0)
            reached[proposal.trial] = proposal.fidelity
    distinct = {tuple(sorted(configuration.items())) for configuration in configurations.values()}
    assert len(distinct) == len(configurations)
    assert sorted(configurations) == list(range(len(configurations)))


@pytest.mark.parametrize("fidelity", [EPOCHS, None], ids=["epochs", "none"])
@pytest.mark.parametrize("space", [mixed_space, conditional_space])
def test_proposals_are_legal_and_never_repeated(name, space, fidelity):
    proposals = drive(make(name, space(), fidelity=fidelity), 20, fails=lambda number: number % 4 == 0)
    assert len(proposals) == 20
    check(proposals, space(), fidelity)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_any_number_of_objectives(name, count):
    proposals = drive(make(name, mixed_space(), count=count), 18, count=count)
    assert len(proposals) == 18
    check(proposals, mixed_space(), EPOCHS)


@pytest.mark.parametrize("fidelity", [EPOCHS, None], ids=["epochs", "none"])
def test_pending_proposals_are_not_repeated(name, fidelity):
    optimizer = make(name, mixed_space(), fidelity=fidelity)
    asked = list(optimizer.ask(4)) + list(optimizer.ask(4))
    check(asked, mixed_space(), fidelity)
    for proposal in reversed(asked):
        optimizer.tell(**told(proposal))
    check(asked + drive(optimizer, 10, workers=3), mixed_space(), fidelity)


@pytest.mark.parametrize("fidelity", [EPOCHS, None], ids=["epochs", "none"])
def test_a_categorical_space_is_used_up(name, fidelity):
    proposals = drive(make(name, categorical_space(), fidelity=fidelity), 40)
    check(proposals, categorical_space(), fidelity)
    full = [proposal for proposal in proposals if proposal.fidelity == (fidelity and fidelity.maximum)]
    assert len({tuple(proposal.configuration.values()) for proposal in full}) == 12
    assert len(proposals) < 40


@pytest.mark.parametrize("fidelity", [EPOCHS, None], ids=["epochs", "none"])
def test_a_space_of_one_point(name, fidelity):
    optimizer = make(name, one_point_space(), fidelity=fidelity)
    proposals = drive(optimizer, 5)
    check(proposals, one_point_space(), fidelity)
    assert proposals[-1].configuration == {"bits": 4, "kind": "Q"}
    assert proposals[-1].fidelity == (fidelity and fidelity.maximum)
    assert list(optimizer.ask(1)) == []


@pytest.mark.parametrize("space", [mixed_space, one_point_space])
def test_a_study_in_which_everything_fails_goes_on(name, space):
    proposals = drive(make(name, space()), 16, fails=lambda _: True)
    assert len(proposals) == 16 or space is one_point_space
    check(proposals, space(), EPOCHS)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_values_that_are_no_numbers_are_survived(name, value):
    optimizer = make(name, mixed_space())
    proposals = []
    for number in range(14):
        proposals += optimizer.ask(1)
        told_now = told(proposals[-1])
        if number % 3 == 0:
            told_now["objectives"]["error"] = value
        optimizer.tell(**told_now)
    check(proposals, mixed_space(), EPOCHS)


def test_a_missing_objective_is_refused(name):
    optimizer = make(name, mixed_space())
    (proposal,) = optimizer.ask(1)
    with pytest.raises(InputError, match="objective 'energy_j' is missing"):
        optimizer.tell(**{**told(proposal), "objectives": {"error": 0.5}})


def test_unknown_trials_need_a_legal_configuration(name):
    optimizer = make(name, mixed_space())
    stranger = {"trial": 3, "fidelity": 9.0, "objectives": result({}, 9, 2), "cost_s": 1.0}
    with pytest.raises(InputError, match="trial 3 was not proposed here; pass its configuration"):
        optimizer.tell(**stranger)
    for wrong in ({"lr": 7.0, "bits": 3, "kind": "Q"}, {"lr": 0.05}, {"lr": 0.05, "bits": 3, "kind": "Q", "x": 1}):
        with pytest.raises(InputError, match="trial 3 is no configuration of this space") as error:
            optimizer.tell(**stranger, configuration=wrong)
        assert "\n" not in str(error.value)


def test_same_seed_same_proposals(name):
    first, second, other = (drive(make(name, mixed_space(), seed=seed), 18) for seed in (1, 1, 2))
    assert first == second
    assert first != other


def test_the_callers_space_is_left_alone(name):
    space, twin = mixed_space(), mixed_space()
    space.seed(5)
    twin.seed(5)
    drive(make(name, space), 3)
    assert space.sample_configuration(3) == twin.sample_configuration(3)


@pytest.mark.parametrize("kept", [1, 9, 15])
@pytest.mark.parametrize("order", ["stored", "reversed"])
def test_retelling_resumes_the_same_search(name, kept, order):
    whole = drive(make(name, mixed_space()), 20, fails=lambda number: number % 5 == 1)
    resumed = make(name, mixed_space())
    stored = list(enumerate(whole[:kept]))
    for number, proposal in reversed(stored) if order == "reversed" else stored:
        resumed.tell(**told(proposal, failed=number % 5 == 1), configuration=proposal.configuration)
    assert drive(resumed, 20 - kept, fails=lambda number: (number + kept) % 5 == 1) == whole[kept:]


@pytest.mark.parametrize("kept", [4, 11, 16])
def test_retelling_a_study_with_several_workers_repeats_nothing(name, kept):
    whole = drive(make(name, mixed_space()), 20, workers=3)
    resumed = make(name, mixed_space())
    for proposal in whole[:kept]:
        resumed.tell(**told(proposal), configuration=proposal.configuration)
    check(whole[:kept] + drive(resumed, 20 - kept, workers=3), mixed_space(), EPOCHS)


def test_configurations_from_elsewhere_are_not_proposed_again(name):
    foreign = drive(make(name, mixed_space(), seed=8, fidelity=None), 4)
    optimizer = make(name, mixed_space(), seed=1, fidelity=None)
    for proposal in foreign:
        optimizer.tell(**told(proposal), configuration=proposal.configuration)
    check(foreign + drive(optimizer, 12), mixed_space(), None)


def test_telling_twice_counts_once(name):
    def run(times):
        optimizer, proposals = make(name, mixed_space()), []
        for _ in range(12):
            proposals += optimizer.ask(1)
            for _ in range(times):
                optimizer.tell(**told(proposals[-1]), configuration=proposals[-1].configuration)
        return proposals

    assert run(1) == run(2)


def test_fractional_fidelities_stay_fractions(name):
    share = Fidelity("share", 0.1, 1.0)
    proposals = drive(make(name, mixed_space(), fidelity=share), 14)
    check(proposals, mixed_space(), share)


def test_a_fidelity_of_one_value(name):
    single = make_fidelity("epochs", 5, 5)
    assert {proposal.fidelity for proposal in drive(make(name, mixed_space(), fidelity=single), 6)} == {5.0}


def test_a_plan_of_one_trial_and_none_at_all(name):
    for planned in (1, None):
        assert len(drive(make(name, mixed_space(), max_trials=planned), 3)) == 3


SCRIPT = """
import sys
sys.path.insert(0, {folder!r})
from test_optimizer_contract import drive, make, mixed_space
for proposal in drive(make({name!r}, mixed_space(), max_trials=8), 16, workers=2):
    print(proposal)
"""


def test_same_seed_same_proposals_in_another_process(name):
    # Python orders a set of strings by a hash seed that is new in every process; here it is set to two values.
    script = SCRIPT.format(folder=os.path.dirname(__file__), name=name)
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", script],
            env={**os.environ, "PYTHONHASHSEED": seed, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in ("1", "2")
    ]
    outputs = [process.communicate(timeout=100) for process in processes]
    assert outputs[0][0].count("Proposal") == 16
    assert outputs[0] == outputs[1]
    assert outputs[0][1] == ""


def test_nothing_is_left_in_the_working_directory(name, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    drive(make(name, categorical_space()), 16)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
