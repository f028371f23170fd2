"""`latency_s@host`: the packed network's time on this machine as an objective of a study."""

from dataclasses import replace

import pytest

from greenshift.deploy import native
from greenshift.deploy.runtime import available_isas
from greenshift.design import Design, Optimization, Recipe
from greenshift.evaluate import evaluate
from greenshift.objectives import HOST_LATENCY, get_objectives
from greenshift.records import DataChoice, Evaluation, Task
from greenshift.schemes import Depth, Shift
from greenshift.store import Store

TASK = Task(
    trial=0,
    configuration={},
    design=Design(
        "tiny_cnn", schemes=((Depth(2), Shift("Q", 4, 8, 8)),), recipe=Recipe(1, 64, Optimization("Adam", lr=0.003))
    ),
    epochs=1,
    data=DataChoice("digits", train_limit=200),
    objectives=("error", HOST_LATENCY),
    target="cortex-m4",
    seed=0,
)
compiled = pytest.mark.skipif(not available_isas(), reason="there is no compiled library")


def test_it_is_unknown_before_training():
    (objective,) = get_objectives((HOST_LATENCY,))
    assert (objective.unit, objective.known, objective.provenance) == ("s", False, "measured")


@compiled
def test_a_trained_network_is_packed_and_timed():
    done = evaluate(TASK)
    assert (done.outcome, done.reason) == ("ok", None)
    assert 0 < done.objectives[HOST_LATENCY] < 1
    assert done.provenance[HOST_LATENCY] == "measured"
    assert done.kernel == f"{available_isas()[0]}; 2 float32 layers as int8"
    assert Evaluation.from_json(done.to_json()) == done


def test_without_the_objective_nothing_is_packed(monkeypatch):
    monkeypatch.setattr("greenshift.evaluate.trained_latency", lambda *_: pytest.fail("packed"))
    done = evaluate(replace(TASK, objectives=("error",)))
    assert (done.outcome, done.kernel) == ("ok", None)


def test_what_cannot_be_packed_has_failed_and_says_why():
    wide = Design("tiny_cnn", schemes=((Depth(5), Shift("PS", 8, 8, 8)),), recipe=TASK.design.recipe)
    done = evaluate(replace(TASK, design=wide))
    if done.outcome == "ok":
        pytest.skip("the widest window of exponents held these weights")
    assert "exponents" in (done.reason or "")
    assert done.objectives == {}
    assert done.curve, "what was trained is kept"


@compiled
def test_a_search_on_digits_measures_its_front(call, tmp_path):
    options = ["--data", "digits", "--model", "tiny_cnn", "--optimizer", "random", "--no-baselines", "--epochs", "1"]
    options += ["--train-limit", "200", "--objectives", f"error,{HOST_LATENCY}", "--budget", "3trials", "--seed", "1"]
    said = call("search", *options, "--store", tmp_path / "s")
    assert said.code == 0, said.err
    assert f"{HOST_LATENCY} measured" in said.out
    with Store.open(tmp_path / "s") as store:
        done = [e for e in store.evaluations() if e.outcome == "ok"]
    assert done
    assert all(e.kernel and e.kernel.startswith(available_isas()[0]) for e in done)
    assert call("report", tmp_path / "s").code == 0


def test_without_the_library_the_study_is_refused(call, tmp_path, monkeypatch):
    monkeypatch.setattr(native, "load_library", lambda: "there is none")
    said = call("search", "--data", "digits", "--objectives", f"error,{HOST_LATENCY}", "--store", tmp_path / "s")
    assert said.code == 2
    assert said.complaint.endswith(f"objectives: {HOST_LATENCY} needs the compiled runtime, and there is none")
