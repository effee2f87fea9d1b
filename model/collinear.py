"""Coordinates of coefficients whose columns are combinations of each other: directions that the data know, and others.

In products of the columns themselves a direction of which the data know nothing is lost in the rounding of those that
they know; a prior that is wide could not be told from that. Here it is exactly nothing.
"""

import numpy as np

from model.frame.design import Float

_NOTHING = 1e-9
"""A singular value, of the largest, that is rounding."""


def least_squares(columns: Float, y: Float) -> Float:
    """The shortest coefficients (coef,) of least squares."""
    triangle = np.asarray(np.linalg.qr(np.column_stack([columns, y]), mode="r"))
    left, sizes, right = (np.asarray(part) for part in np.linalg.svd(triangle[:, :-1], full_matrices=False))
    rank = _rank(sizes)
    return np.asarray(right[:rank].T @ ((left[:, :rank].T @ triangle[:, -1]) / sizes[:rank]))


def directions(columns: Float) -> tuple[Float, int]:
    """An orthogonal matrix (coef, direction), and how many directions the columns (row, coef) tell something of.

    These come first.
    """
    triangle = np.linalg.qr(columns, mode="r")
    _, sizes, right = np.linalg.svd(triangle, full_matrices=True)
    return np.asarray(right.T), _rank(sizes)


def along(sums: Float, axis: int, places: list[int], basis: Float, rank: int) -> Float:
    """Sums with directions, as `directions` has them, in the place of the columns at `places` of an axis."""
    matrix = basis.copy()
    matrix[:, rank:] = 0.0
    turned = np.moveaxis(sums, axis, -1).copy()
    turned[..., places] = turned[..., places] @ matrix
    return np.ascontiguousarray(np.moveaxis(turned, -1, axis))


def _rank(sizes: Float) -> int:
    return int(np.count_nonzero(sizes > _NOTHING * sizes.max(initial=0.0)))
