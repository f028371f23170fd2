"""A study as a search on digits would leave it, made up but of realistic sizes, always the same."""

import math
import random
from typing import Any

from greenshift.design import Design, Optimization, Recipe
from greenshift.energy.reading import Reading
from greenshift.records import EpochMetrics, Evaluation
from greenshift.schemes import Depth, Shift, Uniform

CONFIG: dict[str, Any] = {
    "data": "digits",
    "data_dir": None,
    "model": "tiny_cnn",
    "target": "cortex-m4",
    "space": "paper",
    "optimizer": "random",
    "fidelity": "epochs",
    "fidelity_min": 2,
    "fidelity_max": 18,
    "objectives": ["error", "energy_j"],
    "max_size": "256kB",
    "max_energy": None,
    "max_latency": None,
    "max_memory": None,
    "budget": "40trials",
    "seed": 0,
    "baselines": True,
    "carbon_intensity_g_per_kwh": 381.0,
}
SOURCE = "CPU time x 4 W per core, an assumption"
CONSUMED = Reading(161.2, 171.0, 684.0, "estimated", SOURCE, ("cpu",))
DEPTH = 5


def reading(wall_s: float, energy_j: float | None = -1.0) -> Reading:
    return Reading(wall_s, wall_s, wall_s * 4 if energy_j == -1.0 else energy_j, "estimated", SOURCE, ("cpu",))


def network_cost(energy_j: float, size_bytes: int = 30_000, limits: tuple[str, ...] = ()) -> dict[str, Any]:
    return {
        "energy_j": energy_j,
        "latency_s": energy_j / 0.04,
        "size_bytes": size_bytes,
        "peak_memory_bytes": 4096,
        "provenance": "modelled",
        "uncertainty_factor": 1.6,
        "latency_uncertainty_factor": 1.4,
        "fits": not limits,
        "limits": list(limits),
        "target": "cortex-m4",
        "model": "cycles 1",
    }


def evaluation(
    trial: int,
    error: float | None = 0.05,
    energy_j: float = 1e-6,
    *,
    label: str | None = None,
    epochs: int = 18,
    outcome: str = "ok",
    reason: str | None = None,
    design: Design | None = None,
    configuration: dict[str, Any] | None = None,
    **cost: Any,
) -> Evaluation:
    ok = outcome == "ok"
    return Evaluation(
        trial=trial,
        label=label,
        configuration=configuration or {},
        design=design or Design("tiny_cnn", schemes=((Depth(3), Shift("PS", 4, 8, 8)),)),
        fidelity={"epochs": float(epochs)},
        outcome=outcome,  # type: ignore[arg-type]
        objectives={"error": error, "energy_j": energy_j} if ok and error is not None else {},
        provenance={"error": "measured", "energy_j": "modelled"} if ok else {},
        reading=reading(0.0 if outcome == "infeasible" else 0.12 * epochs),
        cost=network_cost(energy_j, **cost),
        curve=curve(error, epochs) if ok and error is not None else (),
        reason=reason,
        finished_at=1.7e9 + trial,
    )


def curve(error: float, epochs: int) -> tuple[EpochMetrics, ...]:
    return tuple(
        EpochMetrics(e, 0.1, error, error + (0.9 - error) * math.exp(-5 * e / epochs) * (e < epochs), 0.1, 0.12)
        for e in range(1, epochs + 1)
    )


def baselines() -> list[Evaluation]:
    recipe = Recipe(epochs=18, optimization=Optimization(lr=0.05, schedule="cosine", nesterov=True), augment="none")
    paper = Shift("PS", 5, 16, 16)
    rows: list[tuple[str, Design, float, float, int]] = [
        ("float32", Design("tiny_cnn", recipe=recipe), 0.0105, 94e-6, 118_000),
        ("int8", Design("tiny_cnn", schemes=(("*", Uniform()),), recipe=recipe), 0.0139, 27e-6, 30_400),
        ("float32 half width", Design("tiny_cnn", width=0.5, recipe=recipe), 0.0209, 29e-6, 31_200),
        ("paper default", Design("tiny_cnn", schemes=((Depth(DEPTH), paper),)), 0.0523, 61e-6, 21_000),
        ("expert default", Design("tiny_cnn", schemes=((Depth(DEPTH), Shift("Q", 4, 8, 8)),)), 0.0174, 19e-6, 17_800),
    ]
    return [
        evaluation(-i, error, energy_j, label=label, design=design, size_bytes=size)
        for i, (label, design, error, energy_j, size) in enumerate(rows, start=1)
    ]


def study(trials: int = 40, seed: int = 3) -> list[Evaluation]:
    """Baselines, then trials at 2, 6 and 18 epochs, some failed, some refused."""
    chance = random.Random(seed)
    result = baselines()
    for trial in range(trials):
        configuration = sample(chance)
        design = to_design(configuration)
        share = configuration["shift_depth"] / DEPTH
        bits = configuration["act_integer_bits"] + configuration["act_fraction_bits"]
        energy_j = 94e-6 * (1 - share) + share * (3e-6 + 2.2e-6 * configuration["weight_bits"] * bits / 16)
        size = round(118_000 * (1 - share) + share * 118_000 * configuration["weight_bits"] / 32)
        if trial % 11 == 5:
            size += 200_000
            why = f"size_bytes is {size / 1000:.0f} kB, above the limit of 256 kB"
            result.append(evaluation(trial, None, energy_j, outcome="infeasible", reason=why, design=design))
            continue
        epochs = chance.choice((2, 6, 18, 18, 18))
        if configuration["lr"] > 0.4 and configuration["optimizer"] != "SGD":
            why = f"the loss is not finite in epoch {chance.randint(1, 2)}"
            result.append(evaluation(trial, None, energy_j, epochs=epochs, outcome="failed", reason=why, design=design))
            continue
        loss = 0.12 / configuration["weight_bits"] ** 2 + 0.05 / bits + abs(math.log10(configuration["lr"]) + 1.3) / 90
        error = 0.003 + loss * (0.4 + share) + 0.004 * chance.random() + 0.3 / epochs**1.6 - 0.003
        extra: dict[str, Any] = {"configuration": configuration, "design": design, "size_bytes": size}
        result.append(evaluation(trial, round(error * 287) / 287, energy_j, epochs=epochs, **extra))
    return result


def sample(chance: random.Random) -> dict[str, Any]:
    return {
        "batch_size": chance.choice((32, 64, 128, 256)),
        "optimizer": chance.choice(("SGD", "Adam", "Adagrad", "Adadelta", "RMSprop", "RAdam", "Ranger")),
        "lr": 10 ** chance.uniform(-3, -0.1),
        "weight_bits": chance.randint(2, 8),
        "act_integer_bits": chance.randint(2, 16),
        "act_fraction_bits": chance.randint(2, 16),
        "shift_depth": chance.randint(2, DEPTH),
        "shift_type": chance.choice(("Q", "PS")),
        "rounding": chance.choice(("deterministic", "stochastic")),
    }


def to_design(configuration: dict[str, Any]) -> Design:
    shift = Shift(
        configuration["shift_type"],
        configuration["weight_bits"],
        configuration["act_integer_bits"],
        configuration["act_fraction_bits"],
        configuration["rounding"],
    )
    return Design("tiny_cnn", schemes=((Depth(configuration["shift_depth"]), shift),))
