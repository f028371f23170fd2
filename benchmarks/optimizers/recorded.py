"""The recorded tables of greenshift's own trainings as problems: a finite space, exact costs, an exact best front."""

from pathlib import Path

import numpy as np

from greenshift.errors import InputError
from greenshift.objectives import Objective
from greenshift.optimize import Configuration, Fidelity
from greenshift.replay import Table, load_table

from .problem import BenchmarkProblem

TABLES = ("digits", "fashion-mnist")
TARGET = "asic-45nm"
_FOLDER = Path(__file__).parents[1] / "tables"


def make_table(name: str) -> BenchmarkProblem:
    """Return the problem of one recorded table: error after all epochs against energy on an ASIC.

    The error's reference is the median of all full trainings, so a hypervolume counts only what is better than
    the toss of a coin finds. The energy's is that of the untouched float32 network: whoever needs more has gained
    nothing. Costs are the recorded CPU time, in medians of all full trainings. As in a study of greenshift,
    networks count once they are fully trained.

    Raises:
        InputError: If there is no such table, or a training in it failed.
    """
    if name not in TABLES:
        raise InputError(f"problem: unknown problem 'table-{name}'; known: {', '.join(f'table-{n}' for n in TABLES)}")
    table = load_table(_FOLDER / f"{name}-tiny_cnn.json.gz")

    def evaluate(configuration: Configuration, epochs: float | None) -> dict[str, float]:
        found = table.evaluate(configuration, _whole(table, epochs), TARGET)
        assert found is not None, "tables with failed trainings are refused above"
        return {"error": found["error"], "energy_j": found["energy_j"]}

    if any(training.failure is not None for training in table.trainings):
        raise InputError(f"problem: table-{name} has failed trainings, which this benchmark has no rule for")
    every = np.array([list(evaluate(configuration, None).values()) for configuration in table.configurations()])
    float32_j = table.networks[0].costs[TARGET]["energy_j"]
    return BenchmarkProblem(
        name=f"table-{name}",
        space=table.space,
        objectives=(
            Objective("error", "", float(np.median(every[:, 0]))),
            Objective("energy_j", "J", float32_j, known=True, provenance="modelled", log=True),
        ),
        ideal=(0.0, float(every[:, 1].min())),
        fidelity=Fidelity("epochs", 1, table.epochs, 3, partial=False),
        known=lambda configuration: {"energy_j": table.known(configuration, TARGET)["energy_j"]},
        evaluate=evaluate,
        cost_s=lambda configuration, epochs: table.cost_s(configuration, _whole(table, epochs)),
        full_cost_s=float(np.median([table.cost_s(c, table.epochs) for c in table.configurations()])),
        best_front=lambda _: every,
        exact=True,
    )


def _whole(table: Table, epochs: float | None) -> int:
    return table.epochs if epochs is None else round(epochs)
