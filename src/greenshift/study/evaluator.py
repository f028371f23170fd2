"""What the loop needs from below the line, as a record of functions, and how an evaluation is kept safe."""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from greenshift.config import StudyConfig
from greenshift.design import Design, Recipe
from greenshift.energy import Meter, best_meter, session_meter
from greenshift.errors import InputError
from greenshift.fidelities import hyperparameters_of
from greenshift.front import REFERENCE_BASELINE
from greenshift.profile import NetworkProfile
from greenshift.records import DataChoice, Evaluation, Task, WeightFile
from greenshift.replay import Replay, check_settings, load_table
from greenshift.space import SearchSpace, make_space

STOPPED = "stopped by a signal"


def _no_teacher(_recipe: Recipe, teacher: WeightFile, _data: DataChoice) -> object:
    raise InputError(f"teacher: {teacher.path}: what evaluates this study cannot distil; leave it out")


def _no_init(init: WeightFile, _data: DataChoice) -> object:
    raise InputError(f"init: {init.path}: what evaluates this study starts from no weights; leave it out")


@dataclass(frozen=True)
class Evaluator:
    """The functions that build, train and measure networks, so that the loop itself needs no torch.

    With more than one worker it is sent to other processes: its functions must be importable there.

    Attributes:
        evaluate: Trains and measures one task, given the watts of a busy core or None.
        profile: Layers of a design on the images of a dataset, without training.
        weighted_layers: Number of convolutions and linear layers of a backbone, the greatest shift depth.
        baselines: Designs by label, given backbone, data, epochs and depth; `float32` is among them.
        epochs_range: Fewest and most epochs of a sensible training on a dataset.
        meter: A meter for the whole run, given the watts of a busy core or None; see `Ledger`.
        space: The search space by name, with the keywords of `make_space`.
        teacher: Loads the network that a recipe distils from, or says in an InputError why that is impossible.
        init: Loads the float weights that trainings start from, or says in an InputError why that is impossible.
    """

    evaluate: Callable[[Task, float | None], Evaluation]
    profile: Callable[[Design, DataChoice], NetworkProfile]
    weighted_layers: Callable[[str, DataChoice], int]
    baselines: Callable[[str, DataChoice, int, int], Mapping[str, Design]]
    epochs_range: Callable[[DataChoice], tuple[int, int]]
    meter: Callable[[float | None], Meter] = session_meter
    space: Callable[..., SearchSpace] = make_space
    teacher: Callable[[Recipe, WeightFile, DataChoice], object] = _no_teacher
    init: Callable[[WeightFile, DataChoice], object] = _no_init


def torch_evaluator() -> Evaluator:
    """Return the real functions; imports torch."""
    from greenshift import artifacts, baselines, evaluate, networks

    return Evaluator(
        evaluate=evaluate.evaluate,
        profile=networks.profile_design,
        weighted_layers=networks.weighted_layers,
        baselines=baselines.baseline_designs,
        epochs_range=networks.epochs_range,
        teacher=artifacts.teacher_for,
        init=artifacts.start_for,
    )


def replay_evaluator(config: StudyConfig) -> Evaluator | None:
    """Return functions that look everything up in the study's table, None if it has none; needs no torch.

    Raises:
        InputError: If the table cannot be read, or the study asks for what it does not hold.
    """
    if config.replay is None:
        return None
    table = load_table(Path(config.replay))
    check_settings(config, table)
    replay = Replay(table)

    def space(name: str, *, depth: int, fidelity: str | None, **_: object) -> SearchSpace:
        return SearchSpace(name, table.space, hyperparameters_of(fidelity), depth, fixed=table.fixed)

    return Evaluator(
        evaluate=replay.evaluate,
        profile=lambda design, _: table.network(design.to_json()["schemes"]).profile,
        weighted_layers=lambda *_: table.depth,
        baselines=lambda backbone, *_: {REFERENCE_BASELINE: Design(backbone)},
        epochs_range=lambda _: (1, table.epochs),
        meter=lambda _: replay,
        space=space,
    )


def evaluate_safely(evaluator: Evaluator, task: Task, cpu_watts: float | None) -> Evaluation:
    """Evaluate a task; whatever goes wrong becomes an evaluation that says so and what it consumed."""
    meter = best_meter(cpu_watts)
    meter.start()
    try:
        return _checked(task, evaluator.evaluate(task, cpu_watts))
    except KeyboardInterrupt:
        return Evaluation.of(task, "interrupted", meter.stop(), reason=STOPPED)
    except Exception as error:
        message = " ".join(str(error).split())[:300]
        reason = f"{type(error).__name__}: {message}" if message else type(error).__name__
        return Evaluation.of(task, "failed", meter.stop(), reason=reason)


def _checked(task: Task, evaluation: Evaluation) -> Evaluation:
    """Return the evaluation, as failed if it claims to be `ok` without a finite value for every objective."""
    values = {name: evaluation.objectives.get(name, math.nan) for name in task.objectives}
    bad = [f"{name} is {value}" for name, value in values.items() if not math.isfinite(value)]
    if evaluation.outcome != "ok" or not bad:
        return evaluation
    return dataclasses.replace(evaluation, outcome="failed", objectives={}, provenance={}, reason=", ".join(bad))
