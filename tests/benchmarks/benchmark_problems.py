"""A problem small enough to compute by hand, and an optimizer that says what it was told to say."""

import math

import numpy as np
from ConfigSpace import ConfigurationSpace, Float

from greenshift.objectives import Objective
from greenshift.optimize import Fidelity, Proposal
from optimizers.problem import BenchmarkProblem


def tiny_problem(partial=True):
    """Two seconds per epoch, nine epochs; the error halves with the share of epochs, the size is x."""
    space = ConfigurationSpace()
    space.add(Float("x", (0.0, 1.0)))

    def evaluate(configuration, epochs):
        return {"error": 1 - (epochs or 9) / 18, "size": 10 ** configuration["x"]}

    return BenchmarkProblem(
        name="tiny",
        space=space,
        objectives=(Objective("error", "", 1.0), Objective("size", "B", 10.0, known=True, log=True)),
        ideal=(0.0, 1.0),
        fidelity=Fidelity("epochs", 1, 9, 3, partial),
        known=lambda configuration: {"size": 10 ** configuration["x"]},
        evaluate=evaluate,
        cost_s=lambda _, epochs: 2.0 * (epochs or 9),
        full_cost_s=18.0,
        best_front=lambda _: np.array([[0.5, 1.0]]),
    )


class Scripted:
    """Proposes (trial, fidelity) pairs in order and remembers what it is told."""

    def __init__(self, script, x=0.5):
        self._script = list(script)
        self._x = x
        self.told = []

    def ask(self, n=1):
        taken, self._script = self._script[:n], self._script[n:]
        return [Proposal(trial, {"x": self._x}, fidelity) for trial, fidelity in taken]

    def tell(self, *, trial, fidelity, objectives, cost_s, status="ok", configuration=None):
        assert math.isfinite(objectives["error"])
        assert status == "ok"
        assert configuration is None
        self.told.append((trial, fidelity, cost_s))
