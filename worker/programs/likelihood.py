"""Log likelihoods of every family, from linear predictors, written so that they stay finite and exact far out.

What no parameter changes is apart, in NumPy: a sampler need not compute it again at every step.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.nn import sigmoid
from jax.scipy.special import gammaln, log_ndtr
from scipy import special

from model.frame.design import Float

_HALF_LOG_2PI = 0.5 * np.log(2.0 * np.pi)
_LARGEST_EXPONENT = 700.0
_TERMS = 16
"""Terms of the series of atanh: what is left out, at most 1/3 to the power of 33, is below rounding."""


def log_kernel(
    family: str, link: str, eta: Array, parameters: Array, y: Array, trials: Array, standard_error: Array
) -> Array:
    """Log likelihood of each row (row,) at its linear predictor, without `log_base`.

    `parameters` are the family's own, in its order; none for a gaussian response means that `standard_error` is known.
    It is linear in (y, trials) for the families of `collapses`.
    """
    match family:
        case "gaussian":
            sigma = parameters[0] if parameters.shape[0] else standard_error
            return -0.5 * ((y - _mean(link, eta)) / sigma) ** 2 - jnp.log(sigma)
        case "student":
            sigma, nu = parameters[0], parameters[1]
            z = (y - _mean(link, eta)) / sigma
            normalizer = gammaln((nu + 1) / 2) - gammaln(nu / 2) - 0.5 * jnp.log(nu * np.pi) - jnp.log(sigma)
            return normalizer - 0.5 * (nu + 1) * jnp.log1p(z**2 / nu)
        case "bernoulli" | "binomial" if link == "logit":
            return y * eta - trials * softplus(eta)
        case "bernoulli" | "binomial":
            log_p, log_q = _log_probabilities(link, eta)
            return y * log_p + (trials - y) * log_q
        case "poisson":
            return y * eta - _exp(eta)
        case "negbinomial":
            shape = parameters[0]
            # log(1 + mean / shape), from the log of that ratio so that neither end overflows.
            log_sum = softplus(eta - jnp.log(shape))
            return (
                gammaln(y + shape) - gammaln(shape) - shape * log_sum + y * (eta - jnp.log(shape) - log_sum)
            )
        case _:
            raise ValueError(family)


def log_base(family: str, y: Float, trials: Float) -> Float:
    """The part of each row's log likelihood (row,) that depends on data alone."""
    match family:
        case "gaussian":
            return np.full(len(y), -_HALF_LOG_2PI)
        case "binomial":
            return np.asarray(
                special.gammaln(trials + 1) - special.gammaln(y + 1) - special.gammaln(trials - y + 1)
            )
        case "poisson" | "negbinomial":
            return -np.asarray(special.gammaln(y + 1))
        case _:
            return np.zeros(len(y))


def collapses(family: str) -> bool:
    """Whether rows of equal linear predictor may be replaced by their mean: the kernel is linear in y and trials."""
    return family in ("bernoulli", "binomial", "poisson")


@jax.custom_jvp
def softplus(x: Array) -> Array:
    """log(1 + exp(x)) of any shape.

    As log(1 + e) = 2 atanh(e / (2 + e)) with e = exp(-|x|) in [0, 1], by its series: XLA computes a logarithm number by
    number on a CPU, but a polynomial in vectors.
    """
    e = jnp.exp(-jnp.abs(x))
    ratio = e / (2.0 + e)
    square, series = ratio * ratio, jnp.zeros_like(ratio)
    for term in reversed(range(_TERMS)):
        series = series * square + 2.0 / (2 * term + 1)
    return jnp.maximum(x, 0.0) + ratio * series


@softplus.defjvp
def _softplus_jvp(at: tuple[Array], along: tuple[Array]) -> tuple[Array, Array]:
    return softplus(at[0]), sigmoid(at[0]) * along[0]


def _mean(link: str, eta: Array) -> Array:
    return _exp(eta) if link == "log" else eta


def _exp(eta: Array) -> Array:
    return jnp.exp(jnp.minimum(eta, _LARGEST_EXPONENT))


def _log_probabilities(link: str, eta: Array) -> tuple[Array, Array]:
    """Log of a probability and of its complement at a linear predictor."""
    match link:
        case "probit":
            return log_ndtr(eta), log_ndtr(-eta)
        case "cloglog":
            rate = _exp(eta)
            # For small rates 1 - exp(-rate) is rate itself, whose log is eta to full precision.
            small = rate < 1e-8
            return jnp.where(small, eta, jnp.log(-jnp.expm1(-jnp.where(small, 1.0, rate)))), -rate
        case _:
            raise ValueError(link)
