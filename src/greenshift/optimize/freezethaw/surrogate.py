"""A Gaussian process over fidelity and configuration, for an objective that only an evaluation reveals.

Every fidelity informs it: the logarithm of the fidelity is one more input, and the mean may rise or fall with it, as
an error does that follows a power law of the epochs. Values that are all positive are modelled on a log scale, where
differences are ratios and errors near zero keep their resolution. What it says depends on the evaluations alone, not
on their order or on earlier fits, so that a resumed study goes on as if it had not stopped.

Kernel and priors are BoTorch's standard ones (Matérn 5/2 with a length for each input; Hvarfner, Hellsten and Nardi
2024, arXiv 2402.02229). The algebra is here because BoTorch would be the heaviest part of an installation, and
because fitting afresh at every step has to be quick: the gradient of the likelihood is in closed form.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_solve, cholesky, solve_triangular
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

    log_lengths: Vector
    log_noise: float
    mean: Vector

    @classmethod
    def unpack(cls, flat: Vector) -> "Parameters":
        """Read the parameters from one vector: lengths, noise, mean."""
        return cls(flat[:-3], float(flat[-3]), flat[-2:])

    def trend(self, inputs: Matrix) -> Vector:
        """Return the mean at inputs of shape (n, columns)."""
        return np.asarray(self.mean[0] + self.mean[1] * inputs[:, 0])

    @property
    def noise(self) -> float:
        """Variance of the noise."""
        return math.exp(self.log_noise) + _LEAST_NOISE


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
        outputs = (targets - self._centre) / self._spread
        order = np.lexsort(rows.T)  # the same sums, and the same choice below, whatever the order of the evaluations
        chosen = np.random.default_rng(seed).permutation(order)[:FIT_POINTS] if len(order) > FIT_POINTS else order
        self._parameters = _fit(rows[chosen], outputs[chosen], self._numbers)
        self._condition(rows[order], outputs[order])
        if len(pending):
            self._condition(
                np.vstack([rows[order], pending]), np.concatenate([outputs[order], self._predict(pending)[0]])
            )

    def believe(self, rows: Matrix) -> Belief:
        """Return what is believed of the values, without noise, at rows of shape (n, columns)."""
        mean, variance = self._predict(rows)
        deviation = np.sqrt(np.maximum(variance, _SMALLEST_VARIANCE))
        return Belief(mean * self._spread + self._centre, deviation * self._spread, self.log)

    def _condition(self, inputs: Matrix, outputs: Vector) -> None:
        """Factorise for prediction (Rasmussen and Williams 2006, algorithm 2.1)."""
        kernel = Kernel(inputs, inputs, self._parameters.log_lengths, self._numbers).values
        self._inputs = inputs
        self._factor = cholesky(kernel + self._parameters.noise * np.eye(len(inputs)), lower=True, check_finite=False)
        residual = outputs - self._parameters.trend(inputs)
        self._weights = cho_solve((self._factor, True), residual, check_finite=False)

    def _predict(self, inputs: Matrix) -> tuple[Vector, Vector]:
        cross = Kernel(self._inputs, inputs, self._parameters.log_lengths, self._numbers).values
        mean = self._parameters.trend(inputs) + cross.T @ self._weights
        whitened = solve_triangular(self._factor, cross, lower=True, check_finite=False)
        return mean, 1 - np.square(whitened).sum(0)


class Kernel:
    """Matérn 5/2 over numbers times a kernel of equality over categories."""

    def __init__(self, left: Matrix, right: Matrix, log_lengths: Vector, numbers: int) -> None:
        """Compute `values`, shape (left, right).

        Args:
            left: Inputs, shape (n, columns).
            right: Inputs, shape (m, columns).
            log_lengths: Logarithms of the lengths, shape (columns,).
            numbers: How many of the columns are numbers; the others are categories.
        """
        lengths = np.exp(log_lengths)
        a, b = left[:, :numbers] / lengths[:numbers], right[:, :numbers] / lengths[:numbers]
        squared = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None, :] - 2 * a @ b.T
        distance = np.sqrt(5 * np.maximum(squared, 0.0))
        self._scaled = a
        self._decay = np.exp(-distance)
        self._differs = []
        for column in range(numbers, left.shape[1]):
            differs = (left[:, column, None] != right[None, :, column]) / lengths[column]
            self._decay = self._decay * np.exp(-differs)
            self._differs.append(differs)
        self._distance = distance
        self.values = (1 + distance + np.square(distance) / 3) * self._decay

    def gradient(self, weights: Matrix) -> Vector:
        """Return d sum(weights * values) / d log_lengths, shape (columns,), for symmetric weights of one input set."""
        # Of a number: dk / dlog length = 5/3 (1 + r) e^-r times the squared scaled difference, summed without
        # a matrix for each column.
        inner = weights * (5 / 3) * (1 + self._distance) * self._decay
        numbers = 2 * (inner.sum(1) @ np.square(self._scaled) - (self._scaled * (inner @ self._scaled)).sum(0))
        categories = [(weights * self.values * differs).sum() for differs in self._differs]
        return np.concatenate([numbers, categories])


def _fit(inputs: Matrix, outputs: Vector, numbers: int) -> Parameters:
    """Maximise the posterior of the parameters, from the most likely ones of the prior."""
    columns = inputs.shape[1]
    modes = np.append(np.full(columns, _length_mode(columns)), _NOISE_CENTRE - _NOISE_SPREAD**2)
    bounds = [(-5.0, 8.0)] * columns + [(-12.0, 1.0), (-20.0, 20.0), (-20.0, 20.0)]
    found = minimize(
        negative_log_posterior,
        np.append(modes, [0.0, 0.0]),
        args=(inputs, outputs, numbers),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": FIT_ITERATIONS},
    )
    return Parameters.unpack(found.x)


def _length_mode(columns: int) -> float:
    """Logarithm of the most likely length of the prior for so many inputs."""
    return math.sqrt(2) + math.log(columns) / 2 - _LENGTH_SPREAD**2


def negative_log_posterior(flat: Vector, inputs: Matrix, outputs: Vector, numbers: int) -> tuple[float, Vector]:
    """Return what is minimised, up to a constant, and its gradient (Rasmussen and Williams 2006, equation 5.9).

    Args:
        flat: Parameters as one vector, see `Parameters.unpack`.
        inputs: Shape (n, columns).
        outputs: Standardised values, shape (n,).
        numbers: How many of the columns are numbers.
    """
    parameters = Parameters.unpack(flat)
    kernel = Kernel(inputs, inputs, parameters.log_lengths, numbers)
    factor = cholesky(kernel.values + parameters.noise * np.eye(len(inputs)), lower=True, check_finite=False)
    residual = outputs - parameters.trend(inputs)
    weights = cho_solve((factor, True), residual, check_finite=False)
    inverse = cho_solve((factor, True), np.eye(len(inputs)), check_finite=False)
    slope = (inverse - np.outer(weights, weights)) / 2
    # The priors' densities have their modes where the fit starts; they are normal in the logarithms.
    lengths = (parameters.log_lengths - _length_mode(inputs.shape[1])) / _LENGTH_SPREAD
    noise = (parameters.log_noise - _NOISE_CENTRE + _NOISE_SPREAD**2) / _NOISE_SPREAD
    value = residual @ weights / 2 + np.log(np.diag(factor)).sum() + (lengths @ lengths + noise**2) / 2
    gradient = np.concatenate(
        [
            kernel.gradient(slope) + lengths / _LENGTH_SPREAD,
            [np.trace(slope) * math.exp(parameters.log_noise) + noise / _NOISE_SPREAD],
            [-weights.sum(), -(weights @ inputs[:, 0])],
        ]
    )
    return float(value), gradient
