"""One task evaluated: train a design at one fidelity and fill in its objectives."""

from collections.abc import Mapping
from pathlib import Path

import torch
from torch import nn

from greenshift.artifacts import start_for, teacher_for
from greenshift.deploy.bench.trained import trained_latency
from greenshift.energy import carbon_g, meter
from greenshift.errors import InputError
from greenshift.networks import profile_design, train_design
from greenshift.objectives import HOST_LATENCY, OBJECTIVES
from greenshift.records import EpochMetrics, Evaluation, Task
from greenshift.targets import cost, load_target
from greenshift.train import DivergedError, Training, error_rate
from greenshift.train.answers import KeptAnswers

_ANSWERS = "teacher-answers.sqlite"


def evaluate(task: Task, cpu_watts: float | None = None) -> Evaluation:
    """Train one design at one fidelity and fill in its objectives.

    Args:
        task: What to train, on what, for how long.
        cpu_watts: Watts of a busy core where there is no energy counter, or None for the default.

    Returns:
        The evaluation. A training that diverges or that torch refuses comes back as `failed` with the
        reason and what it consumed.
    """
    torch.set_num_threads(task.threads)
    modelled = cost(profile_design(task.design, task.data), load_target(task.target), task.max_size_bytes).to_json()
    objectives: dict[str, float] = {}
    curve: tuple[EpochMetrics, ...] = ()
    reason = kernel = None
    with meter(cpu_watts) as metered:
        try:
            model, training, curve = train_design(
                task.design,
                task.data,
                epochs=task.epochs,
                seed=task.seed,
                checkpoint=None if task.checkpoint is None else Path(task.checkpoint),
                teacher=_teacher(task),
                start=start_for(task.init, task.data),
            )
            measured, kernel = _measured(model, training, task, cpu_watts)
            objectives = {name: _objective(name, {**modelled, **measured}, curve) for name in task.objectives}
        except DivergedError as error:
            curve, reason = error.curve, str(error)
        except InputError as error:  # a network that cannot be packed, a teacher that is gone
            reason = str(error)
        except (RuntimeError, MemoryError) as error:
            reason = " ".join([f"{type(error).__name__}:", *str(error).split()])[:300]  # a MemoryError has no text
    return Evaluation.of(
        task,
        "ok" if reason is None else "failed",
        metered.reading,
        objectives=objectives,
        provenance={name: OBJECTIVES[name].provenance for name in objectives},
        cost={key: value for key, value in modelled.items() if key != "layers"},
        curve=curve,
        reason=reason,
        kernel=kernel,
    )


def _teacher(task: Task) -> nn.Module | None:
    """The network that a task learns from; a study's tasks share what it has answered, beside their checkpoints."""
    teacher = teacher_for(task.design.recipe, task.teacher, task.data, task.design.resolution)
    if teacher is None or task.checkpoint is None:
        return teacher
    return KeptAnswers(teacher, Path(task.checkpoint).with_name(_ANSWERS))


def _measured(
    model: nn.Module, training: Training, task: Task, cpu_watts: float | None
) -> tuple[dict[str, float], str | None]:
    """Objectives that are measured on this host once the network is trained, and the kernel of its runtime."""
    measured: dict[str, float] = {}
    if "emissions_g" in task.objectives:
        measured["emissions_g"] = _validation_carbon_g(model, training, task, cpu_watts)
    if HOST_LATENCY not in task.objectives:
        return measured, None
    found = trained_latency(model, training.dataset)
    return {**measured, HOST_LATENCY: found.latency_s}, found.kernel


def _objective(name: str, values: Mapping[str, float], curve: tuple[EpochMetrics, ...]) -> float:
    if name != "error":
        return values[name]
    error = curve[-1].val_error
    if error is None:
        raise RuntimeError("no validation images: the validation error cannot be an objective")
    return error


def _validation_carbon_g(model: nn.Module, training: Training, task: Task, cpu_watts: float | None) -> float:
    """The paper's own objective: gCO2e of one validation pass of the simulated network on this host."""
    assert training.validation is not None
    with meter(cpu_watts) as metered:
        error_rate(model, training.dataset, training.validation, training.compute)
    if metered.reading.energy_j is None:
        raise RuntimeError("emissions_g needs an energy reading and none was possible")
    return carbon_g(metered.reading.energy_j, task.carbon_intensity_g_per_kwh)
