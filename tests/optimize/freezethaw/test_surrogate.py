"""What the surrogate says of functions that are known."""

import numpy as np
import pytest

from greenshift.optimize.freezethaw.surrogate import Surrogate, negative_log_posterior

RNG = np.random.default_rng(0)


def rows(count, categories=0):
    fidelity = RNG.choice([0.0, 0.5, 1.0], count)[:, None]
    return np.hstack([fidelity, RNG.random((count, 2)), RNG.integers(0, 3, (count, categories))])


def error(inputs):
    """Falls with the fidelity, is least at 0.3 and depends on the category."""
    place = np.exp(3 * (inputs[:, 1] - 0.3) ** 2 - 2 * inputs[:, 0])
    return 0.1 * place * (1 + 0.5 * (inputs[:, 3] == 1) if inputs.shape[1] > 3 else 1)


def fit(inputs, values, categories=0, pending=None):
    return Surrogate(inputs, values, categories, np.zeros((0, inputs.shape[1])) if pending is None else pending, seed=0)


@pytest.mark.parametrize("categories", [0, 1])
def test_it_predicts_what_it_has_not_seen(categories):
    inputs = rows(60, categories)
    surrogate = fit(inputs, error(inputs), categories)
    fresh = rows(40, categories)
    belief = surrogate.believe(fresh)
    assert belief.log
    assert np.corrcoef(belief.mean, np.log(error(fresh)))[0, 1] > 0.98
    assert (np.abs(belief.mean - np.log(error(fresh))) < 4 * belief.deviation + 0.05).mean() > 0.9


def test_values_that_are_not_all_positive_stay_on_their_scale():
    inputs = rows(30)
    belief = fit(inputs, inputs[:, 1] - 0.5).believe(inputs)
    assert not belief.log
    assert belief.mean == pytest.approx(inputs[:, 1] - 0.5, abs=0.05)


def test_the_order_of_the_evaluations_does_not_matter():
    inputs, fresh = rows(150), rows(5)
    order = RNG.permutation(150)
    one = fit(inputs, error(inputs)).believe(fresh)
    other = fit(inputs[order], error(inputs)[order]).believe(fresh)
    assert other.mean == pytest.approx(one.mean, rel=1e-4)
    assert other.deviation == pytest.approx(one.deviation, rel=1e-2)


def test_what_is_under_way_leaves_the_mean_and_takes_the_doubt():
    inputs = rows(20)
    pending = np.array([[1.0, 0.9, 0.9]])
    before, after = (fit(inputs, error(inputs), pending=p).believe(pending) for p in (None, pending))
    assert after.mean == pytest.approx(before.mean, abs=0.02)
    assert after.deviation[0] < 0.5 * before.deviation[0]


def test_equal_values_are_survived():
    inputs = rows(6)
    belief = fit(inputs, np.full(6, 0.25)).believe(inputs)
    assert np.exp(belief.mean) == pytest.approx(np.full(6, 0.25))
    assert np.isfinite(belief.deviation).all()


def test_botorch_predicts_the_same_with_the_same_parameters():
    botorch = pytest.importorskip("botorch.models")
    import torch
    from botorch.models.utils.gpytorch_modules import get_covar_module_with_dim_scaled_prior

    inputs = rows(25)
    surrogate = fit(inputs, error(inputs))
    parameters = surrogate._parameters
    targets = torch.from_numpy((np.log(error(inputs)) - surrogate._centre) / surrogate._spread)[:, None]
    trend = torch.from_numpy(parameters.trend(inputs))[:, None]
    noise = torch.full((25, 1), parameters.noise, dtype=torch.float64)
    kernel = get_covar_module_with_dim_scaled_prior(ard_num_dims=3, use_rbf_kernel=False)
    model = botorch.SingleTaskGP(
        torch.from_numpy(inputs), targets - trend, noise, covar_module=kernel, outcome_transform=None
    )
    model.covar_module.lengthscale = torch.from_numpy(np.exp(parameters.log_lengths))
    model.mean_module.constant = 0.0
    fresh = rows(10)
    with torch.no_grad():
        posterior = model.posterior(torch.from_numpy(fresh))
    back = posterior.mean[:, 0].numpy() + parameters.trend(fresh)
    belief = surrogate.believe(fresh)
    assert belief.mean == pytest.approx(back * surrogate._spread + surrogate._centre, abs=1e-6)
    assert belief.deviation == pytest.approx(posterior.variance[:, 0].sqrt().numpy() * surrogate._spread, rel=1e-3)


@pytest.mark.parametrize("categories", [0, 2])
def test_the_gradient_is_that_of_finite_differences(categories):
    inputs = rows(20, categories)
    outputs = RNG.standard_normal(20)
    flat = np.concatenate([RNG.normal(-0.5, 0.5, inputs.shape[1]), [-3.0, 0.2, -0.3]])

    def value(vector):
        return negative_log_posterior(vector, inputs, outputs, inputs.shape[1] - categories)[0]

    steps = np.eye(len(flat)) * 1e-6
    numeric = [(value(flat + step) - value(flat - step)) / 2e-6 for step in steps]
    gradient = negative_log_posterior(flat, inputs, outputs, inputs.shape[1] - categories)[1]
    assert gradient == pytest.approx(numeric, rel=1e-4, abs=1e-5)
