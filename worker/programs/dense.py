"""The elimination of several factors: the first level by level, the others beside the columns of X, as one block.

Here vectors of hyperparameters come first, as LAPACK wants its matrices.
"""

import math
from collections.abc import Mapping
from typing import Any

import jax.numpy as jnp
from jax import Array
from jax.scipy.linalg import solve_triangular

from model.small import cholesky, identity_plus_congruence, solve_lower, times_lower_transposed
from worker.programs.elimination import Roots
from worker.shape import CollapsedShape


def eliminate_beside(shape: CollapsedShape, relative: Roots, data: Mapping[str, Any]) -> tuple[Array, Array]:
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


def eliminate_dense(
    shape: CollapsedShape, relative: Roots, cross: Array
) -> tuple[tuple[Array, Array], Array, Array]:
    """Eliminate the other factors together, by one Cholesky factor.

    Gives the factor with the whitened columns (for `draw`), the cross-products of [X, kept columns, y] that
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


def draw(lower: Array, white: Array, known: Array, sigma: Array, noise: Array) -> Array:
    """Deviations (vector, dense) given the coefficients of [X, kept columns] and y, `known` (vector, column)."""
    whitened = jnp.einsum("vdm,vm->vd", white, known) + sigma[:, None] * noise
    return solve_triangular(lower, whitened[..., None], lower=True, trans="T")[..., 0]


def _with_axis(entry: Any, axis: int = -1) -> Any:
    """An array with one more axis; a structural zero stays a number."""
    return jnp.expand_dims(entry, axis) if isinstance(entry, Array) else entry
