"""The collapsed gaussian model: the log density of its hyperparameters, all coefficients and effects integrated out.

One compiled program per shape evaluates a whole batch of hyperparameter vectors, and draws for each the population
coefficients from their exact normal distribution given it.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from model.small import (
    cholesky,
    identity_plus_congruence,
    solve_lower,
    solve_lower_transposed,
    times_lower_transposed,
)
from worker.programs.hyper import constrain, correlation_root
from worker.shape import CollapsedShape

BATCH = 1024
"""Hyperparameter vectors that one call can take; a call pays only for those it is given."""
_CHUNK_FLOATS = 1 << 15
"""Floats of a chunk's largest intermediate array: about what stays in a core's second-level cache."""
_UNROLLED = 6
"""Largest matrix whose Cholesky factor is written out elementwise rather than left to LAPACK."""

Data = Mapping[str, Any]


def chunk_size(shape: CollapsedShape) -> int:
    """How many hyperparameter vectors are evaluated together."""
    per_vector = max(1, shape.coefficients * (shape.columns + shape.kept + 1) * shape.levels)
    return int(max(1, min(128, 1 << int(np.log2(max(1, _CHUNK_FLOATS / per_vector))))))


def evaluate(
    shape: CollapsedShape, theta: Array, noise: Array, count: Array, data: Data
) -> tuple[Array, Array]:
    """Evaluate the first `count` rows of theta (BATCH, hyper).

    Gives the log density (BATCH,) and internal population coefficients (BATCH, column): their conditional mean plus a
    root of their conditional covariance times `noise` (BATCH, column).
    """
    chunk = chunk_size(shape)

    def step(number: Array, filled: tuple[Array, Array]) -> tuple[Array, Array]:
        start = number * chunk
        points = jax.lax.dynamic_slice_in_dim(theta, start, chunk)
        log_density, coefficients = _density(
            shape, points, jax.lax.dynamic_slice_in_dim(noise, start, chunk), data
        )
        return (
            jax.lax.dynamic_update_slice_in_dim(filled[0], log_density, start, axis=0),
            jax.lax.dynamic_update_slice_in_dim(filled[1], coefficients, start, axis=0),
        )

    empty = jnp.full((BATCH,), -jnp.inf), jnp.zeros((BATCH, shape.columns))
    filled: tuple[Array, Array] = jax.lax.fori_loop(0, (count + chunk - 1) // chunk, step, empty)
    return filled


def parameters(shape: CollapsedShape, theta: Array, data: Data) -> tuple[Array, Array]:
    """The values behind theta (..., hyper): scalars (..., scalar), root of the correlation matrix (..., coef, coef)."""
    scalar_part, correlation_part = _split(shape, theta)
    scalars, _ = constrain(scalar_part, data["scalars"])
    root, _ = correlation_root(correlation_part, shape.blocks, data["lkj"])
    k = shape.coefficients
    zero = jnp.zeros(theta.shape[:-1])
    rows = [jnp.stack([zero + root[i][j] for j in range(k)], axis=-1) for i in range(k)]
    stacked = jnp.stack(rows, axis=-2) if k else jnp.zeros((*theta.shape[:-1], 0, 0))
    return scalars, stacked


def _split(shape: CollapsedShape, theta: Array) -> tuple[Array, Array]:
    """Scalars [sds, sigma, mixing precisions, kept coefficients] come first, then the correlations."""
    scalars = shape.dimension - shape.correlations
    return theta[..., :scalars], theta[..., scalars:]


def _density(shape: CollapsedShape, theta: Array, noise: Array, data: Data) -> tuple[Array, Array]:
    """Log density and coefficients of one chunk (vector, hyper); names of quantities as in the statistics page."""
    k, p, q = shape.coefficients, shape.columns, shape.kept
    scalar_part, correlation_part = _split(shape, theta)
    scalars, log_prior = constrain(scalar_part, data["scalars"])
    sd, sigma = scalars[:, :k] * data["sd_unit"], scalars[:, k] * data["sigma_unit"]
    mixing, kept = scalars[:, k + 1 : k + 1 + shape.mixed], scalars[:, k + 1 + shape.mixed :]

    cross = data["s"]
    log_det = jnp.zeros(theta.shape[0])
    if k:
        correlation, log_lkj = correlation_root(correlation_part, shape.blocks, data["lkj"])
        log_prior += log_lkj
        # T = chol(Phi) / sigma, each entry (vector, 1) against levels on the last axis.
        root = [[(sd[:, i] / sigma * correlation[i][j])[:, None] for j in range(k)] for i in range(k)]
        lower = cholesky(identity_plus_congruence(root, data["a"]))
        # One logarithm per level, not one per coefficient: it is the dearest of the elementwise operations.
        log_det = jnp.sum(jnp.log(math.prod(lower[i][i] for i in range(k))), axis=-1)
        deep = [[row[:, None, :] for row in line] for line in _arrays(lower, data["a"])]
        rotated = times_lower_transposed([[_deepen(x) for x in line] for line in root], list(data["b"]))
        white = jnp.stack(solve_lower(deep, rotated), axis=-1)  # (vector, column, level, coef)
        white = white.reshape(*white.shape[:2], -1)
        cross = cross - white @ jnp.swapaxes(white, -1, -2)
    h = cross / (sigma**2)[:, None, None]  # (vector, column, column) of [X, kept columns, y]

    # Columns whose coefficients are given join y: their coefficients are known here.
    given = jnp.concatenate(
        [-(kept - data["kept_offset"]) * data["kept_unit"], jnp.ones((theta.shape[0], 1))], axis=-1
    )
    tail = jnp.broadcast_to(h, (theta.shape[0], p + q + 1, p + q + 1))[:, :, p:]
    contracted = jnp.einsum("vij,vj->vi", tail, given)
    p0, r0 = jnp.broadcast_to(h, (theta.shape[0], p + q + 1, p + q + 1))[:, :p, :p], contracted[:, :p]
    q0 = jnp.einsum("vi,vi->v", contracted[:, p:], given)

    log_mixing = jnp.log(mixing) @ data["mix"].T  # (vector, column); zero for coefficients without a mixture
    precision = data["precision"] * jnp.exp(log_mixing)
    to_prior = data["to_prior"]
    full = p0 + jnp.einsum("ji,vj,jl->vil", to_prior, precision, to_prior)
    r = r0 + (precision * data["location"]) @ to_prior
    constant = q0 + precision @ data["location"] ** 2
    coefficients, half_log_det, quadratic = _normal(full, r, noise)
    log_density = (
        log_prior
        - data["count"] * jnp.log(sigma)
        - log_det
        - 0.5 * (constant - quadratic)
        - half_log_det
        + 0.5 * jnp.sum(log_mixing, axis=-1)
        + data["log_constant"]
    )
    return log_density, coefficients


def _normal(precision: Array, r: Array, noise: Array) -> tuple[Array, Array, Array]:
    """Of the normal with this precision P and mean P^-1 r: a draw made of `noise`, log det(P) / 2, and r'P^-1 r.

    With P = LL' the draw is L'^-1 (L^-1 r + noise).
    """
    size = r.shape[-1]
    if size == 0:
        zero = jnp.zeros(r.shape[0])
        return r, zero, zero
    if size <= _UNROLLED:
        lower = cholesky([[precision[:, i, j] for j in range(size)] for i in range(size)])
        white = solve_lower(lower, [r[:, i] for i in range(size)])
        draw = solve_lower_transposed(lower, [white[i] + noise[:, i] for i in range(size)])
        half_log_det = jnp.log(math.prod(lower[i][i] for i in range(size)))
        return jnp.stack(draw, axis=-1), half_log_det, sum(w**2 for w in white)
    factor = jnp.linalg.cholesky(precision)
    solved = solve_triangular(factor, r[..., None], lower=True)
    drawn = solve_triangular(factor, solved + noise[..., None], lower=True, trans="T")[..., 0]
    half_log_det = jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), axis=-1)
    return drawn, half_log_det, jnp.sum(solved[..., 0] ** 2, axis=-1)


def _arrays(lower: Any, like: Array) -> Any:
    """A triangle with its structural zeros (plain numbers) as arrays (1, level)."""
    zero = jnp.zeros((1, like.shape[-1]))
    return [[zero + entry for entry in row] for row in lower]


def _deepen(entry: Any) -> Any:
    return entry[:, None, :] if hasattr(entry, "ndim") else entry
