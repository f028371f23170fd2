"""One task evaluated for real: objectives with their provenance, failures with their reason and reading."""

import dataclasses
import math

import pytest
import torch

from greenshift import evaluate as module
from greenshift.design import Design, Distillation, Optimization, Recipe
from greenshift.evaluate import evaluate
from greenshift.networks import build_network, image_shape, profile_design
from greenshift.records import DataChoice, Evaluation, Task
from greenshift.schemes import Depth, Shift, Uniform
from greenshift.targets import cost, load_target

DESIGN = Design(
    "tiny_cnn", schemes=((Depth(2), Shift("PS", 4, 8, 8)),), recipe=Recipe(2, 32, Optimization("Adam", lr=0.003))
)
TASK = Task(
    trial=4,
    configuration={"lr": 0.003},
    design=DESIGN,
    epochs=2,
    data=DataChoice("digits", train_limit=300),
    objectives=("error", "energy_j", "latency_s", "size_bytes", "peak_memory_bytes"),
    target="cortex-m4",
    seed=3,
    fidelity={"epochs": 2.0},
)


@pytest.fixture(scope="module")
def done():
    return evaluate(TASK)


def test_the_evaluation_answers_its_task(done):
    assert done.outcome == "ok"
    assert done.reason is None
    assert (done.trial, done.design, done.fidelity, done.configuration) == (4, DESIGN, {"epochs": 2.0}, {"lr": 0.003})
    assert [epoch.epoch for epoch in done.curve] == [1, 2]
    assert Evaluation.from_json(done.to_json()) == done


def test_the_error_is_the_last_validation_error(done):
    assert done.objectives["error"] == done.curve[-1].val_error
    assert done.provenance["error"] == "measured"


def test_what_is_known_is_the_cost_models(done):
    modelled = cost(profile_design(DESIGN, TASK.data), load_target("cortex-m4"))
    for name in TASK.objectives[1:]:
        assert done.objectives[name] == getattr(modelled, name)
        assert done.provenance[name] == "modelled"
    assert done.cost["fits"] is True
    assert "layers" not in done.cost, "a store is no place for them"


def test_what_the_training_consumed_is_read(done):
    assert done.reading.wall_s >= sum(epoch.wall_s for epoch in done.curve)
    assert done.reading.energy_j is None or done.reading.energy_j > 0
    assert done.reading.provenance in ("measured", "estimated")
    assert done.reading.source


def test_the_same_seed_gives_the_same_result(done):
    again = evaluate(TASK)
    assert again.objectives == done.objectives
    other = evaluate(dataclasses.replace(TASK, seed=4))
    assert [e.train_loss for e in other.curve] != [e.train_loss for e in done.curve]


def test_a_partial_training_is_a_prefix_of_the_full_one(done):
    """Lower rungs of a fidelity train the same design for fewer epochs."""
    part = evaluate(dataclasses.replace(TASK, epochs=1, fidelity={"epochs": 1.0}))
    assert part.curve[0].train_loss == done.curve[0].train_loss
    assert part.objectives["energy_j"] == done.objectives["energy_j"]


def test_divergence_is_a_failure_with_its_reason_and_its_cost():
    wild = dataclasses.replace(DESIGN, schemes=(), recipe=Recipe(3, 16, Optimization("SGD", lr=1e30)))
    failed = evaluate(dataclasses.replace(TASK, design=wild, epochs=3))
    assert failed.outcome == "failed"
    assert "diverged" in failed.reason
    assert "1e+30" in failed.reason
    assert (failed.objectives, failed.provenance) == ({}, {}), "never a magic value"
    assert failed.reading.wall_s > 0
    assert failed.cost is not None
    assert "\n" not in failed.reason


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("CUDA out of\nmemory"), "RuntimeError: CUDA out of memory"),
        (MemoryError(), "MemoryError:"),
    ],
)
def test_what_torch_refuses_is_a_failure_in_one_line(error, reason, monkeypatch):
    def refuse(*_, **__):
        raise error

    monkeypatch.setattr(module, "train_design", refuse)
    failed = evaluate(TASK)
    assert (failed.outcome, failed.reason) == ("failed", reason)
    assert failed.objectives == {}


def test_emissions_are_simulated_and_follow_the_grid():
    """The figure is that of one validation pass on this host, so it scales with the grid, not with the target."""
    asked = dataclasses.replace(TASK, epochs=1, objectives=("error", "emissions_g"), carbon_intensity_g_per_kwh=0.0)
    clean = evaluate(asked)
    assert clean.objectives["emissions_g"] == 0
    assert clean.provenance["emissions_g"] == "simulated"
    dirty = evaluate(dataclasses.replace(asked, carbon_intensity_g_per_kwh=1000.0))
    assert dirty.objectives["emissions_g"] > 0


def test_a_checkpoint_resumes_a_task(done, tmp_path):
    file = str(tmp_path / "4.safetensors")
    evaluate(dataclasses.replace(TASK, epochs=1, checkpoint=file))
    resumed = evaluate(dataclasses.replace(TASK, checkpoint=file))
    assert resumed.objectives == done.objectives
    assert len(resumed.curve) == 2


def test_trials_of_a_study_ask_their_teacher_once(tmp_path, monkeypatch):
    """Another scheme on the same batches finds every answer; without a store there is nowhere to keep them."""
    asked = []

    class Teacher(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.network = build_network(Design("tiny_cnn"), image_shape(TASK.data))

        def forward(self, images):
            asked.append(len(images))
            return self.network(images)

    def seeded(*_):
        torch.manual_seed(0)
        return Teacher()

    monkeypatch.setattr(module, "teacher_for", seeded)
    recipe = Recipe(2, 32, Optimization("Adam", lr=0.003), distillation=Distillation())

    def trained(name, *schemes, checkpoint=True):
        design = Design("tiny_cnn", schemes=schemes, recipe=recipe)
        file = str(tmp_path / f"{name}.safetensors") if checkpoint else None
        asked.clear()
        found = evaluate(dataclasses.replace(TASK, design=design, checkpoint=file))
        assert found.outcome == "ok", found.reason
        assert found.reading.wall_s > 0
        return len(asked)

    batches = 2 * math.ceil(300 / 32)
    assert trained("0") == batches + 1, "one blank image is the check that it fits"
    assert trained("1", ("*", Uniform(4, 8))) == 0
    assert (tmp_path / "teacher-answers.sqlite").exists()
    assert trained("2", ("*", Uniform(4, 8)), checkpoint=False) == batches + 1
