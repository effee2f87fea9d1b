"""The log likelihood of the training rows under every draw, given the group-level effects, as `brms::log_lik` has it.

It comes some rows at a time, and stays finite and exact far out.
"""

from collections.abc import Iterator, Mapping

import numpy as np
from numpy.typing import NDArray
from scipy import special

from model.criticism.training import training_rows
from model.family import Family
from model.frame.design import Design, Float
from model.results.posterior import Posterior

_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)
_FARTHEST = 1e150
"""Sds between a response and its mean: the square of more has no double."""


def pointwise(
    posterior: Posterior, design: Design, rows: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], Float]]:
    """Give the log likelihood (row, draw) of `rows` in pieces, each with the numbers of its rows.

    The design has the training response. The draws are those of all chains, one chain after the other.
    """
    own = {name: draws.ravel() for name, draws in posterior.parameters.items()}
    for some, part, eta in training_rows(posterior, design, rows):
        yield some, log_likelihood(posterior.family, part, eta, own)


def log_likelihood(family: Family, design: Design, eta: Float, parameters: Mapping[str, Float]) -> Float:
    """Log density or probability (row, draw) of each row's response at linear predictors, times the row's weight.

    `parameters` (draw,) are the family's own; a gaussian response without a sigma has the standard errors of its rows.
    It is finite wherever the response is possible.
    """
    value = _unweighted(family, design, eta, parameters)
    return value if design.weights is None else value * design.weights[:, None]


def _unweighted(family: Family, design: Design, eta: Float, parameters: Mapping[str, Float]) -> Float:
    assert design.y is not None
    y = design.y[:, None]
    match family.name:
        case "gaussian":
            sigma = parameters["sigma"] if "sigma" in parameters else _column(design.standard_error)
            z = np.clip((y - family.inverse_link(eta)) / sigma, -_FARTHEST, _FARTHEST)
            return np.asarray(-0.5 * z**2 - np.log(sigma) - _HALF_LOG_2PI)
        case "student":
            sigma, nu = parameters["sigma"], parameters["nu"]
            z = np.clip((y - family.inverse_link(eta)) / sigma, -_FARTHEST, _FARTHEST)
            normalizer = special.gammaln((nu + 1) / 2) - special.gammaln(nu / 2) - 0.5 * np.log(nu * np.pi)
            return np.asarray(normalizer - np.log(sigma) - 0.5 * (nu + 1) * np.log1p(z**2 / nu))
        case "bernoulli":
            return _binomial(family.link, eta, y, np.ones_like(y))
        case "binomial":
            trials = _column(design.trials)
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


def _column(values: Float | None) -> Float:
    assert values is not None
    return values[:, None]


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
