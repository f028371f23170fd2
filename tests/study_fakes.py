"""A study without torch: networks that train in no time, for tests of the loop. Also runs as a script."""
# ruff: noqa: ARG001 - the signatures are those of the real functions

import json
import os
import sys
import time
from functools import partial
from pathlib import Path

from greenshift.config import StudyConfig
from greenshift.design import Design, Recipe
from greenshift.energy import NullMeter, Reading
from greenshift.errors import InputError, StudyError
from greenshift.profile import LayerProfile, NetworkProfile
from greenshift.records import DataChoice, EpochMetrics, Evaluation, Task
from greenshift.schemes import Depth
from greenshift.study import Evaluator, Event, StudyInterrupted, run_study
from greenshift.targets import cost, load_target

DEPTH = 4


def profile(design: Design, data: DataChoice) -> NetworkProfile:
    """Four convolutions, shifted from the output as far as the design says."""
    depth = max((key.count for key, _ in design.schemes if isinstance(key, Depth)), default=0)
    layers = []
    for index in range(DEPTH):
        scheme = design.schemes[0][1] if index >= DEPTH - depth else None
        bits = 32 if scheme is None else scheme.weight_bits
        layers.append(
            LayerProfile(
                name=f"conv{index}",
                kind="conv",
                arithmetic="float" if scheme is None else "shift",
                input_shape=(8, 4, 4),
                output_shape=(8, 4, 4),
                macs=9216,
                weights=576,
                weight_bits=bits,
                act_bits=32 if scheme is None else scheme.act_bits,
                parameter_bytes=576 * bits // 8,
                weight_levels=0 if scheme is None else 7,
            )
        )
    return NetworkProfile(tuple(layers), (8, 4, 4))


def evaluate(
    task: Task,
    cpu_watts: float | None,
    *,
    delay_s: float = 0.0,
    stuck: int | None = None,
    dies: int | None = None,
    marker: str | None = None,
    fails: tuple[int, ...] = (),
) -> Evaluation:
    """Train in no time; the error falls with the epochs and depends on the configuration."""
    if task.trial == dies:
        os._exit(9)
    if marker is not None:
        with open(marker, "a", encoding="utf-8") as file:
            file.write(f"{task.trial} {task.epochs}\n")
    if task.checkpoint is not None:
        Path(task.checkpoint).write_text("weights")
    if task.trial == stuck:
        time.sleep(60)
    time.sleep(delay_s * (1 + task.trial % 3))
    if task.trial in fails:
        raise RuntimeError(f"loss is nan in epoch {task.trial}")
    lr = task.configuration.get("lr", 0.05)
    error = min(0.99, 0.05 + abs(lr - 0.03) + 0.3 / task.epochs)
    spent = cost(profile(task.design, task.data), load_target(task.target))
    values = {"error": error, "energy_j": spent.energy_j}
    return Evaluation(
        trial=task.trial,
        label=task.label,
        configuration=task.configuration,
        design=task.design,
        fidelity=task.fidelity,
        outcome="ok",
        objectives=values,
        provenance={"error": "measured", "energy_j": "modelled"},
        cost=spent.to_json(),
        curve=(EpochMetrics(1, 1.0, error, error, lr, delay_s),),
        reading=Reading(0.1, 0.1, 0.4, "estimated", "fake", ("cpu",)),
        finished_at=time.time(),
    )


def ignore(event: Event) -> None:
    """Listen to nothing."""


def baselines(backbone: str, data: DataChoice, epochs: int, depth: int) -> dict[str, Design]:
    """Two of them are enough."""
    recipe = Recipe(epochs=epochs)
    return {"float32": Design(backbone, recipe=recipe), "half": Design(backbone, width=0.5, recipe=recipe)}


def weighted_layers(backbone: str, data: DataChoice) -> int:
    return DEPTH


def epochs_range(data: DataChoice) -> tuple[int, int]:
    return (1, 9)


class TickMeter:
    """One second and ten joules for every interval."""

    def start(self) -> None:
        pass

    def stop(self) -> Reading:
        return Reading(1.0, 0.5, 10.0, "estimated", "tick", ("cpu",))


def tick_meter(cpu_watts: float | None) -> TickMeter:
    return TickMeter()


def null_meter(cpu_watts: float | None) -> NullMeter:
    return NullMeter()


def fake_evaluator(meter=None, **behaviour) -> Evaluator:
    """Return an evaluator; `behaviour` goes to `evaluate`."""
    extra = {} if meter is None else {"meter": meter}
    return Evaluator(partial(evaluate, **behaviour), profile, weighted_layers, baselines, epochs_range, **extra)


def main() -> int:
    """Run a study from a JSON argument with the exit codes of the command line."""
    asked = json.loads(sys.argv[1])
    try:
        run_study(
            StudyConfig(**asked["config"]),
            Path(asked["folder"]),
            on_event=lambda event: print(event.kind, flush=True),
            evaluator=fake_evaluator(**asked["behaviour"]),
        )
    except StudyInterrupted:
        return 130
    except InputError:
        return 2
    except StudyError:
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
