"""Small matrices whose entries are arrays: one elementwise operation does the same step for a whole batch of matrices.

For k x k matrices with small k this is many times faster than a LAPACK call per matrix. Entries may be arrays of any
library (NumPy here, JAX in the workers); matrices are nested lists, of which only the lower triangle is used.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

Matrix = list[list[Any]]
Vector = list[Any]


def cholesky(matrix: Matrix, sqrt: Callable[[Any], Any] = np.sqrt) -> Matrix:
    """Lower Cholesky factor of a positive definite matrix; entries above its diagonal are 0.

    `sqrt` is that of the entries' library: a power of one half would do for all, at five times the price.
    """
    k = len(matrix)
    lower: Matrix = [[0.0] * k for _ in range(k)]
    for i in range(k):
        for j in range(i + 1):
            rest = matrix[i][j] - sum(lower[i][r] * lower[j][r] for r in range(j))
            lower[i][j] = sqrt(rest) if i == j else rest / lower[j][j]
    return lower


def solve_lower(lower: Matrix, right: Vector) -> Vector:
    """Solve L x = right."""
    x: Vector = []
    for i, row in enumerate(lower):
        x.append((right[i] - sum(row[j] * x[j] for j in range(i))) / row[i])
    return x


def solve_lower_transposed(lower: Matrix, right: Vector) -> Vector:
    """Solve L' x = right."""
    k = len(lower)
    x: Vector = [0.0] * k
    for i in reversed(range(k)):
        x[i] = (right[i] - sum(lower[j][i] * x[j] for j in range(i + 1, k))) / lower[i][i]
    return x


def times_lower_transposed(lower: Matrix, vector: Vector) -> Vector:
    """L' x."""
    k = len(lower)
    return [sum(lower[i][r] * vector[i] for i in range(r, k)) for r in range(k)]


def identity_plus_congruence(lower: Matrix, middle: Any) -> Matrix:
    """I + L' A L of a symmetric A; only the lower triangle is filled in."""
    k = len(lower)
    half = [[sum(middle[i][j] * lower[j][r] for j in range(r, k)) for r in range(k)] for i in range(k)]
    return [
        [sum(lower[i][q] * half[i][r] for i in range(q, k)) + (1.0 if q == r else 0.0) for r in range(q + 1)]
        for q in range(k)
    ]


def lower_triangle(size: int) -> list[tuple[int, int]]:
    """Row and column of the entries on and below the diagonal, row by row."""
    return [(i, j) for i in range(size) for j in range(i + 1)]
