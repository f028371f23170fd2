"""A Gaussian process over fidelity and configuration, for an objective that only an evaluation reveals.

Every fidelity informs it: the logarithm of the fidelity is one more input, and the mean may rise or fall with it, as
an error does that follows a power law of the epochs. Values that are all positive are modelled on a log scale, where
differences are ratios and errors near zero keep their resolution. What it says depends on the evaluations alone, not
on their order or on earlier fits, so that a resumed study goes on as if it had not stopped.
"""

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import reduce
from operator import mul

import gpytorch
import numpy as np
import torch
from botorch.exceptions.warnings import BotorchWarning
from botorch.fit import fit_gpytorch_mll
from botorch.models import SingleTaskGP
from botorch.models.kernels import CategoricalKernel
from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior
from gpytorch.kernels import Kernel
from gpytorch.mlls import ExactMarginalLogLikelihood
from numpy.typing import NDArray

from greenshift.optimize.freezethaw.improvement import Belief

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

# Enough evaluations and iterations for the few parameters of the kernel; more cost time and gain little.
FIT_POINTS = 100
FIT_ITERATIONS = 12
_SMALLEST_VARIANCE = 1e-12


class Surrogate:
    """A fitted process for one objective: BoTorch's SingleTaskGP with its priors and a mean linear in the fidelity."""

    def __init__(self, rows: Matrix, values: Vector, categories: int, pending: Matrix, seed: int) -> None:
        """Fit the process.

        Args:
            rows: Inputs, shape (n, columns), n >= 1: log fidelity in 0..1, numbers in 0..1, then categories.
            values: What was observed, shape (n,), finite.
            categories: Number of columns that hold categories.
            pending: Inputs of evaluations under way, shape (m, columns). They are taken to end as expected, so
                that nobody hopes to learn there what is already being learned (Ginsbourger et al. 2010).
            seed: Chooses the evaluations that the kernel's parameters are fitted on, if there are many.
        """
        self.log = bool(np.all(values > 0))
        targets = np.log(values) if self.log else values
        self._centre = float(targets.mean())
        self._spread = float(targets.std()) or 1.0
        self._categories = categories
        inputs = torch.from_numpy(rows)
        outputs = torch.from_numpy((targets - self._centre) / self._spread)
        with _quiet():
            fitted = self._fit(inputs, outputs, seed)
            self._mean, self._kernel, self._noise = fitted.mean_module, fitted.covar_module, fitted.likelihood.noise
            self._condition(inputs, outputs)
            if len(pending):
                more = torch.from_numpy(pending)
                self._condition(torch.cat([inputs, more]), torch.cat([outputs, self._predict(more)[0]]))

    def believe(self, rows: Matrix) -> Belief:
        """Return what is believed of the values, without noise, at rows of shape (n, columns)."""
        with _quiet():
            mean, variance = self._predict(torch.from_numpy(rows))
        deviation = np.sqrt(np.maximum(variance.numpy(), _SMALLEST_VARIANCE))
        return Belief(mean.numpy() * self._spread + self._centre, deviation * self._spread, self.log)

    def _condition(self, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
        """Factorise for prediction (Rasmussen and Williams 2006, algorithm 2.1): a joint posterior is more work."""
        covariance = self._kernel(inputs).to_dense() + self._noise * torch.eye(len(inputs), dtype=inputs.dtype)
        self._inputs = inputs
        self._factor = torch.linalg.cholesky(covariance)
        self._weights = torch.cholesky_solve((outputs - self._mean(inputs))[:, None], self._factor)[:, 0]

    def _predict(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cross = self._kernel(self._inputs, inputs).to_dense()
        mean = self._mean(inputs) + cross.T @ self._weights
        explained = torch.linalg.solve_triangular(self._factor, cross, upper=False).square().sum(0)
        return mean, self._kernel(inputs, diag=True) - explained

    def _fit(self, inputs: torch.Tensor, outputs: torch.Tensor, seed: int) -> SingleTaskGP:
        if len(inputs) > FIT_POINTS:
            order = np.lexsort(inputs.numpy().T)  # the same choice whatever the order of the evaluations
            chosen = torch.from_numpy(order[np.random.default_rng(seed).permutation(len(inputs))[:FIT_POINTS]])
            inputs, outputs = inputs[chosen], outputs[chosen]
        categories = self._categories
        kernel = _kernel(inputs.shape[1] - categories, categories)
        model = SingleTaskGP(
            inputs, outputs[:, None], covar_module=kernel, mean_module=_LinearInFidelity(), outcome_transform=None
        )
        with torch.enable_grad():
            fit_gpytorch_mll(
                ExactMarginalLogLikelihood(model.likelihood, model),
                optimizer_kwargs={"options": {"maxiter": FIT_ITERATIONS}},
            )
        return model


class _LinearInFidelity(gpytorch.means.Mean):  # type: ignore[misc] # GPyTorch has no types
    """A constant and a slope along the first input."""

    def __init__(self) -> None:
        super().__init__()
        self.register_parameter("constant", torch.nn.Parameter(torch.zeros(1, dtype=torch.float64)))
        self.register_parameter("slope", torch.nn.Parameter(torch.zeros(1, dtype=torch.float64)))

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.as_tensor(self.constant + self.slope * inputs[..., 0])


def _kernel(numbers: int, categories: int) -> Kernel:
    """Matérn 5/2 over numbers times a kernel of equality over categories."""
    parts: list[Kernel] = [
        get_covar_module_with_dim_scaled_prior(
            ard_num_dims=numbers, use_rbf_kernel=False, active_dims=tuple(range(numbers))
        )
    ]
    if categories:
        columns = tuple(range(numbers, numbers + categories))
        parts.append(CategoricalKernel(ard_num_dims=categories, active_dims=columns))
    return reduce(mul, parts)


@contextmanager
def _quiet() -> Iterator[None]:
    """No gradients, and none of BoTorch's advice on inputs that it does not know to be categories."""
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore", BotorchWarning)
        warnings.simplefilter("ignore", gpytorch.utils.warnings.GPInputWarning)
        yield
