"""LCBench as a surrogate: funnel-shaped networks on 34 tables, error and training time for each epoch.

The surrogate is YAHPO Gym's (Pfisterer et al., AutoML 2022), read from its ONNX file without that package.
The energy of a network stands in as its multiply-accumulates, which are known before training.
"""

import functools
import itertools
import json
import math
import os
import random
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from ConfigSpace import ConfigurationSpace, Float, Integer
from numpy.typing import NDArray

from greenshift.errors import InputError
from greenshift.objectives import Objective
from greenshift.optimize import Configuration, Fidelity
from greenshift.optimize.problem import Key, configuration_key

from .evolution import evolve
from .problem import BenchmarkProblem

FOLDER_VARIABLE = "GREENSHIFT_YAHPO"
TUNE = ("168868", "146212", "167152", "167185", "126026")
# Drawn once, before any optimizer was run on them: python -m benchmarks.optimizers draw-held-out
HELD_OUT = ("167161", "167181", "126025", "189866", "167200", "168330", "126029", "34539", "189862", "3945")

_INPUTS, _CLASSES = 40, 7  # an assumption, the same for all tasks: the surrogate does not know its tables' sizes
_EPOCHS = 52
_DRAW_SEED = 4
_SAMPLE, _SAMPLE_SEED = 1000, 0
# The order of the model's continuous inputs and outputs (yahpo_gym/benchmarks/lcbench.py).
_COLUMNS = (
    "epoch",
    "batch_size",
    "learning_rate",
    "momentum",
    "weight_decay",
    "num_layers",
    "max_units",
    "max_dropout",
)
_TIME_S, _VALIDATION_ACCURACY = 0, 1


def draw_held_out(folder: Path, count: int = 10) -> tuple[str, ...]:
    """Draw the tasks to report on from those that are not tuned on."""
    space = json.loads((folder / "config_space.json").read_text())
    tasks = next(h["choices"] for h in space["hyperparameters"] if h["name"] == "OpenML_task_id")
    others = sorted((task for task in tasks if task not in TUNE), key=int)
    return tuple(random.Random(_DRAW_SEED).sample(others, count))


def yahpo_folder(given: Path | None = None) -> Path:
    """Return the folder of the surrogate: as given, or from the environment.

    Raises:
        InputError: If there is none.
    """
    text = str(given) if given is not None else os.environ.get(FOLDER_VARIABLE, "")
    if not text or not (Path(text) / "model.onnx").is_file():
        where = f"'{text}' has no model.onnx" if text else "no folder is given"
        raise InputError(f"lcbench: {where}; pass --yahpo or set {FOLDER_VARIABLE} to yahpo_data's lcbench folder")
    return Path(text)


def make_space() -> ConfigurationSpace:
    """The seven hyperparameters of LCBench with the ranges of YAHPO Gym's config_space.json."""
    space = ConfigurationSpace()
    space.add(
        Integer("batch_size", (16, 512), log=True),
        Float("learning_rate", (1e-4, 1e-1), log=True),
        Float("max_dropout", (0.0, 1.0)),
        Integer("max_units", (64, 1024), log=True),
        Float("momentum", (0.1, 0.99)),
        Integer("num_layers", (1, 5)),
        Float("weight_decay", (1e-5, 1e-1)),
    )
    return space


def network_macs(max_units: int, num_layers: int) -> int:
    """Multiply-accumulates of one prediction of LCBench's funnel-shaped network.

    All layers but the last are hidden ones, and their widths fall evenly from `max_units` towards the number
    of classes (Auto-PyTorch's `shapedmlpnet`, which LCBench trained); one layer is a linear model.
    """
    step = (max_units - _CLASSES) // (num_layers - 1) if num_layers > 1 else 0
    widths = [_INPUTS, *(max_units - step * i for i in range(num_layers - 1)), _CLASSES]
    return sum(a * b for a, b in itertools.pairwise(widths))


class Surrogate:
    """The learning curves of one task."""

    def __init__(self, folder: Path, task: str) -> None:
        """Load the model for one thread.

        Raises:
            InputError: If the task is unknown.
        """
        import onnxruntime

        codes = json.loads((folder / "encoding.json").read_text())["OpenML_task_id"]
        if task not in codes:
            raise InputError(f"lcbench: unknown task '{task}'; known: {', '.join(sorted(codes))}")
        self._code = codes[task]
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = onnxruntime.InferenceSession(
            str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"]
        )
        self._curves: dict[Key, NDArray[np.float64]] = {}

    def predict(self, rows: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return error and seconds, shape (n, 2), for rows of the model's continuous inputs."""
        codes = np.full((len(rows), 1), self._code, dtype=np.int32)
        (outputs,) = self._session.run(None, {"x_cat": codes, "x_cont": rows.astype(np.float32)})
        error = 1 - outputs[:, _VALIDATION_ACCURACY].astype(float) / 100
        return np.stack([np.clip(error, 0, 1), outputs[:, _TIME_S].astype(float)], axis=1)

    def curve(self, configuration: Mapping[str, Any]) -> NDArray[np.float64]:
        """Return error and seconds so far after each epoch, shape (52, 2)."""
        key = configuration_key(configuration)
        if key not in self._curves:
            settings = [float(configuration[name]) for name in _COLUMNS[1:]]
            rows = np.array([[epoch, *settings] for epoch in range(1, _EPOCHS + 1)])
            curve = self.predict(rows)
            # The surrogate's time wobbles by a little; time that has passed does not come back.
            curve[:, 1] = np.maximum.accumulate(curve[:, 1])
            self._curves[key] = curve
        return self._curves[key]


def make_lcbench(task: str, folder: Path) -> BenchmarkProblem:
    """Return the problem of one task.

    The error's reference is the median error of random configurations after random numbers of epochs, so a
    hypervolume counts only what is better than luck; the MACs' is the largest network. MACs are minimised as
    their logarithm, the scale of the hypervolume, so no optimizer has to guess it. The unit of cost is the
    median random full training.
    """
    surrogate = Surrogate(folder, task)
    space = make_space()
    space.seed(_SAMPLE_SEED)
    drawn = np.array([[float(c[name]) for name in _COLUMNS[1:]] for c in space.sample_configuration(_SAMPLE)])
    epochs = np.random.default_rng(_SAMPLE_SEED).integers(1, _EPOCHS + 1, _SAMPLE)
    partly = surrogate.predict(np.column_stack([epochs, drawn]))
    full = surrogate.predict(np.column_stack([np.full(_SAMPLE, _EPOCHS), drawn]))

    def at(configuration: Configuration, reached: float | None) -> NDArray[np.float64]:
        last = _EPOCHS if reached is None else round(reached)
        point: NDArray[np.float64] = surrogate.curve(configuration)[last - 1]
        return point

    def known(configuration: Configuration) -> dict[str, float]:
        return {"log10_macs": math.log10(network_macs(configuration["max_units"], configuration["num_layers"]))}

    return BenchmarkProblem(
        name=f"lcbench-{task}",
        space=make_space(),
        objectives=(
            Objective("error", "", reference=float(np.median(partly[:, 0])), provenance="simulated"),
            Objective("log10_macs", "", math.log10(network_macs(1024, 5)), known=True, provenance="modelled"),
        ),
        ideal=(0.0, math.log10(network_macs(64, 1))),
        fidelity=Fidelity("epochs", 1, _EPOCHS, 3),
        known=known,
        evaluate=lambda configuration, epochs: {"error": float(at(configuration, epochs)[0]), **known(configuration)},
        cost_s=lambda configuration, epochs: float(at(configuration, epochs)[1]),
        full_cost_s=float(np.median(full[:, 1])),
        best_front=functools.partial(_best_front, surrogate),
    )


def _best_front(surrogate: Surrogate, seed: int) -> NDArray[np.float64]:
    """Search configurations and epochs together by evolution, which is free here."""
    whole = {"epoch": (1, _EPOCHS, False), "batch_size": (16, 512, True), "num_layers": (1, 5, False)}
    whole["max_units"] = (64, 1024, True)
    ranges = {"learning_rate": (1e-4, 1e-1, True), "momentum": (0.1, 0.99, False)}
    ranges |= {"weight_decay": (1e-5, 1e-1, False), "max_dropout": (0.0, 1.0, False)} | whole

    def column(name: str, share: NDArray[np.float64]) -> NDArray[np.float64]:
        low, high, log = ranges[name]
        values = low * (high / low) ** share if log else low + (high - low) * share
        return np.round(values) if name in whole else values

    def evaluate(shares: NDArray[np.float64]) -> NDArray[np.float64]:
        rows = np.stack([column(name, shares[:, i]) for i, name in enumerate(_COLUMNS)], axis=1)
        layers, units = rows[:, _COLUMNS.index("num_layers")], rows[:, _COLUMNS.index("max_units")]
        macs = [network_macs(int(u), int(n)) for u, n in zip(units, layers, strict=True)]
        return np.stack([surrogate.predict(rows)[:, 0], np.log10(macs)], axis=1)

    return evolve(evaluate, len(_COLUMNS), seed=seed)
