"""Processor seconds of one ask of freezethaw, with 300 and with 2,000 evaluations behind it.

The space is LCBench's seven hyperparameters with 52 epochs; errors and costs are formulas, so no data are needed. The
evaluations are those of random Hyperband, which leaves as many paused trials as a search of that length has. Then each
ask is answered, so every one of them fits its models anew. The first ask after a resume is reported by itself.

    OMP_NUM_THREADS=1 python benchmarks/ask_time.py --observations 300,2000 --asks 20
"""

import argparse
import importlib.metadata
import json
import math
import os
import platform
import statistics
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch

from greenshift.objectives import Objective
from greenshift.optimize import Configuration, Fidelity, Proposal
from greenshift.optimize.freezethaw import FreezeThawOptimizer
from greenshift.optimize.hyperband import HyperbandOptimizer
from greenshift.optimize.problem import Problem
from optimizers.lcbench import make_space, network_macs

EPOCHS = 52


def main() -> None:
    """Print seconds per ask as JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--observations", default="300,2000", help="numbers of evaluations, with commas")
    parser.add_argument("--asks", type=int, default=20, help="asks that are timed after the first one")
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    counts = [int(count) for count in args.observations.split(",")]
    found = {str(count): seconds_per_ask(count, args.asks, args.seed) for count in counts}
    print(json.dumps({"cpu_s_per_ask": found, "asks": args.asks, "seed": args.seed, "on": _environment()}, indent=1))


def seconds_per_ask(observations: int, asks: int, seed: int) -> dict[str, float]:
    """Return processor seconds: the model's first ask after a resume, median and maximum of those that follow.

    Args:
        observations: Evaluations to tell first; those of the optimizer's opening, which asks no model, come on top.
        asks: How many are timed.
        seed: Seed of everything.
    """
    optimizer = FreezeThawOptimizer(_problem(seed))
    reached: dict[int, float] = {}
    for proposal, answer in _evaluations(observations, seed):
        optimizer.tell(**answer, configuration=proposal.configuration)
        reached[proposal.trial] = answer["fidelity"]
    first: float | None = None
    times: list[float] = []
    while len(times) < asks:
        observations += first is None
        begun = time.process_time()
        (proposal,) = optimizer.ask(1)
        took = time.process_time() - begun
        optimizer.tell(**_answer(proposal, reached))
        if first is not None:
            times.append(took)
        elif optimizer.expected_gain_per_s() is not None:
            first = took
    assert first is not None
    return {"after": observations, "first": first, "median": statistics.median(times), "max": max(times)}


def _evaluations(count: int, seed: int) -> list[tuple[Proposal, dict[str, Any]]]:
    hyperband = HyperbandOptimizer(_problem(seed))
    reached: dict[int, float] = {}
    found = []
    for _ in range(count):
        (proposal,) = hyperband.ask(1)
        found.append((proposal, _answer(proposal, reached)))
        hyperband.tell(**found[-1][1])
    return found


def _problem(seed: int) -> Problem:
    largest = math.log10(network_macs(1024, 5))
    objectives = (Objective("error", "", reference=0.5), Objective("log10_macs", "", reference=largest, known=True))
    return Problem(make_space(), objectives, Fidelity("epochs", 1, EPOCHS, 3), _known, seed)


def _known(configuration: Configuration) -> dict[str, float]:
    return {"log10_macs": math.log10(network_macs(configuration["max_units"], configuration["num_layers"]))}


def _answer(proposal: Proposal, reached: dict[int, float]) -> dict[str, Any]:
    """Evaluate a proposal; continuing a trial costs what it has not been paid for."""
    assert proposal.fidelity is not None
    paid = reached.get(proposal.trial, 0.0)
    reached[proposal.trial] = proposal.fidelity
    values = proposal.configuration
    return {
        "trial": proposal.trial,
        "fidelity": proposal.fidelity,
        "objectives": {"error": _error(values, proposal.fidelity), **_known(values)},
        "cost_s": (proposal.fidelity - paid) * (1 + 1e-5 * network_macs(values["max_units"], values["num_layers"])),
    }


def _error(values: Mapping[str, float], epochs: float) -> float:
    """A power law of the epochs, towards a floor that a good learning rate, width and little dropout lower."""
    rate = math.log10(values["learning_rate"]) + 2.5
    width = math.log2(1024 / values["max_units"]) / 4
    floor = (
        0.05 + 0.05 * rate**2 + 0.1 * width + 0.1 * values["max_dropout"] ** 2 + 0.02 * (values["momentum"] - 0.9) ** 2
    )
    decay = abs(math.log10(values["weight_decay"]) + 3) / 100 + math.log2(values["batch_size"]) / 200
    return min(1.0, float(floor + decay + 0.4 * epochs ** (-0.3 - 0.1 * values["num_layers"])))


def _environment() -> dict[str, Any]:
    cpu = Path("/proc/cpuinfo")
    lines = cpu.read_text().splitlines() if cpu.is_file() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {
        "processor": model,
        "cores": os.cpu_count(),
        "threads": torch.get_num_threads(),
        "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS"),
        "load_average_1min": round(os.getloadavg()[0], 1),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "botorch": importlib.metadata.version("botorch"),
        "numpy": np.__version__,
    }


if __name__ == "__main__":
    main()
