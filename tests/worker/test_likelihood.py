"""The log likelihoods of every family and link against scipy's distributions, their collapse, and their far ends."""

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import worker.compiled  # noqa: F401  # turns on 64-bit floats
from model.family import FAMILIES, Family
from worker.programs.likelihood import collapses, log_base, log_kernel

PARAMETERS = {"gaussian": [1.3], "student": [0.8, 4.5], "negbinomial": [2.7]}
EACH = [(name, link) for name, facts in FAMILIES.items() for link in facts.links]
ROWS = 200


def data(family: Family) -> tuple[np.ndarray[Any, Any], np.ndarray[Any, Any], np.ndarray[Any, Any]]:
    """Linear predictors, responses and trials."""
    source = np.random.default_rng(3)
    eta = source.normal(0, 1.2, ROWS)
    trials = source.integers(0, 12, ROWS).astype(float) if family.name == "binomial" else np.ones(ROWS)
    return eta, family.draw(source, family.inverse_link(eta), parameters(family), trials), trials


def parameters(family: Family) -> dict[str, Any]:
    return dict(zip(family.parameters, np.array(PARAMETERS.get(family.name, [])), strict=True))


def log_likelihood(family: Family, eta: Any, y: Any, trials: Any, own: Any = None) -> np.ndarray[Any, Any]:
    own = PARAMETERS.get(family.name, []) if own is None else own
    ones = np.ones(len(y))
    kernel = log_kernel(family.name, family.link, eta, jnp.array(own, dtype=float), y, trials, ones)
    return np.asarray(kernel) + log_base(family.name, y, trials)


def scipy_log_likelihood(family: Family, mean: Any, y: Any, trials: Any) -> Any:
    match family.name:
        case "gaussian":
            return stats.norm.logpdf(y, mean, 1.3)
        case "student":
            return stats.t.logpdf(y, 4.5, mean, 0.8)
        case "bernoulli":
            return stats.bernoulli.logpmf(y, mean)
        case "binomial":
            return stats.binom.logpmf(y, trials, mean)
        case "poisson":
            return stats.poisson.logpmf(y, mean)
        case _:
            return stats.nbinom.logpmf(y, 2.7, 2.7 / (2.7 + mean))


@pytest.mark.parametrize(("name", "link"), EACH)
def test_log_likelihoods_are_those_of_scipy(name: str, link: str) -> None:
    family = Family(name, link)
    eta, y, trials = data(family)
    expected = scipy_log_likelihood(family, family.inverse_link(eta), y, trials)
    np.testing.assert_allclose(log_likelihood(family, eta, y, trials), expected, rtol=1e-9, atol=1e-11)


@pytest.mark.parametrize(("name", "link"), [pair for pair in EACH if collapses(pair[0])])
def test_rows_of_one_linear_predictor_collapse_to_their_mean(name: str, link: str) -> None:
    family = Family(name, link)
    eta, y, trials = data(family)
    eta[:] = 0.4
    weight = np.random.default_rng(1).uniform(0.5, 2.0, ROWS)
    none = jnp.zeros(0)
    whole = weight @ log_kernel(name, link, eta, none, y, trials, trials)
    mean_y, mean_trials = (np.array([np.average(values, weights=weight)]) for values in (y, trials))
    mean = weight.sum() * log_kernel(name, link, eta[:1], none, mean_y, mean_trials, mean_trials)
    np.testing.assert_allclose(mean[0], whole, rtol=1e-12)


@pytest.mark.parametrize(("name", "link"), EACH)
@pytest.mark.parametrize("far", [-40.0, 40.0])
def test_far_out_values_and_gradients_are_finite(name: str, link: str, far: float) -> None:
    own = jnp.array(PARAMETERS.get(name, []))
    one = jnp.ones(1)

    def total(eta: Any) -> Any:
        return log_kernel(name, link, eta, own, one, one, one).sum()

    value, slope = jax.value_and_grad(total)(jnp.array([far]))
    assert np.isfinite(value)
    assert np.isfinite(slope).all()


def test_a_probability_keeps_its_log_where_it_has_no_double() -> None:
    eta = np.array([-800.0])
    one = np.ones(1)
    assert log_likelihood(Family("bernoulli", "logit"), eta, one, one)[0] == -800.0
    assert log_likelihood(Family("bernoulli", "cloglog"), eta, one, one)[0] == -800.0
    probit = log_likelihood(Family("bernoulli", "probit"), eta / 20, one, one)[0]
    np.testing.assert_allclose(probit, stats.norm.logcdf(-40.0), rtol=1e-12)


def test_a_large_shape_is_a_poisson_response() -> None:
    poisson, family = Family("poisson", "log"), Family("negbinomial", "log")
    eta, y, trials = data(poisson)
    close = log_likelihood(family, eta, y, trials, own=[1e8])
    np.testing.assert_allclose(close, log_likelihood(poisson, eta, y, trials), rtol=1e-5, atol=1e-5)
