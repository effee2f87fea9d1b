"""Columns of a design that are linear combinations of those before them.

Earlier columns are kept and later ones are aliased, as in R's `qr` and hence in lme4. However many are aliased, the
work is that of a few products of matrices: the columns' products settle most designs, a QR decomposition the others.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular

Float = NDArray[np.float64]
TOLERANCE = 1e-7  # R's, of the part of a column that is orthogonal to the columns before it
_CLEARLY_APART = 1e-2
"""A column of which so large a part is orthogonal needs no decomposition: its square is far above rounding."""
_SMALLEST_WEIGHT = 1e-6
"""That of a column that is named as one of those."""
_NO_WEIGHT = 1e-11
_PANEL = 48
"""Columns that are swept one by one between two products of matrices."""
_BLOCK_CELLS = 2_000_000
"""Cells of the rows that are centered and scaled at a time: 16 MB."""


@dataclass(frozen=True, slots=True)
class Alias:
    """A column, and the columns `of` which it is a combination of.

    It is exactly `constant` and the columns in `weights` by their weights, however small.
    """

    column: int
    of: tuple[int, ...]
    weights: Mapping[int, float] = field(default_factory=dict)
    constant: float = 0.0


def aliased(x: Float, intercept: bool) -> tuple[Alias, ...]:
    """Find the aliased columns of x (row, coef); `intercept`: the first column is constant.

    Columns are centered (where there is an intercept) and scaled first, so that neither a large mean nor a
    unit of measurement looks like collinearity.
    """
    scaled = _Scaled.of(x, intercept)
    if scaled.clearly_independent():
        return ()
    return tuple(scaled.in_own_units(alias) for alias in _sweep(scaled.triangle(), scaled.tolerance))


@dataclass(frozen=True)
class _Scaled:
    """The columns of x behind the intercept, centered and of length 1, made some rows at a time."""

    x: Float
    first: int
    means: Float
    sizes: Float
    tolerance: Float
    """The part of each column below which it is aliased."""

    @classmethod
    def of(cls, x: Float, intercept: bool) -> "_Scaled":
        means = x.mean(axis=0) if intercept else np.zeros(x.shape[1])
        columns = cls(x, int(intercept), means[intercept:], np.ones(x.shape[1] - intercept), np.zeros(0))
        peaks, largest = np.zeros(columns.width), np.zeros(columns.width)
        for block in columns.blocks():
            np.maximum(peaks, np.abs(block).max(axis=0, initial=0.0), out=peaks)
        for rows in columns.rows():
            np.maximum(largest, np.abs(x[rows, intercept:]).max(axis=0, initial=0.0), out=largest)
        of_peak = np.where(peaks > 0, peaks, 1.0)
        squares = np.zeros(columns.width)
        for block in columns.blocks():
            block /= of_peak
            squares += np.einsum("ij,ij->j", block, block)
        sizes = peaks * np.sqrt(squares)
        # rounding in a column with a large mean is not information
        noise = np.finfo(np.float64).eps * largest * np.sqrt(len(x))
        with np.errstate(divide="ignore", invalid="ignore"):
            tolerance = np.where(sizes > 0, np.maximum(TOLERANCE, 8 * noise / sizes), np.inf)
        return cls(x, int(intercept), columns.means, sizes, tolerance)

    @property
    def width(self) -> int:
        return len(self.means)

    def rows(self) -> Iterator[slice]:
        # Enough rows that what is carried from block to block is little beside them.
        step = max(_BLOCK_CELLS // max(self.width, 1), 2 * self.width, 1)
        return (slice(start, start + step) for start in range(0, len(self.x), step))

    def blocks(self) -> Iterator[Float]:
        divisors = np.where(self.sizes > 0, self.sizes, np.inf)
        for rows in self.rows():
            block = self.x[rows, self.first :] - self.means
            block /= divisors
            yield block

    def in_own_units(self, alias: Alias) -> Alias:
        """A combination of the columns of x instead of the scaled ones behind the intercept."""
        size = float(self.sizes[alias.column])
        weights = {c: weight * size / float(self.sizes[c]) for c, weight in alias.weights.items()}
        return Alias(
            alias.column + self.first,
            tuple(c + self.first for c in alias.of),
            {c + self.first: weight for c, weight in weights.items()},
            float(self.means[alias.column] - sum(w * float(self.means[c]) for c, w in weights.items())),
        )

    def clearly_independent(self) -> bool:
        """Whether Cholesky's factor of the columns' products leaves no doubt; False proves nothing."""
        if self.width > len(self.x) or np.isinf(self.tolerance).any():
            return False
        products = np.zeros((self.width, self.width))
        for block in self.blocks():
            products += block.T @ block
        try:
            factor = np.linalg.cholesky(products)
        except np.linalg.LinAlgError:
            return False
        return bool(np.all(np.diagonal(factor) > np.maximum(_CLEARLY_APART, 2 * self.tolerance)))

    def triangle(self) -> Float:
        """R of the QR decomposition, which has the lengths and angles of the columns."""
        triangle = np.zeros((0, self.width))
        for block in self.blocks():
            triangle = np.asarray(np.linalg.qr(np.vstack([triangle, block]), mode="r"))
        return triangle


def _sweep(triangle: Float, tolerance: Float) -> list[Alias]:
    """Sweep the columns in order, each freed from all that were kept before it.

    Columns before the first small one of the diagonal are kept as they stand, and span the first axes.
    """
    width = triangle.shape[1]
    diagonal = np.zeros(width)
    diagonal[: len(triangle)] = np.abs(np.diagonal(triangle))
    small = np.flatnonzero(~(diagonal > tolerance))
    if not len(small):
        return []
    first = int(small[0])
    kept, lost = list(range(first)), []
    basis = np.zeros(triangle.shape, order="F")
    basis[np.arange(first), np.arange(first)] = 1.0
    kept_before: list[int] = []
    for start in range(first, width, _PANEL):
        panel = triangle[:, start : start + _PANEL].copy(order="F")
        panel[:first] = 0.0
        old = basis[first:, first : len(kept)]
        before = np.linalg.norm(panel, axis=0)
        panel[first:] -= old @ (old.T @ panel[first:])
        # twice is enough (Kahan), and once where little was taken away
        again = np.linalg.norm(panel, axis=0) < 0.5 * before
        panel[first:, again] -= old @ (old.T @ panel[first:, again])
        done = len(kept)
        for place in range(panel.shape[1]):
            residual = panel[:, place]
            new = basis[:, done : len(kept)]
            for _ in range(2):
                residual = residual - new @ (new.T @ residual)
            size = float(np.linalg.norm(residual))
            if size > tolerance[start + place]:
                basis[:, len(kept)] = residual / size
                kept.append(start + place)
            else:
                lost.append(start + place)
                kept_before.append(len(kept))
    return _explain(triangle, basis[:, : len(kept)], kept, lost, kept_before)


def _explain(
    triangle: Float, basis: Float, kept: list[int], lost: list[int], kept_before: list[int]
) -> list[Alias]:
    """Say of which of the columns kept before it each lost one is a combination."""
    parts = basis.T @ triangle[:, lost]
    parts[np.arange(len(kept))[:, None] >= np.array(kept_before)] = 0.0
    weights = solve_triangular(np.triu(basis.T @ triangle[:, kept]), parts) if kept else parts
    found = []
    for column, weight in zip(lost, weights.T, strict=True):
        weights = {kept[p]: float(weight[p]) for p in np.flatnonzero(np.abs(weight) > _NO_WEIGHT).tolist()}
        of = tuple(c for c, w in weights.items() if abs(w) > _SMALLEST_WEIGHT)
        found.append(Alias(column, of, weights))
    return found
