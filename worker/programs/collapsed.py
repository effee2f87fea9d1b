"""The collapsed gaussian model: the log density of its hyperparameters, all coefficients and effects integrated out.

One compiled program per shape evaluates a whole batch of hyperparameter vectors, and draws for each the coefficients
that are not conditionally independent from their exact normal distribution given it.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array
from jax.scipy.linalg import solve_triangular

from model.small import cholesky, lower_triangle, solve_lower, solve_lower_transposed
from worker.programs import dense
from worker.programs.centered import users_sds
from worker.programs.elimination import Roots, eliminate
from worker.programs.hyper import constrain, correlation_root
from worker.shape import CollapsedShape

_CHUNK_FLOATS = 1 << 20
"""Floats of a chunk's largest intermediate array: more vectors at once reuse the sums that are read, up to a cache's
size."""
_UNROLLED = 6
"""Largest matrix whose Cholesky factor is written out elementwise rather than left to LAPACK."""

Data = Mapping[str, Any]


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
    """Evaluate the first `count` columns of theta (hyper, batch).

    Gives the log density (batch,) and what is drawn with each vector (drawn, batch): internal coefficients, those of
    the population and then those of the dense factors (their conditional mean plus a root of their conditional
    covariance times `noise` (carried, batch)), and the parameters behind theta, as `parameters` has them.
    """
    empty = jnp.full(shape.batch, -jnp.inf), jnp.zeros((shape.drawn, shape.batch))
    return _by_chunks(chunk_size(shape), partial(_density, shape, data=data), (theta, noise), count, empty)


def eliminate_levels(shape: CollapsedShape, relative: Array, count: Array, data: Data) -> tuple[Array, Array]:
    """Eliminate the one factor at the first `count` columns of `relative` (entry, batch).

    They are the lower triangle of chol(Phi) / sigma, row by row. Gives `cross` (column, column, batch) and `log_det`
    (batch,), as `finish` takes them.
    """

    def eliminated(entries: Array) -> tuple[Array, Array]:
        rows: list[list[Any]] = [[0.0] * shape.factors[0].coefficients for _ in range(shape.sds)]
        for entry, (i, j) in zip(entries, lower_triangle(shape.sds), strict=True):
            rows[i][j] = entry
        return _without_first(shape, [rows], data)

    width = shape.columns + shape.kept + 1
    empty = jnp.zeros((width, width, shape.batch)), jnp.zeros(shape.batch)
    return _by_chunks(chunk_size(shape), eliminated, (relative,), count, empty)


def _by_chunks(
    chunk: int,
    function: Callable[..., tuple[Array, Array]],
    arrays: Sequence[Array],
    count: Array,
    empty: tuple[Array, Array],
) -> tuple[Array, Array]:
    """Fill what is empty with a function of the first `count` columns of arrays (row, batch), a chunk at a time."""

    def step(number: Array, filled: tuple[Array, Array]) -> tuple[Array, Array]:
        start = number * chunk
        found = function(*(jax.lax.dynamic_slice_in_dim(array, start, chunk, axis=1) for array in arrays))
        one, two = (
            jax.lax.dynamic_update_slice_in_dim(old, new, start, axis=old.ndim - 1)
            for old, new in zip(filled, found, strict=True)
        )
        return one, two

    filled: tuple[Array, Array] = jax.lax.fori_loop(0, (count + chunk - 1) // chunk, step, empty)
    return filled


def parameters(shape: CollapsedShape, theta: Array, data: Data) -> Array:
    """The values (parameter, vector) behind theta (hyper, vector): scalars, and of each factor the root of its
    correlation matrix, its lower triangle row by row.
    """
    return _read(shape, theta, data).values


class _Hyper(NamedTuple):
    """What theta means: scalars [sds, sigma, mixing precisions, kept coefficients] (scalar, vector), roots of the
    factors' correlation matrices, and the log prior density (vector,) of theta."""

    scalars: Array
    roots: Roots
    log_prior: Array

    @property
    def values(self) -> Array:
        """All of it that is reported, (parameter, vector)."""
        zero = jnp.zeros(self.scalars.shape[1])
        entries = [zero + root[i][j] for root in self.roots for i, j in lower_triangle(len(root))]
        return jnp.concatenate([self.scalars, *(entry[None] for entry in entries)])


def _read(shape: CollapsedShape, theta: Array, data: Data) -> _Hyper:
    """Scalars come first in theta, then the partial correlations of each factor."""
    first = start = shape.dimension - shape.correlations
    roots, log_lkj = list[list[list[Any]]](), jnp.zeros(theta.shape[1])
    for number, factor in enumerate(shape.factors):
        own = theta[start : start + factor.correlations]
        root, log_density = correlation_root(own, factor.blocks, data["lkj"][number])
        roots.append(root)
        log_lkj += log_density
        start += factor.correlations
    judged = partial(_judged, shape, roots, data) if shape.correlations else None
    scalars, log_prior = constrain(theta[:first], data["scalars"], judged)
    return _Hyper(scalars, roots, log_prior + log_lkj)


def _judged(shape: CollapsedShape, roots: Roots, data: Data, scalars: Array) -> tuple[Array, Array]:
    """The scalars that priors are of (scalar, vector): sds in the user's coordinates, and all else as it is."""
    found, log_slope, start = list[Array](), jnp.zeros(scalars.shape[1:]), 0
    for number, factor in enumerate(shape.factors):
        own = scalars[start : start + factor.coefficients]
        users, log_own = users_sds(
            own, roots[number], factor.blocks, data["lkj"][number][0], data["users_sds"][number]
        )
        found.append(users)
        log_slope += log_own
        start += factor.coefficients
    return jnp.concatenate([*found, scalars[start:]]), log_slope


def _density(shape: CollapsedShape, theta: Array, noise: Array, data: Data) -> tuple[Array, Array]:
    """Log density (vector,) and what is drawn (drawn, vector) of one chunk (hyper, vector)."""
    p, sds = shape.columns, shape.sds
    hyper = _read(shape, theta, data)
    sigma = hyper.scalars[sds] * data["sigma_unit"]
    ratio = hyper.scalars[:sds] * data["sd_unit"][:, None] / sigma
    relative = _in_memory(_relative_roots(hyper.roots, ratio), data)
    if not shape.dense:
        cross, log_det = _without_first(shape, relative, data)
        log_density, coefficients = _finish(shape, hyper, noise, cross, log_det, data)
        return log_density, jnp.concatenate([coefficients, hyper.values])
    beside, log_det = dense.eliminate_beside(shape, relative, data)
    (lower, white), beside, log_det_dense = dense.eliminate_dense(shape, relative, beside)
    cross = jnp.moveaxis(beside, 0, -1)
    log_density, coefficients = _finish(shape, hyper, noise[:p], cross, log_det + log_det_dense, data)
    known = jnp.concatenate([-coefficients, _given(shape, hyper.scalars, data)])
    deviations = dense.draw(lower, white, known.T, sigma, noise[p:].T)
    return log_density, jnp.concatenate([coefficients, deviations.T, hyper.values])


def log_density(shape: CollapsedShape, theta: Array, data: Data) -> Array:
    """Log density of one vector (hyper,), for whoever needs its gradient."""
    return _density(shape, theta[:, None], jnp.zeros((shape.carried, 1)), data)[0][0]


def finish(
    shape: CollapsedShape, theta: Array, noise: Array, cross: Array, log_det: Array, data: Data
) -> tuple[Array, Array]:
    """Log density (vector,), and (drawn, vector) population coefficients and parameters, where all group-level effects
    are eliminated already.

    `cross` (column, column, vector) are the cross-products of [X, kept columns, y] that are left, in units of sigma^2;
    `log_det` (vector,) is half the log determinant of what was eliminated.
    """
    hyper = _read(shape, theta, data)
    log_density, coefficients = _finish(shape, hyper, noise, cross, log_det, data)
    return log_density, jnp.concatenate([coefficients, hyper.values])


def _finish(
    shape: CollapsedShape, hyper: _Hyper, noise: Array, cross: Array, log_det: Array, data: Data
) -> tuple[Array, Array]:
    """Log density (vector,) and population coefficients (coef, vector)."""
    p, sds = shape.columns, shape.sds
    sigma, mixing = hyper.scalars[sds] * data["sigma_unit"], hyper.scalars[sds + 1 : sds + 1 + shape.mixed]
    h = cross / sigma**2
    # Columns whose coefficients are given join y: their coefficients are known here.
    given = _given(shape, hyper.scalars, data)
    contracted = jnp.sum(h[:, p:] * given, axis=1)
    q0 = jnp.sum(contracted[p:] * given, axis=0)
    log_mixing = data["mix"] @ jnp.log(mixing)  # (coef, vector); zero for coefficients without a mixture
    precision = data["precision"][:, None] * jnp.exp(log_mixing)
    to_prior, location = data["to_prior"], data["location"][:, None]
    products = (to_prior.T[:, None, :] * to_prior.T[None, :, :]).reshape(p * p, p)
    full = h[:p, :p] + (products @ precision).reshape(p, p, precision.shape[1])
    r = contracted[:p] + to_prior.T @ (precision * location)
    constant = q0 + jnp.sum(precision * location**2, axis=0)
    coefficients, half_log_det, quadratic = _normal(full, r, noise)
    log_density = (
        hyper.log_prior
        - data["count"] * jnp.log(sigma)
        - log_det
        - 0.5 * (constant - quadratic)
        - half_log_det
        + 0.5 * jnp.sum(log_mixing, axis=0)
        + data["log_constant"]
    )
    return log_density, coefficients


def _given(shape: CollapsedShape, scalars: Array, data: Data) -> Array:
    """What the columns [kept, y] are multiplied by, (column, vector): the negated internal kept coefficients, and
    one."""
    kept = scalars[shape.sds + 1 + shape.mixed :]
    internal = (kept - data["kept_offset"][:, None]) * data["kept_unit"][:, None]
    return jnp.concatenate([-internal, jnp.ones((1, scalars.shape[1]))])


def _relative_roots(correlations: Roots, ratio: Array) -> Roots:
    """chol(Phi) / sigma of each factor; `ratio` (sd, vector) are the sds over sigma."""
    roots, start = [], 0
    for root in correlations:
        k = len(root)
        roots.append([[ratio[start + i] * root[i][j] if j <= i else 0.0 for j in range(k)] for i in range(k)])
        start += k
    return roots


def _in_memory(roots: Roots, data: Data) -> Roots:
    """The same numbers, read from memory.

    Else XLA would fuse the transforms of theta into the loops over levels, and do them again for each level; it takes
    an `optimization_barrier` away before it fuses. It does not fuse an update at a place that it cannot know.
    """
    if not roots:
        return roots
    entries = jnp.stack([root[i][j] for root in roots for i, j in lower_triangle(len(root))])
    place = jnp.zeros((), int), (data["count"] < 0).astype(int)  # a number of rows, so never below zero
    room = jnp.zeros((len(entries), entries.shape[1] + 1))
    written = jax.lax.dynamic_update_slice(room, entries, place)
    again = iter(jax.lax.dynamic_slice(written, (0, 0), entries.shape))
    return [
        [[next(again) if j <= i else 0.0 for j in range(len(root))] for i in range(len(root))]
        for root in roots
    ]


def _without_first(shape: CollapsedShape, relative: Roots, data: Data) -> tuple[Array, Array]:
    """Eliminate the first factor level by level, where there is no other.

    Gives S - sum W'W (column, column, vector) of [X, kept columns, y], and the sum of log det C. A level's W'W is
    B' (T M^-1 T') B: linear in products of its sums, and the same function of theta for all levels that share A. So
    the products of such levels are added up beforehand, and what is left is one product of two matrices.
    """
    if not shape.factors:
        return data["s"][:, :, None], jnp.zeros(1)
    root = [[jnp.asarray(entry)[None] for entry in row[: i + 1]] for i, row in enumerate(relative[0])]
    inner, log_det = eliminate(root, data["a"][..., None])
    explained = data["products"] @ inner.reshape(-1, inner.shape[-1])
    width = shape.columns + shape.kept + 1
    rows, cells = np.array(lower_triangle(width)).T
    place = np.zeros((width, width), dtype=int)
    place[rows, cells] = place[cells, rows] = np.arange(len(rows))
    return data["s"][:, :, None] - explained[place], data["multiplicity"] @ log_det


def _normal(precision: Array, r: Array, noise: Array) -> tuple[Array, Array, Array]:
    """Of the normal with this precision P (coef, coef, vector) and mean P^-1 r: a draw made of `noise`, both (coef,
    vector), log det(P) / 2, and r'P^-1 r.

    With P = LL' the draw is L'^-1 (L^-1 r + noise).
    """
    size = len(r)
    if size == 0:
        zero = jnp.zeros(r.shape[1])
        return r, zero, zero
    if size <= _UNROLLED:
        lower = cholesky([[precision[i, j] for j in range(size)] for i in range(size)], jnp.sqrt)
        white = solve_lower(lower, list(r))
        draw = solve_lower_transposed(lower, [white[i] + noise[i] for i in range(size)])
        half_log_det = jnp.log(math.prod(lower[i][i] for i in range(size)))
        return jnp.stack(draw), half_log_det, sum(w**2 for w in white)
    factor = jnp.linalg.cholesky(jnp.moveaxis(precision, -1, 0))
    solved = solve_triangular(factor, r.T[..., None], lower=True)
    drawn = solve_triangular(factor, solved + noise.T[..., None], lower=True, trans="T")[..., 0]
    half_log_det = jnp.sum(jnp.log(jnp.diagonal(factor, axis1=-2, axis2=-1)), axis=-1)
    return drawn.T, half_log_det, jnp.sum(solved[..., 0] ** 2, axis=-1)
