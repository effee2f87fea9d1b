"""Links: the functions that take the mean of a response to its linear predictor, with their inverses and slopes.

Inverses of the links of probabilities stay strictly between 0 and 1 wherever floating point allows.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import special

from model.frame.design import Float

_LARGEST_EXPONENT = 700.0
"""The exponential of a larger number has no double."""


@dataclass(frozen=True, slots=True)
class Link:
    """A link by its three functions, each elementwise."""

    of_mean: Callable[[Float], Float]
    """The linear predictor at a mean."""
    inverse: Callable[[Float], Float]
    """The mean at a linear predictor."""
    slope: Callable[[Float], Float]
    """Derivative of the mean by the linear predictor."""


def _identity(values: Float) -> Float:
    return values


def _exp(eta: Float) -> Float:
    return np.exp(np.minimum(eta, _LARGEST_EXPONENT))


def _logistic_slope(eta: Float) -> Float:
    return np.asarray(special.expit(eta) * special.expit(-eta))


def _normal_density(eta: Float) -> Float:
    return np.asarray(np.exp(-0.5 * np.square(eta)) / np.sqrt(2.0 * np.pi))


def _cloglog_slope(eta: Float) -> Float:
    return np.asarray(np.exp(eta - _exp(eta)))


LINKS = {
    "identity": Link(_identity, _identity, np.ones_like),
    "log": Link(np.log, _exp, _exp),
    "logit": Link(special.logit, special.expit, _logistic_slope),
    "probit": Link(special.ndtri, special.ndtr, _normal_density),
    "cloglog": Link(lambda mean: np.log(-np.log1p(-mean)), lambda eta: -np.expm1(-_exp(eta)), _cloglog_slope),
}
