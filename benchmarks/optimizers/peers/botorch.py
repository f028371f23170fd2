"""BoTorch's qLogNEHVI as its users write it: a Gaussian process per objective, full evaluations only."""

import warnings
from collections.abc import Mapping
from typing import Any

import torch
from botorch.acquisition.multi_objective.logei import qLogNoisyExpectedHypervolumeImprovement
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.model_list_gp_regression import ModelListGP
from botorch.models.transforms import Standardize
from botorch.optim.optimize import optimize_acqf
from botorch.sampling.normal import SobolQMCNormalSampler
from ConfigSpace.hyperparameters import CategoricalHyperparameter, Constant, Hyperparameter, OrdinalHyperparameter
from ConfigSpace.util import deactivate_inactive_hyperparameters
from gpytorch.mlls import ExactMarginalLogLikelihood
from torch import Tensor

from greenshift.errors import InputError
from greenshift.optimize import Configuration, Proposal, Status
from greenshift.optimize.problem import Key, Problem, configuration_key, objective_values, plain_configuration
from greenshift.optimize.random import RandomOptimizer

_MC_SAMPLES, _RESTARTS, _RAW_SAMPLES = 64, 4, 128


class BotorchOptimizer:
    """Random configurations first, twice as many as there are variables and two more; then qLogNEHVI.

    Numbers and ordered choices are scaled to 0..1 and rounded after the acquisition was maximised, unordered
    choices are one-hot. Where rounding brings back a configuration that was tried, a random one takes its place.
    """

    def __init__(self, problem: Problem) -> None:
        """Set up the columns of the space.

        Raises:
            InputError: If an objective has no reference.
        """
        if any(objective.reference is None for objective in problem.objectives):
            raise InputError("botorch: every objective needs a reference")
        self._problem = problem
        self._random = RandomOptimizer(problem)
        self._parameters = [h for h in problem.space.values() if not isinstance(h, Constant)]
        self._width = sum(_width(hyperparameter) for hyperparameter in self._parameters)
        self._running: dict[int, Configuration] = {}
        self._tried: set[Key] = set()
        self._seen: list[tuple[Tensor, tuple[float, ...]]] = []
        self._trials = 0

    def ask(self, n: int = 1) -> list[Proposal]:
        """Return up to `n` proposals at full fidelity."""
        proposals = []
        for _ in range(n):
            configuration = self._next()
            if configuration is None:
                break
            fidelity = None if self._problem.fidelity is None else float(self._problem.fidelity.maximum)
            proposals.append(Proposal(self._trials, configuration, fidelity))
            self._running[self._trials] = configuration
            self._tried.add(configuration_key(configuration))
            self._trials += 1
        return proposals

    def tell(
        self,
        *,
        trial: int,
        fidelity: float | None,  # noqa: ARG002 - always the full one
        objectives: Mapping[str, float] | None,
        cost_s: float,  # noqa: ARG002 - not used
        status: Status = "ok",
        configuration: Mapping[str, Any] | None = None,  # noqa: ARG002 - own proposals only
    ) -> None:
        """Report an evaluation of an own proposal."""
        told = self._running.pop(trial)
        values = objective_values(self._problem.objectives, objectives, status)
        if values is not None:
            self._seen.append((self._encode(told), values))

    def _next(self) -> Configuration | None:
        if len(self._seen) >= 2 * self._width + 2:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                configuration = self._decode(self._maximise())
            if configuration_key(configuration) not in self._tried:
                return configuration
        while proposals := self._random.ask(1):
            if configuration_key(proposals[0].configuration) not in self._tried:
                return proposals[0].configuration
        return None

    def _maximise(self) -> Tensor:
        torch.manual_seed(self._problem.seed * 100_003 + self._trials)
        x = torch.stack([point for point, _ in self._seen])
        y = -torch.tensor([values for _, values in self._seen], dtype=torch.double)  # BoTorch maximises
        models = [SingleTaskGP(x, y[:, [i]], outcome_transform=Standardize(1)) for i in range(y.shape[1])]
        for model in models:
            fit_gpytorch_mll(ExactMarginalLogLikelihood(model.likelihood, model))
        pending = [self._encode(configuration) for configuration in self._running.values()]
        acquisition = qLogNoisyExpectedHypervolumeImprovement(
            ModelListGP(*models),
            ref_point=[-float(objective.reference or 0) for objective in self._problem.objectives],
            X_baseline=x,
            prune_baseline=True,
            sampler=SobolQMCNormalSampler(torch.Size([_MC_SAMPLES]), seed=self._problem.seed),
            X_pending=torch.stack(pending) if pending else None,
        )
        bounds = torch.stack([torch.zeros(self._width), torch.ones(self._width)]).double()
        best, _ = optimize_acqf(acquisition, bounds, q=1, num_restarts=_RESTARTS, raw_samples=_RAW_SAMPLES)
        return best[0]

    def _encode(self, configuration: Configuration) -> Tensor:
        """Return a point of the unit cube; an inactive hyperparameter stands at its default."""
        cells: list[float] = []
        for hyperparameter in self._parameters:
            value = configuration.get(hyperparameter.name, hyperparameter.default_value)
            position = float(hyperparameter.to_vector(value))
            width = _width(hyperparameter)
            if width > 1:
                cells.extend(float(i == round(position)) for i in range(width))
            else:
                cells.append(position / (hyperparameter.upper_vectorized or 1.0))
        return torch.tensor(cells, dtype=torch.double)

    def _decode(self, point: Tensor) -> Configuration:
        values = {h.name: h.value for h in self._problem.space.values() if isinstance(h, Constant)}
        cells = point.tolist()
        for hyperparameter in self._parameters:
            width = _width(hyperparameter)
            own, cells = cells[:width], cells[width:]
            position = float(own.index(max(own))) if width > 1 else own[0] * hyperparameter.upper_vectorized
            if isinstance(hyperparameter, OrdinalHyperparameter):
                position = float(round(position))
            values[hyperparameter.name] = hyperparameter.to_value(position)
        return plain_configuration(deactivate_inactive_hyperparameters(values, self._problem.space))


def _width(hyperparameter: Hyperparameter[Any, Any]) -> int:
    """Columns of a hyperparameter; every vector of ConfigSpace starts at 0, and numbers end at 1."""
    return int(hyperparameter.size) if isinstance(hyperparameter, CategoricalHyperparameter) else 1
