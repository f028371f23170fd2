"""Studies that begin with the fronts of earlier ones; no training."""

import dataclasses
import shutil

import pytest

import study_fakes
from greenshift.config import StudyConfig
from greenshift.errors import InputError
from greenshift.front import front
from greenshift.objectives import get_objectives
from greenshift.space import make_space
from greenshift.store import Store
from greenshift.study import run_study
from greenshift.study.warm import WarmStart, fitted_to, warm_start
from study_fakes import fake_evaluator

SPACE = make_space("paper", depth=4, fidelity="epochs")
FULL = make_space("paper", depth=4, fidelity=None)


def study(folder, *, events=None, **changes):
    config = StudyConfig(
        **{
            "optimizer": "random",
            "fidelity": "epochs",
            "budget": "6trials",
            "target": "asic-45nm",
            "baselines": False,
            **changes,
        }
    )
    listen = study_fakes.ignore if events is None else events.append
    return run_study(config, folder, on_event=listen, evaluator=fake_evaluator())


def no_tables(table):
    raise AssertionError(f"where does {table} come from?")


def configurations(folder):
    """The configurations that were evaluated, in the order of their trials."""
    with Store.open(folder) as store:
        return [e.configuration for e in sorted(store.evaluations(), key=lambda e: e.trial)]


def on_front(folder):
    with Store.open(folder) as store:
        return [e.configuration for e in front(store.evaluations(), get_objectives(("error", "energy_j")))]


def change(folder, alter):
    """Write a study again with other configurations in its records."""
    with Store.open(folder) as store:
        config, evaluations = store.config(), store.evaluations()
    shutil.rmtree(folder)
    with Store.create(folder, config) as store:
        for evaluation in evaluations:
            store.record(dataclasses.replace(evaluation, configuration=alter(evaluation.configuration)))


@pytest.fixture
def earlier(tmp_path):
    folder = tmp_path / "earlier"
    study(folder, seed=3)
    return folder


@pytest.mark.parametrize("optimizer", ["random", "hyperband"])
def test_a_search_begins_with_an_earlier_front(earlier, tmp_path, optimizer):
    events, first = [], on_front(earlier)
    assert len(first) > 1
    summary = study(tmp_path / "new", events=events, warm_start=(str(earlier),), optimizer=optimizer)
    assert configurations(tmp_path / "new")[: len(first)] == first
    assert summary.warm_start == WarmStart(tuple(first), 0)
    assert events[0].note == f"warm start: {len(first)} configurations of earlier fronts"
    assert all(event.note is None for event in events[1:])


def test_without_one_nothing_is_said(tmp_path):
    events = []
    assert study(tmp_path / "new", events=events).warm_start == WarmStart()
    assert events[0].note is None


def test_several_fronts_follow_each_other_and_nothing_comes_twice(earlier, tmp_path):
    other = tmp_path / "other"
    study(other, seed=6)
    folders = (str(earlier), str(other), str(earlier))
    expected = [*on_front(earlier), *on_front(other)]
    taken = warm_start(StudyConfig(warm_start=folders), SPACE, {}, no_tables)
    assert taken == WarmStart(tuple(expected), 0)


def test_a_resumed_study_needs_the_earlier_one_no_more(earlier, tmp_path):
    arguments = {"warm_start": (str(earlier),), "optimizer": "hyperband"}
    study(tmp_path / "whole", budget="14trials", **arguments)
    study(tmp_path / "cut", budget="2trials", **arguments)
    shutil.rmtree(earlier)
    events = []
    study(tmp_path / "cut", budget="14trials", events=events, **arguments)
    assert configurations(tmp_path / "cut") == configurations(tmp_path / "whole")
    assert events[0].note is not None


def test_a_resumed_study_is_the_same_though_the_earlier_one_went_on(earlier, tmp_path):
    study(tmp_path / "cut", budget="2trials", warm_start=(str(earlier),))
    before = on_front(earlier)
    study(earlier, seed=3, budget="60trials")
    assert on_front(earlier) != before
    assert study(tmp_path / "cut", warm_start=(str(earlier),)).warm_start.configurations == tuple(before)
    assert study(tmp_path / "cut", budget="7trials").warm_start.configurations == tuple(before)


def test_a_study_that_began_without_stays_without(earlier, tmp_path):
    study(tmp_path / "new", budget="2trials")
    with pytest.raises(InputError, match="warm_start: the study in this store began without; leave it out"):
        study(tmp_path / "new", warm_start=(str(earlier),))


def test_a_prior_is_part_of_the_study(tmp_path):
    with pytest.raises(InputError, match="prior: optimizer 'random' cannot use it; choose freezethaw"):
        study(tmp_path / "new", prior={"lr": 0.05})
    assert not (tmp_path / "new").exists()
    study(tmp_path / "new", budget="2trials")
    with pytest.raises(InputError, match="holds another study: prior is None there and"):
        study(tmp_path / "new", prior={"lr": 0.05})


def test_configurations_are_fitted_to_the_new_space():
    default = {name: h.default_value for name, h in FULL.configspace.items()}
    assert fitted_to({"lr": 0.05}, FULL) == {**default, "lr": 0.05}
    assert fitted_to({"lr": 0.05, "epochs": 7, "dropout": 0.5}, SPACE).keys() == set(SPACE.configspace)
    assert fitted_to({"lr": 0.05, "weight_bits": 4.0}, SPACE)["weight_bits"] == 4
    for illegal in ({"lr": 7.0}, {"optimizer": "Lion9"}, {"shift_depth": 5}, {"dropout": 0.5}, {}):
        assert fitted_to(illegal, SPACE) is None
    assert all(type(value) in (int, float, str) for value in fitted_to({"lr": 0.05}, FULL).values())


def test_what_does_not_fit_is_skipped_and_counted(earlier):
    kept, *rest = on_front(earlier)
    change(earlier, lambda configuration: configuration if configuration == kept else {**configuration, "lr": 3.0})
    taken = warm_start(StudyConfig(warm_start=(str(earlier),)), SPACE, {}, no_tables)
    assert taken == WarmStart((kept,), len(rest))
    assert str(taken) == (
        f"warm start: 1 configuration of earlier fronts, {len(rest)} skipped because this space does not allow them"
    )


def test_what_was_trained_and_what_was_not_are_counted_apart():
    one, two = {"lr": 0.1}, {"lr": 0.2}
    assert str(WarmStart((one, two), 0, 2)) == "warm start: 2 configurations by sensitivity"
    said = "warm start: 1 configuration of earlier fronts, 1 configuration by sensitivity"
    assert str(WarmStart((one, two), 0, 1)) == said


def test_a_front_of_which_nothing_fits_is_refused(earlier, tmp_path):
    change(earlier, lambda configuration: {"dropout": configuration["lr"]})
    with pytest.raises(InputError, match=r"warm_start: not one of the \d+ configurations on the front of .* fits"):
        study(tmp_path / "new", warm_start=(str(earlier),))
    assert not (tmp_path / "new").exists()


def test_a_study_without_a_front_is_refused(tmp_path):
    Store.create(tmp_path / "empty", StudyConfig()).close()
    with pytest.raises(InputError, match=r"warm_start: the study in .*empty has no front yet"):
        study(tmp_path / "new", warm_start=(str(tmp_path / "empty"),))


def test_a_folder_without_a_study_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"warm_start: store .*gone: does not exist"):
        study(tmp_path / "new", warm_start=(str(tmp_path / "gone"),))
