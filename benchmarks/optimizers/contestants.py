"""Optimizers by a short specification: greenshift's own, other libraries', and parts switched off.

`freezethaw:known=false+floor=0.1` is `freezethaw` without the known objectives and with one setting of its own.
"""

import dataclasses
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from greenshift.errors import InputError
from greenshift.optimize import Configuration, Optimizer, make_optimizer, optimizer_names
from greenshift.optimize.problem import Problem

from .problem import BenchmarkProblem

# Whatever they are told of costs, they propose the same, so one run gives both rules.
_COST_BLIND = ("random", "hyperband", "smac", "nsga2")
_PEERS = ("optuna-gp", "optuna-tpe", "optuna-nsga2", "botorch")


@dataclass(frozen=True)
class Contestant:
    """An optimizer and how it is set.

    Attributes:
        text: The specification, its name in every record.
        name: Name of the optimizer.
        settings: Keyword settings of the optimizer.
        told: What the optimizer is told of: `known` objectives, `fidelity`, `reference` points.
        warm_from: Problem of an earlier search whose front is the warm start.
    """

    text: str
    name: str
    settings: dict[str, Any]
    told: dict[str, bool]
    warm_from: str | None = None

    @property
    def cost_blind(self) -> bool:
        """True if costs do not change what it proposes."""
        return self.name in (*_COST_BLIND, *_PEERS)


def parse_contestant(text: str) -> Contestant:
    """Read a specification such as `smac` or `freezethaw:known=false+floor=0.1`.

    Raises:
        InputError: If the optimizer is unknown or a setting has no value.
    """
    name, _, rest = text.partition(":")
    if name not in (*optimizer_names(), *_PEERS):
        raise InputError(f"optimizer: unknown '{name}'; known: {', '.join((*optimizer_names(), *_PEERS))}")
    settings: dict[str, Any] = {}
    for part in filter(None, rest.split("+")):
        key, sign, value = part.partition("=")
        try:
            settings[key] = json.loads(value)
        except json.JSONDecodeError as error:
            wanted = "a value" if sign else "key=value"
            raise InputError(f"optimizer: '{part}' in '{text}' needs {wanted} in JSON") from error
    told = {key: bool(settings.pop(key, True)) for key in ("known", "fidelity", "reference")}
    return Contestant(text, name, settings, told, settings.pop("warm_from", None))


def contestant_names(text: str) -> tuple[str, ...]:
    """Expand a comma-separated list of specifications, in which `own` is every optimizer of greenshift."""
    names = [name for part in text.split(",") for name in (optimizer_names() if part == "own" else (part,))]
    return tuple(dict.fromkeys(names))


def enter(
    contestant: Contestant, problem: BenchmarkProblem, seed: int, warm_start: Sequence[Configuration] = ()
) -> Optimizer:
    """Return the optimizer, ready to be asked.

    Raises:
        InputError: If the optimizer does not take a setting.
    """
    view = dataclasses.replace(_view(contestant, problem, seed), warm_start=tuple(warm_start))
    if contestant.name in _PEERS:
        return _make_peer(contestant, view)
    try:
        if contestant.name == "freezethaw" and contestant.settings:
            return _make_freezethaw(contestant, view)
        return make_optimizer(
            contestant.name,
            space=view.space,
            objectives=view.objectives,
            fidelity=view.fidelity,
            known=view.known,
            seed=seed,
            warm_start=warm_start,
            **contestant.settings,
        )
    except TypeError as error:
        raise InputError(f"optimizer: {contestant.name} does not take a setting of '{contestant.text}'") from error


def _make_freezethaw(contestant: Contestant, view: Problem) -> Optimizer:
    """Return ours with parts of it set otherwise, for ablations."""
    from greenshift.optimize.freezethaw import FreezeThawOptimizer, Settings

    return FreezeThawOptimizer(view, Settings(**contestant.settings))


def _view(contestant: Contestant, problem: BenchmarkProblem, seed: int) -> Problem:
    """The problem as the contestant is told of it."""
    told = contestant.told
    objectives = tuple(
        dataclasses.replace(
            objective,
            known=objective.known and told["known"],
            reference=objective.reference if told["reference"] else None,
        )
        for objective in problem.objectives
    )
    return Problem(
        problem.space,
        objectives,
        problem.fidelity if told["fidelity"] else None,
        problem.known if told["known"] else None,
        seed,
    )


def _make_peer(contestant: Contestant, view: Problem) -> Optimizer:
    if contestant.settings:
        raise InputError(f"optimizer: '{contestant.text}': {contestant.name} runs as its library ships it")
    try:
        if contestant.name == "botorch":
            from .peers.botorch import BotorchOptimizer

            return BotorchOptimizer(view)
        from .peers.optuna import OptunaOptimizer, make_sampler
    except ModuleNotFoundError as error:
        raise InputError(f"optimizer: {contestant.name} needs pip install 'greenshift[bench]'") from error
    return OptunaOptimizer(view, make_sampler(contestant.name.removeprefix("optuna-"), view.seed))
