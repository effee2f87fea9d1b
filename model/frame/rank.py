"""Columns of a design that are linear combinations of those before them, by a QR decomposition.

Earlier columns are kept and later ones are aliased, as in R's `qr` and hence in lme4.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
TOLERANCE = 1e-7  # R's, of the part of a column that is orthogonal to the columns before it


@dataclass(frozen=True, slots=True)
class Alias:
    """A column, and the columns that it is a combination of."""

    column: int
    of: tuple[int, ...]


def aliased(x: Float, intercept: bool) -> tuple[Alias, ...]:
    """Find the aliased columns of x (row, coef); `intercept`: the first column is constant.

    Columns are centered (where there is an intercept) and scaled first, so that neither a large mean nor a
    unit of measurement looks like collinearity.
    """
    means = x.mean(axis=0) if intercept else np.zeros(x.shape[1])
    columns = x - means
    if intercept:
        columns = columns[:, 1:]
    peaks = np.abs(columns).max(axis=0, initial=0.0)
    sizes = peaks * np.linalg.norm(columns / np.where(peaks > 0, peaks, 1.0), axis=0)
    # rounding in a column with a large mean is not information
    noise = np.finfo(np.float64).eps * np.abs(x[:, intercept:]).max(axis=0, initial=0.0) * np.sqrt(len(x))
    with np.errstate(divide="ignore", invalid="ignore"):
        tolerance = np.where(sizes > 0, np.maximum(TOLERANCE, 8 * noise / sizes), np.inf)
        columns = np.where(sizes > 0, columns / sizes, 0.0)
    triangle = np.asarray(np.linalg.qr(columns, mode="r"))
    return tuple(
        Alias(alias.column + intercept, tuple(c + intercept for c in alias.of))
        for alias in _sweep(triangle, tolerance)
    )


def _sweep(triangle: Float, tolerance: Float) -> list[Alias]:
    if np.all(_diagonal(triangle) > tolerance):
        return []
    found: list[Alias] = []
    kept: list[int] = []
    basis = np.zeros((triangle.shape[0], 0))
    for column in range(triangle.shape[1]):
        part = triangle[:, column]
        residual = part
        for _ in range(2):  # twice is enough (Kahan)
            residual = residual - basis @ (basis.T @ residual)
        size = float(np.linalg.norm(residual))
        if size > tolerance[column]:
            kept.append(column)
            basis = np.column_stack([basis, residual / size])
        else:
            weights = np.linalg.lstsq(triangle[:, kept], part, rcond=None)[0] if kept else np.zeros(0)
            of = tuple(c for c, weight in zip(kept, weights.tolist(), strict=True) if abs(weight) > 1e-6)
            found.append(Alias(column, of))
    return found


def _diagonal(triangle: Float) -> Float:
    diagonal = np.zeros(triangle.shape[1])
    found = np.abs(np.diagonal(triangle))
    diagonal[: len(found)] = found
    return diagonal
