"""Coordinates of a factor's deviations in which a covariate far from zero is no trouble.

A slope on a year moves every prediction that its intercept moves: their deviations are tied to each other by the
distance of the data from year zero. Here each covariate of such a block is replaced by what the columns before it leave
of it, so that the deviations of a level vary by themselves; `prior_row` has what that means for a prior.
"""

from collections.abc import Sequence

import numpy as np

from model.frame.design import FactorDesign, Float

FAR = 3.0
"""Mean over sd of a covariate from which its block is centered: nearer to zero the user's own coordinates are good."""
_LEAST_LEFT = 1.0 / (1.0 + FAR**2)
"""Share of a column's sum of squares that the columns before it must leave, else the block is centered."""
_NOTHING_LEFT = 1e-20
"""Share below which a column is a combination of those before it, and cannot be replaced."""


def covariates_centered(factor: FactorDesign, fixed: Sequence[bool]) -> tuple[Float, Float]:
    """Columns (row, coef) in place of a factor's z, and the matrix (coef, coef) that takes their deviations to the
    user's.

    The matrix is upper triangular with a unit diagonal, and the identity within every block that is left as it is:
    those of near covariates, and those with a coefficient whose sd is `fixed` (coef,).
    """
    z, matrix = factor.z, np.eye(factor.z.shape[1])
    for block in factor.blocks:
        if len(block) > 1 and not any(fixed[i] for i in block) and _is_far(z[:, list(block)]):
            found = _orthogonalized(z[:, list(block)])
            if found is not None:
                z = z.copy() if z is factor.z else z
                z[:, list(block)], matrix[np.ix_(block, block)] = found
    return z, matrix


def prior_row(matrix: Float) -> np.ndarray:
    """Whether the sd of each coefficient (coef,) is another than that of its centered column."""
    return np.asarray(np.any(matrix != np.eye(len(matrix)), axis=1))


def _is_far(z: Float) -> bool:
    """Whether some column of a block (row, coef) is nearly a combination of those before it."""
    gram = z.T @ z
    size = np.sqrt(np.diagonal(gram))
    if not np.all(size > 0):
        return False
    # The squared diagonal of the Cholesky factor is what the columns before leave; a block that has none is far.
    try:
        left = np.diagonal(np.linalg.cholesky(gram / np.outer(size, size))) ** 2
    except np.linalg.LinAlgError:
        return True
    return bool(left.min() < _LEAST_LEFT)


def _orthogonalized(z: Float) -> tuple[Float, Float] | None:
    """Columns orthogonal to those before them, each at the scale it had, with the matrix that leads back; None where
    one is a combination of others.

    Gram and Schmidt's method, twice for every column: what rounding left of the first time goes the second time.
    """
    columns, size = [z[:, 0]], len(z[0])
    # z = columns @ upper, so deviations u of z are upper^-1 times those of the columns.
    upper = np.eye(size)
    for j in range(1, size):
        rest = z[:, j]
        for _ in range(2):
            for i, column in enumerate(columns):
                share = float(column @ rest) / float(column @ column)
                rest = rest - share * column
                upper[i, j] += share
        if float(rest @ rest) <= _NOTHING_LEFT * float(z[:, j] @ z[:, j]):
            return None
        columns.append(rest)
    return np.column_stack(columns), np.asarray(np.linalg.inv(upper), dtype=np.float64)


def least_sizes(sizes: Float, matrix: Float) -> Float:
    """Sizes (coef,) of centered deviations, made so small that they change no user's coefficient by more than its own.

    A slope of that sd moves an intercept far outside the data about as much as the intercept itself varies; from there
    on the prior of that intercept's sd has its say.
    """
    found = sizes.copy()
    for j in range(len(sizes)):
        for i in range(j):
            if matrix[i, j] != 0.0:
                found[j] = min(found[j], found[i] / abs(matrix[i, j]))
    return found


def is_diagonal(to_user: Float) -> bool:
    """Whether a matrix (coef, coef) does no more than scale."""
    return not np.any(np.triu(to_user, 1))


def internal_deviations(u: Float, to_user: Float) -> Float:
    """The deviations (coef, ...) that an upper triangular matrix (coef, coef) takes to u (coef, ...)."""
    v = np.array(u)
    for i in reversed(range(len(v))):
        for j in range(i + 1, len(v)):
            if to_user[i, j] != 0.0:
                v[i] -= to_user[i, j] * v[j]
        v[i] /= to_user[i, i]
    return v


def users_deviations(v: Float, to_user: Float) -> Float:
    """The deviations (coef, ...) to which an upper triangular matrix (coef, coef) takes v (coef, ...)."""
    u = v * np.diagonal(to_user).reshape(-1, *(1,) * (v.ndim - 1))
    for i in range(len(u)):
        for j in range(i + 1, len(u)):
            if to_user[i, j] != 0.0:
                u[i] += to_user[i, j] * v[j]
    return np.asarray(u)


def in_users_coordinates(sd: Float, root: Float, matrix: Float) -> tuple[Float, Float]:
    """Sds (coef, ...) and lower correlation roots (coef, coef, ...) of the user's deviations, from those of deviations
    that the matrix (coef, coef) takes to them."""
    if is_diagonal(matrix):
        return sd * np.diagonal(matrix).reshape(-1, *(1,) * (sd.ndim - 1)), root
    product = users_deviations(root * sd[:, None], matrix)
    lower = np.moveaxis(lower_roots(np.moveaxis(product, (0, 1), (-2, -1))), (-2, -1), (0, 1))
    size = np.sqrt(np.sum(lower**2, axis=1))
    return size, lower / size[:, None]


def lower_roots(root: Float) -> Float:
    """Lower triangles (..., coef, coef) with a positive diagonal, of the same products root root'."""
    upper = np.linalg.qr(np.swapaxes(root, -1, -2), mode="r")
    sign = np.where(np.diagonal(upper, axis1=-2, axis2=-1) < 0, -1.0, 1.0)
    return np.asarray(np.tril(np.swapaxes(upper * sign[..., :, None], -1, -2)))
