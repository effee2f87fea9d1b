"""The log likelihood of every training row under every draw, given the group-level effects, as `brms::log_lik` has it.

It comes some rows at a time, so that an array of all draws by all rows never exists.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from model.design import Design, Float
from model.family import Family
from model.posterior import Posterior
from model.predict import predicted_draws

CHUNK = 1 << 20
"""Numbers of an array of draws by rows that is held at once."""
_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)


@dataclass(frozen=True, slots=True)
class RowDraws:
    """Draws of the log likelihood of some rows."""

    rows: NDArray[np.intp]  # (row,), numbers of the design's rows
    values: Float  # (chain, draw, row)


def pointwise(posterior: Posterior, design: Design, rows: NDArray[np.intp]) -> Iterator[RowDraws]:
    """Give the log likelihood of each of `rows` under each draw, in chunks; the design has the training response.

    The rows come ordered by the levels of the largest factor, so that each level's deviations are drawn but once.
    """
    for chosen in chunks(design, rows, posterior.chains * posterior.draws):
        some = design.take(chosen)
        eta = predicted_draws(posterior, some, kind="linpred")
        own = {name: draws[:, :, None] for name, draws in posterior.parameters.items()}
        yield RowDraws(chosen, log_likelihood(posterior.family, some, eta, own))


def chunks(design: Design, rows: NDArray[np.intp], draws: int) -> Iterator[NDArray[np.intp]]:
    """Divide rows into pieces of which an array of all draws has about CHUNK numbers, each level's rows together."""
    largest = max(design.factors, key=lambda factor: len(factor.levels), default=None)
    if largest is not None:
        rows = rows[np.argsort(largest.index[rows], kind="stable")]
    size = max(1, CHUNK // draws)
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def log_likelihood(family: Family, design: Design, eta: Float, parameters: Mapping[str, Float]) -> Float:
    """Log density or probability of each row's response at linear predictors (..., row), times the row's weight.

    `parameters` are the family's own and broadcast against `eta`; a gaussian response without a sigma has the standard
    errors that the rows say. It is finite wherever the response is possible.
    """
    value = _unweighted(family, design, eta, parameters)
    return value if design.weights is None else value * design.weights


def _unweighted(family: Family, design: Design, eta: Float, parameters: Mapping[str, Float]) -> Float:
    y = design.y
    assert y is not None
    match family.name:
        case "gaussian":
            sigma = parameters.get("sigma", design.standard_error)
            assert sigma is not None
            z = (y - family.inverse_link(eta)) / sigma
            return np.asarray(-0.5 * z**2 - np.log(sigma) - _HALF_LOG_2PI)
        case "student":
            sigma, nu = parameters["sigma"], parameters["nu"]
            z = (y - family.inverse_link(eta)) / sigma
            normalizer = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
            return np.asarray(normalizer - np.log(sigma) - 0.5 * (nu + 1) * np.log1p(z**2 / nu))
        case "bernoulli":
            return _binomial(family.link, eta, y, np.ones_like(y))
        case "binomial":
            trials = design.trials
            assert trials is not None
            ways = special.gammaln(trials + 1) - special.gammaln(y + 1) - special.gammaln(trials - y + 1)
            return np.asarray(ways + _binomial(family.link, eta, y, trials))
        case "poisson":
            return np.asarray(y * eta - family.inverse_link(eta) - special.gammaln(y + 1))
        case "negbinomial":
            shape = parameters["shape"]
            relative = eta - np.log(shape)
            # log(1 + mean / shape), from the log of that ratio so that neither end overflows.
            log_sum = np.logaddexp(0.0, relative)
            # log of gamma(y + shape) / (gamma(shape) y!), without the difference of two large numbers.
            ways = -special.betaln(shape, y + 1) - np.log(shape + y)
            return np.asarray(ways - shape * log_sum + y * (relative - log_sum))
        case _:
            raise ValueError(family.name)


def _binomial(link: str, eta: Float, y: Float, trials: Float) -> Float:
    """Log likelihood of successes but for the number of their orders."""
    match link:
        case "logit":
            log_p, log_q = special.log_expit(eta), special.log_expit(-eta)
        case "probit":
            log_p, log_q = special.log_ndtr(eta), special.log_ndtr(-eta)
        case "cloglog":
            rate = np.exp(np.minimum(eta, 700.0))
            # For small rates 1 - exp(-rate) is rate itself, whose log is eta to full precision.
            small = rate < 1e-8
            log_p, log_q = np.where(small, eta, np.log(-np.expm1(-np.where(small, 1.0, rate)))), -rate
        case _:
            raise ValueError(link)
    failures = trials - y
    # Nothing times minus infinity is nothing here: what did not happen may be impossible.
    return np.where(y > 0, y * log_p, 0.0) + np.where(failures > 0, failures * log_q, 0.0)
