"""The elimination of a factor's levels one by one, with a gradient of its own.

Differentiated as it is written, that of six coefficients would compile for half a minute.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from jax import Array

from model.small import cholesky, identity_plus_congruence, solve_lower

Roots = list[list[list[Array | float]]]
"""Of each factor the Cholesky factor of Phi over sigma, its entries arrays (vector,)."""
Triangle = list[list[Array]]
"""The rows of a lower triangle, each up to its diagonal."""


@jax.custom_vjp
def eliminate(root: Triangle, a: Array) -> tuple[Array, Array]:
    """What is left of levels with A = Z'Z, `a` (coef, coef, level, 1), whose effects have T = chol(Phi) / sigma.

    The entries of T, `root`, are arrays (1, vector). With M = I + T'AT gives the lower triangle of N = T M^-1 T' (pair
    of coefs, level, vector), row by row, and half the log determinant of M (level, vector).
    """
    k = len(root)
    full = [[*row, *[0.0] * (k - len(row))] for row in root]
    lower = cholesky(identity_plus_congruence(full, a), jnp.sqrt)
    columns = [solve_lower(lower, [full[i][r] for r in range(k)]) for i in range(k)]  # of C^-1 T'
    pairs = [(i, j) for i in range(k) for j in range(i + 1)]
    # Stacked, so that XLA computes them in one pass and not once more for each use.
    inner = jnp.stack([sum(columns[i][r] * columns[j][r] for r in range(k)) for i, j in pairs])
    # One logarithm per level, not one per coefficient: it is the dearest of the elementwise operations.
    return inner, jnp.log(math.prod(lower[i][i] for i in range(k)))


def _forward(root: Triangle, a: Array) -> tuple[tuple[Array, Array], tuple[Triangle, Array, Array]]:
    inner, log_det = eliminate(root, a)
    return (inner, log_det), (root, a, inner)


def _backward(kept: tuple[Triangle, Array, Array], slopes: tuple[Array, Array]) -> tuple[Triangle, None]:
    """With F = TT', N = (F^-1 + A)^-1: dN = (I - NA) dF (I - AN), and d log det M = tr((A - ANA) dF).

    The sums A are data, and have no slope.
    """
    root, a, inner = kept
    of_inner, of_log_det = slopes
    k = len(root)
    place = np.array([[max(i, j) * (max(i, j) + 1) // 2 + min(i, j) for j in range(k)] for i in range(k)])
    # Two entries of N stand in the place of a pair of different coefficients.
    share = jnp.where(jnp.eye(k) == 1.0, 1.0, 0.5)[:, :, None, None]
    rest = jnp.eye(k)[:, :, None, None] - _times(a, inner[place])  # I - AN
    inside = 0.5 * of_log_det * a + _times(share * of_inner[place], jnp.swapaxes(rest, 0, 1))
    of_f = jnp.einsum("imlv,mjlv->ijv", rest, inside)[:, :, None]

    def of_entry(i: int, j: int) -> Array:
        return 2.0 * jnp.sum(jnp.stack([of_f[i, r] * root[r][j] for r in range(j, k)]), axis=0)

    return [[of_entry(i, j) for j in range(i + 1)] for i in range(k)], None


def _times(left: Array, right: Array) -> Array:
    """Products of the matrices in the first two axes, written out: a sum over an axis of products is several times
    slower."""
    k = left.shape[0]
    rows = [[sum(left[i, r] * right[r, j] for r in range(k)) for j in range(k)] for i in range(k)]
    return jnp.stack([jnp.stack(row) for row in rows])


eliminate.defvjp(_forward, _backward)
