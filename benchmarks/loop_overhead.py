"""What the loop itself costs per trial: a study whose trainings take no time.

Known costs, claims, records, fronts, asking (random) and telling; starting up is measured with a study of
one trial and taken off.

    python benchmarks/loop_overhead.py --trials 100
"""

import argparse
import dataclasses
import json
import statistics
import tempfile
import time
from pathlib import Path

from greenshift.config import StudyConfig
from greenshift.energy import meter
from greenshift.networks import profile_design
from greenshift.objectives import OBJECTIVES
from greenshift.records import EpochMetrics, Evaluation, Task
from greenshift.study import run_study, torch_evaluator
from greenshift.targets import cost, load_target


def instant(task: Task, cpu_watts: float | None) -> Evaluation:
    """An evaluation without a training: the error is made up from the trial's number."""
    with meter(cpu_watts) as metered:
        modelled = cost(profile_design(task.design, task.data), load_target(task.target)).to_json()
    error = 0.1 + (task.trial * 37 % 100) / 200
    objectives = {name: modelled[name] if OBJECTIVES[name].known else error for name in task.objectives}
    return Evaluation.of(
        task,
        "ok",
        metered.reading,
        objectives=objectives,
        provenance={name: OBJECTIVES[name].provenance for name in task.objectives},
        cost={key: value for key, value in modelled.items() if key != "layers"},
        curve=tuple(EpochMetrics(epoch + 1, 1.0, error, error, 0.1, 0.0) for epoch in range(task.epochs)),
    )


def seconds(trials: int, model: str) -> float:
    """Wall time of a whole study."""
    evaluator = dataclasses.replace(torch_evaluator(), evaluate=instant)
    config = StudyConfig(model=model, baselines=False, budget=f"{trials}trials", fidelity="epochs")
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        run_study(config, Path(folder) / "study", on_event=lambda _: None, evaluator=evaluator)
        return time.perf_counter() - started


def main() -> None:
    """Run the studies and print JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=100)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", default="resnet20")
    args = parser.parse_args()
    seconds(1, args.model)
    values = []
    for _ in range(args.rounds):
        start = seconds(1, args.model)
        values.append(1e3 * (seconds(args.trials, args.model) - start) / (args.trials - 1))
    spread = {"median": statistics.median(values), "min": min(values), "max": max(values)}
    print(json.dumps({"model": args.model, "trials": args.trials, "overhead_ms_per_trial": spread}))


if __name__ == "__main__":
    main()
