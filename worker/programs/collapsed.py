"""The collapsed gaussian model: the log density of its hyperparameters, all coefficients and effects integrated out.

One compiled program per shape evaluates a whole batch of hyperparameter vectors, and draws for each the coefficients
that are not conditionally independent from their exact normal distribution given it.
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
_CHUNK_FLOATS = 1 << 20
"""Floats of a chunk's largest intermediate array: more vectors at once reuse the sums that are read, up to a cache's
size."""
_UNROLLED = 6
"""Largest matrix whose Cholesky factor is written out elementwise rather than left to LAPACK."""

Data = Mapping[str, Any]
Roots = list[list[list[Array | float]]]
"""Of each factor the Cholesky factor of Phi over sigma, its entries arrays (vector,)."""


def chunk_size(shape: CollapsedShape) -> int:
    """How many hyperparameter vectors are evaluated together."""
    if not shape.factors:
        return 128
    k, levels = shape.factors[0].coefficients, shape.factors[0].levels
    if not shape.dense:
        return _power_of_two(_CHUNK_FLOATS / (k * (k + 1) // 2 * levels))
    width = shape.columns + shape.kept + 1 + shape.dense
    return _power_of_two(_CHUNK_FLOATS / (width * max(shape.dense, k * levels)))


def _power_of_two(size: float) -> int:
    return 1 << int(np.log2(min(128.0, max(1.0, size))))


def evaluate(
    shape: CollapsedShape, theta: Array, noise: Array, count: Array, data: Data
) -> tuple[Array, Array]:
    """Evaluate the first `count` rows of theta (BATCH, hyper).

    Gives the log density (BATCH,) and internal coefficients (BATCH, carried), those of the population and then those
    of the dense factors: their conditional mean plus a root of their conditional covariance times `noise` (BATCH,
    carried).
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

    empty = jnp.full((BATCH,), -jnp.inf), jnp.zeros((BATCH, shape.carried))
    filled: tuple[Array, Array] = jax.lax.fori_loop(0, (count + chunk - 1) // chunk, step, empty)
    return filled


def parameters(shape: CollapsedShape, theta: Array, data: Data) -> tuple[Array, tuple[Array, ...]]:
    """The values behind theta (vector, hyper): scalars (vector, scalar), and of each factor (vector, coef, coef) the
    root of its correlation matrix.
    """
    scalar_part, correlation_part = _split(shape, theta)
    scalars, _ = constrain(scalar_part, data["scalars"])
    roots, _ = _correlations(shape, correlation_part, data)
    return scalars, tuple(_stacked(root, theta.shape[0]) for root in roots)


def _split(shape: CollapsedShape, theta: Array) -> tuple[Array, Array]:
    """Scalars [sds, sigma, mixing precisions, kept coefficients] come first, then the correlations."""
    scalars = shape.dimension - shape.correlations
    return theta[:, :scalars], theta[:, scalars:]


def _correlations(shape: CollapsedShape, t: Array, data: Data) -> tuple[Roots, Array]:
    """Roots of the factors' correlation matrices, and the log density of all correlations."""
    roots, log_prior, start = [], jnp.zeros(t.shape[0]), 0
    for number, factor in enumerate(shape.factors):
        own = t[:, start : start + factor.correlations]
        root, log_lkj = correlation_root(own, factor.blocks, data["lkj"][number])
        roots.append(root)
        log_prior += log_lkj
        start += factor.correlations
    return roots, log_prior


def _density(shape: CollapsedShape, theta: Array, noise: Array, data: Data) -> tuple[Array, Array]:
    """Log density and coefficients of one chunk (vector, hyper)."""
    p, sds = shape.columns, shape.sds
    scalar_part, correlation_part = _split(shape, theta)
    scalars, _ = constrain(scalar_part, data["scalars"])
    correlations, _ = _correlations(shape, correlation_part, data)
    ratio = scalars[:, :sds] * data["sd_unit"] / (scalars[:, sds] * data["sigma_unit"])[:, None]
    # Without the barrier XLA would fuse the transforms of theta into the loops over levels, and do them once for each.
    relative = jax.lax.optimization_barrier(_relative_roots(correlations, ratio))
    if not shape.dense:
        cross, log_det = _without_first(shape, relative, data)
        return finish(shape, theta, noise, cross, log_det, data)
    cross, log_det = _without_first_beside_dense(shape, relative, data)
    (lower, white), cross, log_det_dense = _without_dense(shape, relative, cross)
    log_density, coefficients = finish(shape, theta, noise[:, :p], cross, log_det + log_det_dense, data)
    sigma = scalars[:, sds] * data["sigma_unit"]
    known = jnp.concatenate([-coefficients, _given(shape, scalars, data)], axis=-1)
    deviations = _dense_draw(lower, white, known, sigma, noise[:, p:])
    return log_density, jnp.concatenate([coefficients, deviations], axis=-1)


def finish(
    shape: CollapsedShape, theta: Array, noise: Array, cross: Array, log_det: Array, data: Data
) -> tuple[Array, Array]:
    """Log density, and a draw of the population coefficients, where all group-level effects are eliminated.

    `cross` (vector, column, column) are the cross-products of [X, kept columns, y] that are left, in units of sigma^2;
    `log_det` (vector,) is half the log determinant of what was eliminated.
    """
    p, sds = shape.columns, shape.sds
    scalar_part, correlation_part = _split(shape, theta)
    scalars, log_prior = constrain(scalar_part, data["scalars"])
    _, log_lkj = _correlations(shape, correlation_part, data)
    sigma, mixing = scalars[:, sds] * data["sigma_unit"], scalars[:, sds + 1 : sds + 1 + shape.mixed]
    h = cross / (sigma**2)[:, None, None]
    # Columns whose coefficients are given join y: their coefficients are known here.
    given = _given(shape, scalars, data)
    contracted = jnp.einsum("vij,vj->vi", h[:, :, p:], given)
    q0 = jnp.einsum("vi,vi->v", contracted[:, p:], given)
    log_mixing = jnp.log(mixing) @ data["mix"].T  # (vector, column); zero for coefficients without a mixture
    precision = data["precision"] * jnp.exp(log_mixing)
    to_prior = data["to_prior"]
    full = h[:, :p, :p] + jnp.einsum("ji,vj,jl->vil", to_prior, precision, to_prior)
    r = contracted[:, :p] + (precision * data["location"]) @ to_prior
    constant = q0 + precision @ data["location"] ** 2
    coefficients, half_log_det, quadratic = _normal(full, r, noise)
    log_density = (
        log_prior
        + log_lkj
        - data["count"] * jnp.log(sigma)
        - log_det
        - 0.5 * (constant - quadratic)
        - half_log_det
        + 0.5 * jnp.sum(log_mixing, axis=-1)
        + data["log_constant"]
    )
    return log_density, coefficients


def _given(shape: CollapsedShape, scalars: Array, data: Data) -> Array:
    """What the columns [kept, y] are multiplied by: the negated internal kept coefficients, and one."""
    kept = scalars[:, shape.sds + 1 + shape.mixed :]
    return jnp.concatenate(
        [-(kept - data["kept_offset"]) * data["kept_unit"], jnp.ones((scalars.shape[0], 1))], axis=-1
    )


def _relative_roots(correlations: Roots, ratio: Array) -> Roots:
    """chol(Phi) / sigma of each factor; `ratio` (vector, sd) are the sds over sigma."""
    roots, start = [], 0
    for root in correlations:
        k = len(root)
        roots.append(
            [[ratio[:, start + i] * root[i][j] if j <= i else 0.0 for j in range(k)] for i in range(k)]
        )
        start += k
    return roots


def _without_first(shape: CollapsedShape, relative: Roots, data: Data) -> tuple[Array, Array]:
    """Eliminate the first factor level by level, where there is no other.

    Gives S - sum W'W (vector, column, column) of [X, kept columns, y], and the sum of log det C. A level's W'W is
    B' (T M^-1 T') B: linear in products of its sums, and the same function of theta for all levels that share A. So
    the products of such levels are added up beforehand, and what is left is one product of two matrices.
    """
    if not shape.factors:
        return data["s"][None], jnp.zeros(1)
    k = shape.factors[0].coefficients
    root = [[_with_axis(entry) for entry in row] for row in relative[0]]  # (vector, 1) against distinct A
    lower = cholesky(identity_plus_congruence(root, data["a"]), jnp.sqrt)
    # One logarithm per level, not one per coefficient: it is the dearest of the elementwise operations.
    log_det = jnp.log(math.prod(lower[i][i] for i in range(k))) @ data["multiplicity"]
    columns = [solve_lower(lower, [root[i][r] for r in range(k)]) for i in range(k)]  # of C^-1 T'
    pairs = lower_triangle(k)
    # Stacked, so that XLA computes them in one pass and not once more for each product below.
    inner = jnp.stack([sum(columns[i][r] * columns[j][r] for r in range(k)) for i, j in pairs])
    explained = sum(inner[number] @ data["products"][number].T for number in range(len(pairs)))
    width = shape.columns + shape.kept + 1
    rows, cells = np.array(lower_triangle(width)).T
    place = np.zeros((width, width), dtype=int)
    place[rows, cells] = place[cells, rows] = np.arange(len(rows))
    return data["s"] - explained[:, place], log_det


def _without_first_beside_dense(shape: CollapsedShape, relative: Roots, data: Data) -> tuple[Array, Array]:
    """Eliminate the first factor level by level, where others stay as columns.

    Gives S - sum W'W (vector, column, column) of [X, kept columns, y, dense columns], and the sum of log det C.
    """
    k = shape.factors[0].coefficients
    root = [[_with_axis(entry) for entry in row] for row in relative[0]]  # (vector, 1) against levels
    lower = cholesky(identity_plus_congruence(root, data["a"]), jnp.sqrt)
    log_det = jnp.sum(jnp.log(math.prod(lower[i][i] for i in range(k))), axis=-1)
    deep = [[_with_axis(entry, 1) for entry in row] for row in lower]
    rotated = times_lower_transposed([[_with_axis(entry) for entry in row] for row in root], list(data["b"]))
    white = jnp.concatenate(solve_lower(deep, rotated), axis=-1)  # (vector, column, coef and level)
    return data["s"] - white @ jnp.swapaxes(white, -1, -2), log_det


def _without_dense(
    shape: CollapsedShape, relative: Roots, cross: Array
) -> tuple[tuple[Array, Array], Array, Array]:
    """Eliminate the other factors together, by one Cholesky factor.

    Gives the factor with the whitened columns (for `_dense_draw`), the cross-products of [X, kept columns, y] that
    are left, and the half log determinant with the priors' own.
    """
    m = shape.columns + shape.kept + 1
    vectors = cross.shape[0]
    precision, log_det, position = cross[:, m:, m:], jnp.zeros(vectors), 0
    for factor, root in zip(shape.factors[1:], relative[1:], strict=True):
        k, levels = factor.coefficients, factor.levels
        identity = [[jnp.full(vectors, float(i == j)) for i in range(k)] for j in range(k)]
        inverse = [solve_lower(root, column) for column in identity]  # inverse[j][i] of the root
        block = jnp.stack(
            [
                jnp.stack([sum(inverse[i][r] * inverse[j][r] for r in range(k)) for j in range(k)], -1)
                for i in range(k)
            ],
            axis=-2,
        )
        log_det += levels * jnp.log(math.prod(root[i][i] for i in range(k)))
        spread = jnp.einsum("vij,lr->viljr", block, jnp.eye(levels)).reshape(vectors, k * levels, k * levels)
        end = position + k * levels
        precision = precision.at[:, position:end, position:end].add(spread)
        position = end
    lower = jnp.linalg.cholesky(precision)
    white = solve_triangular(lower, cross[:, m:, :m], lower=True)  # (vector, dense, column)
    log_det += jnp.sum(jnp.log(jnp.diagonal(lower, axis1=-2, axis2=-1)), axis=-1)
    return (lower, white), cross[:, :m, :m] - jnp.swapaxes(white, -1, -2) @ white, log_det


def _dense_draw(lower: Array, white: Array, known: Array, sigma: Array, noise: Array) -> Array:
    """Deviations (vector, dense) given the coefficients of [X, kept columns] and y, `known` (vector, column)."""
    whitened = jnp.einsum("vdm,vm->vd", white, known) + sigma[:, None] * noise
    return solve_triangular(lower, whitened[..., None], lower=True, trans="T")[..., 0]


def _normal(precision: Array, r: Array, noise: Array) -> tuple[Array, Array, Array]:
    """Of the normal with this precision P and mean P^-1 r: a draw made of `noise`, log det(P) / 2, and r'P^-1 r.

    With P = LL' the draw is L'^-1 (L^-1 r + noise).
    """
    size = r.shape[-1]
    if size == 0:
        zero = jnp.zeros(r.shape[0])
        return r, zero, zero
    if size <= _UNROLLED:
        lower = cholesky([[precision[:, i, j] for j in range(size)] for i in range(size)], jnp.sqrt)
        white = solve_lower(lower, [r[:, i] for i in range(size)])
        draw = solve_lower_transposed(lower, [white[i] + noise[:, i] for i in range(size)])
        half_log_det = jnp.log(math.prod(lower[i][i] for i in range(size)))
        return jnp.stack(draw, axis=-1), half_log_det, sum(w**2 for w in white)
    factor = jnp.linalg.cholesky(precision)
    solved = solve_triangular(factor, r[..., None], lower=True)
    drawn = solve_triangular(factor, solved + noise[..., None], lower=True, trans="T")[..., 0]
    half_log_det = jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), axis=-1)
    return drawn, half_log_det, jnp.sum(solved[..., 0] ** 2, axis=-1)


def lower_triangle(size: int) -> list[tuple[int, int]]:
    """Row and column of the entries on and below the diagonal, row by row."""
    return [(i, j) for i in range(size) for j in range(i + 1)]


def _stacked(root: list[list[Array | float]], vectors: int) -> Array:
    zero = jnp.zeros(vectors)
    return jnp.stack([jnp.stack([zero + entry for entry in row], axis=-1) for row in root], axis=-2)


def _with_axis(entry: Any, axis: int = -1) -> Any:
    """An array with one more axis; a structural zero stays a number."""
    return jnp.expand_dims(entry, axis) if isinstance(entry, Array) else entry
