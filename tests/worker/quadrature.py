"""The posterior of `y ~ x + (1 + x | g)` by plain quadrature: no sampler, no transforms of the product's.

Levels that share their x have the same sums, so the likelihood of the variance parameters is closed form: the least-
squares fits of the levels are normal with covariance Phi + sigma^2 (Z'Z)^-1, and their residual sum of squares is
sigma^2 chi-square.
"""

from typing import Any, NamedTuple

import numpy as np
from scipy import stats
from scipy.special import logsumexp

Float = np.ndarray[Any, Any]


class Marginal(NamedTuple):
    """Posterior means, and the log mass of the part with a slope sd below and above a bound."""

    sd_intercept: float
    sd_slope: float
    sigma: float
    log_mass_below: float
    log_mass_above: float


def integrate(
    y: Float, x: Float, level: Float, sd: float, intercept: tuple[float, float], bound: float
) -> Marginal:
    """Under student_t(3) priors: of scale `sd` on all sds and sigma, at the location and scale of `intercept`.

    It runs over the covariance matrix at the mean of x, whose map from the matrix at x = 0 has a unit Jacobian. The
    prior of two sds and their correlation has, per volume of covariance matrices, the density p(s0) p(s1) / 2 over
    4 s0^2 s1^2.
    """
    numbers = np.unique(level, return_inverse=True)[1]
    order = np.argsort(numbers, kind="stable")
    levels = int(numbers.max()) + 1
    rows, at = y[order].reshape(levels, -1), x[order].reshape(levels, -1)[0]
    m = float(at.mean())
    z = np.column_stack([np.ones(len(at)), at - m])
    inverse = np.linalg.inv(z.T @ z)
    fits = rows @ z @ inverse
    left = float(np.sum((rows - fits @ z.T) ** 2))
    center = fits.mean(axis=0)
    scatter = (fits - center).T @ (fits - center)
    unit = float(np.std(at))
    spread = float(fits[:, 0].std())

    axes = (
        np.linspace(np.log(0.2 * spread), np.log(5 * spread), 36),
        np.linspace(np.log(1e-3 * spread / max(abs(m), unit)), np.log(6 * spread / unit), 110),
        np.linspace(-5.0, 10.0, 70),
        np.log(np.sqrt(left / (levels * (len(at) - 2)))) + np.linspace(-0.45, 0.75, 22),
    )
    log_s, log_slope, t, log_sigma = np.meshgrid(*axes, indexing="ij", sparse=True)
    s, slope, sigma = np.exp(log_s), np.exp(log_slope), np.exp(log_sigma)
    rest = np.cosh(t) ** -2.0  # one minus the squared correlation
    phi = s**2, np.tanh(t) * s * slope, slope**2
    users = phi[0] - 2 * m * phi[1] + m**2 * phi[2]
    log_prior = _half_t(np.sqrt(users), sd) + _half_t(slope, sd) + _half_t(sigma, sd) - np.log(2)
    log_prior = log_prior - np.log(4 * users * slope**2)
    log_volume = np.log(4 * s**2 * slope**2) + log_s + log_slope + np.log(rest) + log_sigma

    v00, v01, v11 = (
        part + sigma**2 * inverse[i, j] for part, (i, j) in zip(phi, ((0, 0), (0, 1), (1, 1)), strict=True)
    )
    determinant = v00 * v11 - v01**2
    squares = (scatter[0, 0] * v11 - 2 * scatter[0, 1] * v01 + scatter[1, 1] * v00) / determinant
    log_likelihood = -0.5 * ((levels - 1) * np.log(determinant) + squares)
    # The slope's coefficient is flat; what is left is the prior of the intercept at the mean, smoothed by its error.
    nodes, weights = np.polynomial.hermite_e.hermegauss(9)
    expected = sum(
        weight * stats.t.pdf((center[0] + node * np.sqrt(v00 / levels) - intercept[0]) / intercept[1], 3)
        for node, weight in zip(nodes, weights, strict=True)
    )
    log_likelihood = log_likelihood + np.log(expected)
    log_likelihood = log_likelihood - levels * (len(at) - 2) * log_sigma - left / (2 * sigma**2)

    total = log_likelihood + log_prior + log_volume
    below = np.broadcast_to(slope < bound, total.shape)
    mass = np.exp(total - total.max())
    return Marginal(
        *(float(np.sum(mass * part) / mass.sum()) for part in (np.sqrt(users), slope, sigma)),
        float(logsumexp(total[below])),
        float(logsumexp(total[~below])),
    )


def _half_t(value: Float, scale: float) -> Float:
    return np.asarray(np.log(2 / scale) + stats.t.logpdf(value / scale, 3))
