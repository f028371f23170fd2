"""A Gaussian process over fidelity and configuration, for an objective that only an evaluation reveals.

Every fidelity informs it: the logarithm of the fidelity is one more input, and the mean may rise or fall with it, as
an error does that follows a power law of the epochs. Values that are all positive are modelled on a log scale, where
differences are ratios and errors near zero keep their resolution. What it says depends on the evaluations alone, not
on their order or on earlier fits, so that a resumed study goes on as if it had not stopped.

Kernel and priors are BoTorch's standard ones (Matérn 5/2 with a length for each input; Hvarfner, Hellsten and Nardi
2024, arXiv 2402.02229). The algebra is here because BoTorch would be the heaviest part of an installation, and
because fitting afresh at every step has to be quick.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.optimize import minimize

from greenshift.optimize.freezethaw.improvement import Belief

Matrix = NDArray[np.float64]
Vector = NDArray[np.float64]

# Enough evaluations and iterations for the few parameters of the kernel; more cost time and gain little.
FIT_POINTS = 100
FIT_ITERATIONS = 15

# Log-normal priors of the lengths, wider for more inputs, and of the noise's variance.
_LENGTH_SPREAD = math.sqrt(3)
_NOISE_CENTRE, _NOISE_SPREAD = -4.0, 1.0
_LEAST_NOISE = 1e-4
_SMALLEST_VARIANCE = 1e-12


@dataclass(frozen=True)
class Parameters:
    """What is fitted.

    Attributes:
        log_lengths: Logarithms of the lengths of the inputs, shape (columns,).
        log_noise: Logarithm of the noise's variance, in units of the values' own.
        mean: Constant and slope along the first input, shape (2,).
    """

    log_lengths: torch.Tensor
    log_noise: torch.Tensor
    mean: torch.Tensor

    @classmethod
    def unpack(cls, flat: torch.Tensor) -> "Parameters":
        """Read the parameters from one vector: lengths, noise, mean."""
        return cls(flat[:-3], flat[-3], flat[-2:])


class Surrogate:
    """A fitted process for one objective."""

    def __init__(self, rows: Matrix, values: Vector, categories: int, pending: Matrix, seed: int) -> None:
        """Fit the process.

        Args:
            rows: Inputs, shape (n, columns), n >= 1: log fidelity in 0..1, numbers in 0..1, then categories.
            values: What was observed, shape (n,), finite.
            categories: Number of columns that hold categories.
            pending: Inputs of evaluations under way, shape (m, columns). They are taken to end as expected, so
                that nobody hopes to learn there what is already being learned (Ginsbourger et al. 2010).
            seed: Chooses the evaluations that the parameters are fitted on, if there are many.
        """
        self.log = bool(np.all(values > 0))
        targets = np.log(values) if self.log else values
        self._centre = float(targets.mean())
        self._spread = float(targets.std()) or 1.0
        self._numbers = rows.shape[1] - categories
        inputs = torch.from_numpy(rows)
        outputs = torch.from_numpy((targets - self._centre) / self._spread)
        order = np.lexsort(rows.T)  # the same sums, and the same choice below, whatever the order of the evaluations
        chosen = np.random.default_rng(seed).permutation(order)[:FIT_POINTS] if len(order) > FIT_POINTS else order
        self._parameters = _fit(inputs[chosen], outputs[chosen], self._numbers)
        self._condition(inputs[order], outputs[order])
        if len(pending):
            more = torch.from_numpy(pending)
            self._condition(torch.cat([inputs[order], more]), torch.cat([outputs[order], self._predict(more)[0]]))

    def believe(self, rows: Matrix) -> Belief:
        """Return what is believed of the values, without noise, at rows of shape (n, columns)."""
        mean, variance = self._predict(torch.from_numpy(rows))
        deviation = np.sqrt(np.maximum(variance.numpy(), _SMALLEST_VARIANCE))
        return Belief(mean.numpy() * self._spread + self._centre, deviation * self._spread, self.log)

    def _condition(self, inputs: torch.Tensor, outputs: torch.Tensor) -> None:
        """Factorise for prediction (Rasmussen and Williams 2006, algorithm 2.1)."""
        self._inputs = inputs
        self._factor, self._weights = _factorise(inputs, outputs, self._parameters, self._numbers)

    def _predict(self, inputs: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        cross = _kernel(self._inputs, inputs, self._parameters.log_lengths, self._numbers)
        mean = _mean(inputs, self._parameters) + cross.T @ self._weights
        explained = torch.linalg.solve_triangular(self._factor, cross, upper=False).square().sum(0)
        return mean, 1 - explained


def _kernel(left: torch.Tensor, right: torch.Tensor, log_lengths: torch.Tensor, numbers: int) -> torch.Tensor:
    """Matérn 5/2 over numbers times a kernel of equality over categories, shape (left, right)."""
    lengths = log_lengths.exp()
    a, b = left[:, :numbers] / lengths[:numbers], right[:, :numbers] / lengths[:numbers]
    squared = a.square().sum(1)[:, None] + b.square().sum(1)[None, :] - 2 * a @ b.T
    distance = (5 * squared.clamp_min(1e-12)).sqrt()
    kernel = (1 + distance + distance.square() / 3) * torch.exp(-distance)
    for column in range(numbers, left.shape[1]):
        differs = (left[:, column, None] != right[None, :, column]).to(kernel.dtype)
        kernel = kernel * torch.exp(-differs / lengths[column])
    return kernel


def _mean(inputs: torch.Tensor, parameters: Parameters) -> torch.Tensor:
    return parameters.mean[0] + parameters.mean[1] * inputs[:, 0]


def _factorise(
    inputs: torch.Tensor, outputs: torch.Tensor, parameters: Parameters, numbers: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the Cholesky factor of the covariance and the weights of the evaluations."""
    noise = parameters.log_noise.exp() + _LEAST_NOISE
    kernel = _kernel(inputs, inputs, parameters.log_lengths, numbers)
    factor = torch.linalg.cholesky(kernel + noise * torch.eye(len(inputs), dtype=inputs.dtype))
    residual = outputs - _mean(inputs, parameters)
    return factor, torch.cholesky_solve(residual[:, None], factor)[:, 0]


def _fit(inputs: torch.Tensor, outputs: torch.Tensor, numbers: int) -> Parameters:
    """Maximise the posterior of the parameters, from the most likely ones of the prior."""
    columns = inputs.shape[1]
    length_centre = math.sqrt(2) + math.log(columns) / 2
    start = np.concatenate(
        [np.full(columns, length_centre - _LENGTH_SPREAD**2), [_NOISE_CENTRE - _NOISE_SPREAD**2, 0.0, 0.0]]
    )

    def loss(flat: Vector) -> tuple[float, Vector]:
        vector = torch.tensor(flat, requires_grad=True)
        parameters = Parameters.unpack(vector)
        factor, weights = _factorise(inputs, outputs, parameters, numbers)
        residual = outputs - _mean(inputs, parameters)
        fit = residual @ weights / 2 + factor.diagonal().log().sum()
        # Densities of the log-normal priors in the logarithm of the parameter, which has a mode of its own.
        lengths = ((parameters.log_lengths - length_centre + _LENGTH_SPREAD**2) / _LENGTH_SPREAD).square().sum() / 2
        noise = ((parameters.log_noise - _NOISE_CENTRE + _NOISE_SPREAD**2) / _NOISE_SPREAD).square() / 2
        total = fit + lengths + noise
        total.backward()
        return total.item(), np.asarray(vector.grad)

    bounds = [(-5.0, 8.0)] * columns + [(-12.0, 1.0), (-20.0, 20.0), (-20.0, 20.0)]
    found = minimize(loss, start, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": FIT_ITERATIONS})
    return Parameters.unpack(torch.from_numpy(found.x))
