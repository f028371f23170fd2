"""Best-known hypervolumes: the union of a few large searches, computed once and committed."""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np

from greenshift.errors import InputError

from .evolution import GENERATIONS, POPULATION
from .problem import front_volume
from .registry import make_problem

SEEDS = 3
FILE = Path(__file__).with_name("best_known.json")


def best_known() -> dict[str, float]:
    """Return the best-known hypervolume by problem."""
    return {name: entry["hypervolume"] for name, entry in json.loads(FILE.read_text()).items()}


def best_volume(name: str) -> float:
    """Return the best-known hypervolume of one problem.

    Raises:
        InputError: If it was never computed.
    """
    volumes = best_known()
    if name not in volumes:
        command = f"python -m benchmarks.optimizers best-known --problems {name}"
        raise InputError(f"best-known: nothing for '{name}'; run {command}")
    return volumes[name]


def search_best(names: Iterable[str], yahpo: Path | None) -> None:
    """Search the given problems and write what was found into the committed file."""
    for name in names:
        problem = make_problem(name, yahpo)
        fronts = [problem.best_front(seed) for seed in range(1 if problem.exact else SEEDS)]
        entries = json.loads(FILE.read_text())
        entries[name] = {
            "hypervolume": front_volume(problem, np.concatenate(fronts)),
            "hypervolume_of_each_seed": [front_volume(problem, front) for front in fronts],
            "evaluations": len(fronts[0]) if problem.exact else SEEDS * GENERATIONS * POPULATION,
            "references": [objective.reference for objective in problem.objectives],
        }
        FILE.write_text(json.dumps(dict(sorted(entries.items())), indent=1) + "\n")
