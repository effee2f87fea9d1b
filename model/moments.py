"""The sums of the collapsed gaussian model: all that its posterior needs to know of the rows.

`standardize` chooses coordinates in which the sums are well conditioned, `accumulate` makes the sums in one pass;
docs/decisions/0003-collapse-and-walk-what-is-left.md has the algebra that uses them.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg

from model.centering import covariates_centered
from model.collinear import least_squares
from model.frame.design import Design, FactorDesign, Float

NOISE = 1e-14
"""What rounding leaves of a constant column's spread, of its size."""


@dataclass(frozen=True, slots=True)
class Coordinates:
    """How the internal, standardized coordinates relate to the user's.

    Of internal population coefficients g and the user's (raw) b, `b = matrix @ (ols + scale * g)`; `matrix` undoes
    the centering and scaling of X's columns, `ols` is the least-squares fit in standardized columns and `scale` that
    of y. `means` and `scales` are those of X's columns (0 and 1 for the intercept). Of internal deviations v of factor
    f and the user's u, `u = scale * z_maps[f] @ v`: the matrix undoes the scaling of z's columns, and the centering of
    those that are far from zero. An internal sigma is `sigma / scale`.
    """

    means: Float  # (coef,)
    scales: Float  # (coef,)
    ols: Float  # (coef,)
    scale: float
    intercept: bool
    z_maps: tuple[Float, ...]  # per factor (coef, coef), upper triangular

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
    """Sums over the rows of each level of one factor, and over all rows.

    Columns are [X, y, others]: `others` are those of the other factors, one after the other, each with all levels of
    its first coefficient, then all of its second, and so on.
    """

    a: Float  # (coef, coef, level): Z'Z
    b: Float  # (coef, column, level): Z'[X, y, others]
    s: Float  # (column, column): [X, y, others]'[X, y, others]


def standardize(
    design: Design,
    *,
    center: bool = True,
    fixed: Sequence[Sequence[bool]] | None = None,
    collinear: bool = False,
) -> Standardized:
    """Center (where there is an intercept, and unless told not to) and scale X and y, and center and scale each
    factor's z.

    Weights and known standard errors become row factors. `fixed` are, per factor (coef,), the coefficients whose sds
    are known, so that they must stay what they are; none by default. `collinear` says that some columns of X are
    combinations of others, or constant.
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
    if collinear:
        nothing = scales <= NOISE * np.abs(x).max(axis=0)
        centered[:, nothing], scales[nothing] = 0.0, 1.0
    centered /= scales
    root = np.sqrt(weight)[:, None]
    centered *= root
    # Least squares by QR (not by the normal equations), so that a near-collinear X costs no accuracy here.
    ols = np.zeros(0)
    if collinear:
        ols = least_squares(centered, root[:, 0] * y)
    elif x.shape[1]:
        ols, *_ = linalg.lstsq(centered, root[:, 0] * y, lapack_driver="gelsy", check_finite=False)
    residual = root[:, 0] * y - centered @ ols
    scale = float(np.std(y)) or 1.0
    known = [[False] * len(factor.coefficients) for factor in design.factors] if fixed is None else fixed
    own = [covariates_centered(factor, of) for factor, of in zip(design.factors, known, strict=True)]
    z_scales = [_rms(z) for z, _ in own]
    z_maps = tuple(matrix / size for (_, matrix), size in zip(own, z_scales, strict=True))
    return Standardized(
        columns=np.column_stack([centered, residual / scale]),
        z=tuple(root * z / size for (z, _), size in zip(own, z_scales, strict=True)),
        coordinates=Coordinates(means, scales, ols, scale, design.intercept, z_maps),
        count=count,
        log_scale=log_scale - count * float(np.log(scale)),
    )


def eliminated_factor(sizes: Sequence[tuple[int, int]]) -> int:
    """Number of the factor to eliminate level by level: of these (levels, coefficients), the one with most of
    both."""
    return max(range(len(sizes)), key=lambda number: sizes[number][0] * sizes[number][1])


def dense_width(factors: Sequence[FactorDesign]) -> int:
    """Number of coefficients of all levels of all factors but the one that is eliminated level by level."""
    widths = [len(factor.levels) * len(factor.coefficients) for factor in factors]
    return sum(widths) - max(widths, default=0)


def accumulate(standardized: Standardized, factors: Sequence[FactorDesign]) -> Moments:
    """Make the sums of a model, whose `eliminated_factor` is summed level by level; O(rows).

    Without factors there is one level that has no coefficients to speak of.
    """
    columns = standardized.columns
    m = columns.shape[1]
    if not factors:
        return Moments(np.zeros((0, 0, 1)), np.zeros((0, m, 1)), columns.T @ columns)
    first = eliminated_factor([(len(factor.levels), len(factor.coefficients)) for factor in factors])
    others = [number for number in range(len(factors)) if number != first]
    z, own = standardized.z[first], factors[first]
    levels, k = len(own.levels), z.shape[1]
    a, b = np.empty((k, k, levels)), np.empty((k, m, levels))
    for i in range(k):
        for j in range(i + 1):
            a[i, j] = a[j, i] = _sum_by(own.index, z[:, i] * z[:, j], levels)
        for j in range(m):
            b[i, j] = _sum_by(own.index, z[:, i] * columns[:, j], levels)
    crossed = [_cells(own, z, factors[number], standardized.z[number]) for number in others]
    within = [
        [_cells(factors[f], standardized.z[f], factors[g], standardized.z[g]) for g in others] for f in others
    ]
    down = [_down(factors[number], standardized.z[number], columns) for number in others]
    s = np.block(
        [
            [columns.T @ columns, *(part.T for part in down)],
            *([part, *(_flatten(cell) for cell in row)] for part, row in zip(down, within, strict=True)),
        ]
    )
    wide = [cell.transpose(0, 2, 3, 1).reshape(k, -1, levels) for cell in crossed]
    return Moments(a, np.concatenate([b, *wide], axis=1), s)


def _cells(one: FactorDesign, z_one: Float, other: FactorDesign, z_other: Float) -> Float:
    """Sums of products over the rows of each pair of levels, (coef, level, coef, level)."""
    p, q = len(one.levels), len(other.levels)
    cell = one.index * q + other.index
    k, j = z_one.shape[1], z_other.shape[1]
    sums = np.empty((k, p, j, q))
    for i in range(k):
        for r in range(j):
            sums[i, :, r] = _sum_by(cell, z_one[:, i] * z_other[:, r], p * q).reshape(p, q)
    return sums


def _flatten(cells: Float) -> Float:
    k, p, j, q = cells.shape
    return cells.reshape(k * p, j * q)


def _down(factor: FactorDesign, z: Float, columns: Float) -> Float:
    """Sums of products of a factor's z with all columns, (coefficients times levels, column)."""
    levels = len(factor.levels)
    parts = [
        np.stack(
            [_sum_by(factor.index, z[:, i] * columns[:, j], levels) for j in range(columns.shape[1])], axis=1
        )
        for i in range(z.shape[1])
    ]
    return np.concatenate(parts)


def _sum_by(index: NDArray[np.int64], values: Float, size: int) -> Float:
    return np.asarray(np.bincount(index, weights=values, minlength=size), dtype=np.float64)


def _rms(z: Float) -> Float:
    scale = np.sqrt(np.mean(z**2, axis=0))
    return np.where(scale > 0, scale, 1.0)
