"""The sums of the collapsed gaussian model: all that its posterior needs to know of the rows.

`standardize` chooses coordinates in which the sums are well conditioned, `accumulate` makes the sums in one pass;
shared/design's statistics page, section 3.1, has the algebra that uses them.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from model.design import Design, FactorDesign, Float


@dataclass(frozen=True, slots=True)
class Coordinates:
    """How the internal, standardized coordinates relate to the user's.

    Of internal population coefficients g and the user's (raw) b, `b = matrix @ (ols + scale * g)`; `matrix` undoes the
    centering and scaling of X's columns, `ols` is the least-squares fit in standardized columns and `scale` that of y.
    `means` and `scales` are those of X's columns (0 and 1 for the intercept); `z_scales[f]` those of factor f's z.
    An internal sd is `sd * z_scale / scale`; an internal sigma is `sigma / scale`.
    """

    means: Float  # (coef,)
    scales: Float  # (coef,)
    ols: Float  # (coef,)
    scale: float
    intercept: bool
    z_scales: tuple[Float, ...]  # per factor (coef,)

    @property
    def to_raw(self) -> Float:
        """Matrix (coef, coef) from standardized columns' coefficients to those of the raw columns."""
        matrix = np.diag(1.0 / self.scales)
        if self.intercept:
            matrix[0, 1:] = -self.means[1:] / self.scales[1:]
        return matrix

    @property
    def to_centered(self) -> Float:
        """Matrix (coef, coef) to the coefficients whose intercept is at the means of the predictors."""
        return np.diag(1.0 / self.scales)


@dataclass(frozen=True, slots=True)
class Standardized:
    """A design in internal coordinates; `columns` is [X, y], rows already multiplied by the root of their weight."""

    columns: Float  # (row, column)
    z: tuple[Float, ...]  # per factor (row, coef)
    coordinates: Coordinates
    count: float
    """The number of rows, or the sum of their weights: what log sigma is multiplied by."""
    log_scale: float
    """Log density of y, less that of the internal y, that no parameter changes (known standard errors)."""


@dataclass(frozen=True, slots=True)
class Moments:
    """Sums over the rows of each level, and over all rows; column -1 of [X, y] is y."""

    a: Float  # (coef, coef, level): Z'Z
    b: Float  # (coef, column, level): Z'[X, y]
    s: Float  # (column, column): [X, y]'[X, y]

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """Plain values and arrays, for storage."""
        return {}, {"a": self.a, "b": self.b, "s": self.s}


def standardize(design: Design, *, center: bool = True) -> Standardized:
    """Center (where there is an intercept, and unless told not to) and scale X and y, and scale each factor's z.

    Weights and known standard errors become row factors.
    """
    assert design.y is not None
    x, y = design.x, design.y - design.offset
    weight = np.ones(design.rows) if design.weights is None else design.weights
    count = float(weight.sum())
    log_scale = 0.0
    if design.standard_error is not None:
        log_scale = -float(weight @ np.log(design.standard_error))
        weight = weight / design.standard_error**2
    means = np.zeros(x.shape[1])
    if design.intercept and center:
        means[1:] = x[:, 1:].mean(axis=0)
    centered = x - means
    scales = np.sqrt(np.mean(centered**2, axis=0))
    centered /= scales
    root = np.sqrt(weight)[:, None]
    centered *= root
    # Least squares by QR (not by the normal equations), so that a near-collinear X costs no accuracy here.
    ols = np.zeros(0)
    if x.shape[1]:
        ols, *_ = linalg.lstsq(centered, root[:, 0] * y, lapack_driver="gelsy", check_finite=False)
    residual = root[:, 0] * y - centered @ ols
    scale = float(np.std(y)) or 1.0
    z_scales = tuple(_rms(factor.z) for factor in design.factors)
    return Standardized(
        columns=np.column_stack([centered, residual / scale]),
        z=tuple(root * factor.z / zs for factor, zs in zip(design.factors, z_scales, strict=True)),
        coordinates=Coordinates(means, scales, ols, scale, design.intercept, z_scales),
        count=count,
        log_scale=log_scale - count * float(np.log(scale)),
    )


def accumulate(standardized: Standardized, factor: FactorDesign, number: int) -> Moments:
    """Sum the cross-products of one factor's z with itself and with [X, y], level by level; O(rows)."""
    z, columns = standardized.z[number], standardized.columns
    levels, k, m = len(factor.levels), z.shape[1], columns.shape[1]

    def by_level(values: Float) -> Float:
        return np.asarray(np.bincount(factor.index, weights=values, minlength=levels), dtype=np.float64)

    a = np.empty((k, k, levels))
    b = np.empty((k, m, levels))
    for i in range(k):
        for j in range(i + 1):
            a[i, j] = a[j, i] = by_level(z[:, i] * z[:, j])
        for j in range(m):
            b[i, j] = by_level(z[:, i] * columns[:, j])
    return Moments(a, b, columns.T @ columns)


def no_factor(standardized: Standardized) -> Moments:
    """The sums of a model without group-level effects: one level that has no coefficients to speak of."""
    columns = standardized.columns
    m = columns.shape[1]
    return Moments(np.zeros((0, 0, 1)), np.zeros((0, m, 1)), columns.T @ columns)


def _rms(z: Float) -> Float:
    scale = np.sqrt(np.mean(z**2, axis=0))
    return np.where(scale > 0, scale, 1.0)
