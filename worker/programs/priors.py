"""Prior densities inside a program: sums of a few terms, whose coefficients are data.

So one expression serves every distribution, and which prior a parameter has is no part of a program.
"""

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.special import gammaln

from model.distributions import Distribution, Kind


class Terms(NamedTuple):
    """A log density as a sum of few terms, so that one expression serves every distribution.

    Of x, its logarithm, and w = (x or log x - location) * per_scale.
    """

    location: float = 0.0
    per_scale: float = 0.0
    of_log: float = 0.0
    """1 where w is of log x."""
    log: float = 0.0
    linear: float = 0.0
    inverse: float = 0.0
    square: float = 0.0
    absolute: float = 0.0
    tail: float = 0.0
    """Of log(1 + per_df w^2)."""
    per_df: float = 0.0
    rest: float = 0.0
    """Of log(1 - x)."""


def log_kernel(x: Array, terms: Array) -> Array:
    """Log densities at x (parameter, ...), inside their support, but for their normalizers; `terms` (term, parameter)
    are those of `Terms`."""
    of = Terms(*(beside(row, x) for row in terms))  # type: ignore[arg-type]
    above = jnp.where(x > 0, jnp.maximum(x, 1e-300), 1.0)
    log_x = jnp.log(above)
    w = (jnp.where(of.of_log > 0, log_x, x) - of.location) * of.per_scale
    below = jnp.where(of.rest == 0.0, 0.0, jnp.clip(x, 0.0, 1.0 - 1e-16))
    return jnp.asarray(
        of.log * log_x
        + of.linear * x
        + of.inverse / above
        + of.square * w**2
        + of.absolute * jnp.abs(w)
        + of.tail * jnp.log1p(of.per_df * w**2)
        + of.rest * jnp.log1p(-below)
    )


def beside(values: Array, t: Array) -> Array:
    """Values (parameter,) with the further axes of t."""
    return jnp.reshape(values, (*values.shape, *(1,) * (t.ndim - 1)))


def terms(prior: Distribution) -> Terms:
    """The terms of a distribution."""
    a, b, c = (*prior.arguments, 1.0, 1.0, 1.0)[:3]
    match prior.kind:
        case Kind.NORMAL:
            return Terms(a, 1.0 / b, square=-0.5)
        case Kind.STUDENT_T:
            return Terms(b, 1.0 / c, tail=-(a + 1.0) / 2.0, per_df=1.0 / a)
        case Kind.CAUCHY:
            return Terms(a, 1.0 / b, tail=-1.0, per_df=1.0)
        case Kind.LAPLACE:
            return Terms(a, 1.0 / b, absolute=-1.0)
        case Kind.EXPONENTIAL:
            return Terms(linear=-a)
        case Kind.GAMMA:
            return Terms(log=a - 1.0, linear=-b)
        case Kind.INV_GAMMA:
            return Terms(log=-(a + 1.0), inverse=-b)
        case Kind.LOGNORMAL:
            return Terms(a, 1.0 / b, of_log=1.0, log=-1.0, square=-0.5)
        case Kind.BETA:
            return Terms(log=a - 1.0, rest=b - 1.0)
        case _:
            return Terms()


def log_normalizer(prior: Distribution) -> float:
    """What `log_kernel` leaves out."""
    a, b, c = (*prior.arguments, 1.0, 1.0, 1.0)[:3]
    match prior.kind:
        case Kind.NORMAL | Kind.LOGNORMAL:
            return float(-np.log(b) - 0.5 * np.log(2.0 * np.pi))
        case Kind.STUDENT_T:
            return float(gammaln((a + 1) / 2) - gammaln(a / 2) - 0.5 * np.log(a * np.pi) - np.log(c))
        case Kind.CAUCHY:
            return float(-np.log(np.pi * b))
        case Kind.LAPLACE:
            return float(-np.log(2.0 * b))
        case Kind.UNIFORM:
            return float(-np.log(b - a))
        case Kind.EXPONENTIAL:
            return float(np.log(a))
        case Kind.GAMMA | Kind.INV_GAMMA:
            return float(a * np.log(b) - gammaln(a))
        case Kind.BETA:
            return float(gammaln(a + b) - gammaln(a) - gammaln(b))
        case _:
            return 0.0
