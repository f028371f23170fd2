"""Records: the same after a trip through JSON, and complete as an answer to a task."""

import dataclasses
import json
import math

from hypothesis import given
from hypothesis import strategies as st

from greenshift.design import Design
from greenshift.energy.reading import Reading
from greenshift.records import DataChoice, EpochMetrics, Evaluation, Task
from value_strategies import designs

finite = st.floats(0, 1e9)
maybe = st.none() | finite
readings = st.builds(
    Reading,
    wall_s=finite,
    cpu_s=maybe,
    energy_j=maybe,
    provenance=st.sampled_from(["measured", "estimated"]),
    source=st.text(max_size=20),
    coverage=st.sampled_from([(), ("cpu",), ("cpu", "ram")]),
)
epochs = st.builds(
    EpochMetrics,
    epoch=st.integers(1, 200),
    train_loss=finite,
    train_error=st.floats(0, 1),
    val_error=st.none() | st.floats(0, 1),
    lr=finite,
    wall_s=finite,
)
configurations = st.dictionaries(
    st.text(max_size=8), st.integers(-9, 9) | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=5)
)
evaluations = st.builds(
    Evaluation,
    trial=st.integers(-9, 9999),
    configuration=configurations,
    design=designs,
    fidelity=st.sampled_from([{}, {"epochs": 9.0}, {"shift_depth": 4.0}]),
    outcome=st.sampled_from(["ok", "failed", "infeasible", "interrupted"]),
    objectives=st.dictionaries(st.sampled_from(["error", "energy_j"]), finite),
    provenance=st.dictionaries(st.sampled_from(["error", "energy_j"]), st.sampled_from(["measured", "modelled"])),
    reading=readings,
    label=st.none() | st.text(max_size=9),
    cost=st.none() | st.just({"energy_j": 1e-6, "fits": True, "limits": []}),
    curve=st.lists(epochs, max_size=3).map(tuple),
    reason=st.none() | st.text(max_size=30),
    finished_at=finite,
)


@given(evaluations)
def test_json_gives_the_same_evaluation(evaluation):
    text = json.dumps(evaluation.to_json(), allow_nan=False)
    assert Evaluation.from_json(json.loads(text)) == evaluation


@given(readings)
def test_json_gives_the_same_reading(reading):
    """None stays None: not measured is not zero."""
    assert Reading.from_json(json.loads(json.dumps(reading.to_json()))) == reading


@given(evaluations)
def test_reading_leaves_the_data_alone(evaluation):
    data = evaluation.to_json()
    before = json.dumps(data)
    Evaluation.from_json(data)
    assert json.dumps(data) == before


def task(**changes):
    fields = {
        "trial": 3,
        "configuration": {"lr": 0.1},
        "design": Design("tiny_cnn"),
        "epochs": 2,
        "data": DataChoice("digits"),
        "objectives": ("error",),
        "target": "cortex-m4",
        "seed": 0,
        "fidelity": {"epochs": 2.0},
    }
    return Task(**{**fields, **changes})


READING = Reading(1.0, None, None, "estimated", "none", ())


def test_an_evaluation_of_a_task_answers_that_task():
    asked = task()
    evaluation = Evaluation.of(asked, "failed", READING, reason="diverged")
    for name in ("trial", "label", "configuration", "design", "fidelity"):
        assert getattr(evaluation, name) == getattr(asked, name)
    assert (evaluation.objectives, evaluation.provenance, evaluation.curve) == ({}, {}, ())
    assert evaluation.reason == "diverged"
    assert evaluation.finished_at > 1.7e9, "Unix time"


def test_a_label_makes_a_baseline():
    assert Evaluation.of(task(), "ok", READING).role == "trial"
    assert Evaluation.of(task(label="int8", trial=-2), "ok", READING).role == "baseline"


def test_tasks_and_choices_are_values():
    assert task() == task()
    assert len({DataChoice("digits"), DataChoice("digits"), DataChoice("digits", seed=1)}) == 2
    assert dataclasses.replace(task(), seed=1) != task()
    assert math.isclose(task().carbon_intensity_g_per_kwh, 381.0)
