"""Optuna's samplers, full evaluations only, because Optuna cannot prune with several objectives."""

from collections.abc import Mapping
from typing import Any

import optuna
from ConfigSpace import Configuration as Sample
from ConfigSpace.exceptions import ForbiddenValueError
from ConfigSpace.hyperparameters import (
    CategoricalHyperparameter,
    Constant,
    Hyperparameter,
    OrdinalHyperparameter,
    UniformFloatHyperparameter,
    UniformIntegerHyperparameter,
)

from greenshift.errors import InputError
from greenshift.optimize import Configuration, Proposal, Status
from greenshift.optimize.problem import Problem, objective_values, plain_configuration

_PATIENCE = 100


class OptunaOptimizer:
    """Asks Optuna by define-by-run, so inactive hyperparameters of a conditional space are not suggested."""

    def __init__(self, problem: Problem, sampler: optuna.samplers.BaseSampler) -> None:
        """Start a study in memory."""
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._problem = problem
        self._study = optuna.create_study(directions=["minimize"] * len(problem.objectives), sampler=sampler)
        self._running: dict[int, optuna.Trial] = {}

    def ask(self, n: int = 1) -> list[Proposal]:
        """Return `n` proposals at full fidelity."""
        fidelity = None if self._problem.fidelity is None else float(self._problem.fidelity.maximum)
        return [Proposal(*self._suggest(), fidelity) for _ in range(n)]

    def tell(
        self,
        *,
        trial: int,
        fidelity: float | None,  # noqa: ARG002 - always the full one
        objectives: Mapping[str, float] | None,
        cost_s: float,  # noqa: ARG002 - Optuna does not use costs
        status: Status = "ok",
        configuration: Mapping[str, Any] | None = None,  # noqa: ARG002 - own proposals only
    ) -> None:
        """Report an evaluation of an own proposal."""
        values = objective_values(self._problem.objectives, objectives, status)
        running = self._running.pop(trial)
        if values is None:
            self._study.tell(running, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(running, list(values))

    def _suggest(self) -> tuple[int, Configuration]:
        space = self._problem.space
        for _ in range(_PATIENCE):
            trial = self._study.ask()
            values: dict[str, Any] = {}
            for hyperparameter in space.values():  # parents come before their children
                conditions = space.parent_conditions_of[hyperparameter.name]
                if all(condition.satisfied_by_value(values) for condition in conditions):
                    values[hyperparameter.name] = _suggest_one(trial, hyperparameter)
            try:
                configuration = plain_configuration(Sample(space, values=values))
            except ForbiddenValueError:
                self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
                continue
            self._running[trial.number] = trial
            return trial.number, configuration
        raise InputError(f"optuna: {_PATIENCE} suggestions in a row were forbidden by the space")


def _suggest_one(trial: optuna.Trial, hyperparameter: Hyperparameter[Any, Any]) -> Any:
    name = hyperparameter.name
    match hyperparameter:
        case UniformFloatHyperparameter(lower=lower, upper=upper, log=log):
            return trial.suggest_float(name, lower, upper, log=log)
        case UniformIntegerHyperparameter(lower=lower, upper=upper, log=log):
            return trial.suggest_int(name, int(lower), int(upper), log=log)
        case CategoricalHyperparameter(choices=choices):
            return trial.suggest_categorical(name, list(choices))
        case OrdinalHyperparameter(sequence=sequence):
            return sequence[trial.suggest_int(name, 0, len(sequence) - 1)]
        case Constant(value=value):
            return value
    raise InputError(f"optuna: hyperparameter {name} is of a kind that Optuna has no word for")


def make_sampler(name: str, seed: int) -> optuna.samplers.BaseSampler:
    """Return `gp`, `tpe` or `nsga2` with Optuna's own settings.

    Raises:
        InputError: If the name is unknown.
    """
    match name:
        case "gp":
            return optuna.samplers.GPSampler(seed=seed)
        case "tpe":
            return optuna.samplers.TPESampler(seed=seed)
        case "nsga2":
            return optuna.samplers.NSGAIISampler(seed=seed)
    raise InputError(f"optimizer: unknown sampler 'optuna-{name}'; known: optuna-gp, optuna-tpe, optuna-nsga2")
