"""The arrays of a mixed model: what the samplers and the predictions compute with.

Dims: `row`, `coef` (columns of X, or of one factor's Z), `level`. There is never a dense Z: a row's
group-level covariates are `z[row]` and the coefficients they multiply are found by `index[row]`.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.errors import Notice
from model.frame.estimability import Estimability

Float = NDArray[np.float64]
Level = tuple[str | int | float | bool, ...]
"""One value for each column of a grouping factor: `("t01",)`, or `("A", "a")` for the cell `batch:cask`.

Decimals are among those that a fit does not know."""


@dataclass(frozen=True, slots=True)
class FactorDesign:
    """The rows of one grouping factor.

    `blocks` partitions `range(len(coefficients))`: coefficients in one block are correlated, blocks are
    independent (`(1 + x | g)` is `((0, 1),)`, `(1 + x || g)` is `((0,), (1,))`). `index[row]` is the row's
    level; in rows to be predicted `len(levels) + j` is `new_levels[j]`, and -1 is no known group.
    """

    name: str
    columns: tuple[str, ...]
    levels: tuple[Level, ...]
    coefficients: tuple[str, ...]
    blocks: tuple[tuple[int, ...], ...]
    z: Float  # (row, coef)
    index: NDArray[np.int64]  # (row,)
    new_levels: tuple[Level, ...] = ()

    def take(self, rows: NDArray[np.intp]) -> "FactorDesign":
        """Some rows, by their numbers; all levels stay."""
        return replace(self, z=self.z[rows], index=self.index[rows])


@dataclass(frozen=True, slots=True)
class Design:
    """One data set as arrays.

    `x` has the intercept as its first column when `intercept` is true. `y`, `weights`, `standard_error` (of
    `se()`) and `trials` are None where the formula has none or where rows are to be predicted (but for
    `trials(n)` of data that have n). Of `cbind(s, f)` y is s and trials s + f; of text y is the place in
    `outcomes`. `notices` say where a basis is extrapolated. `estimability` is that of rows to be predicted where
    columns of X were left out as combinations of others.
    """

    x: Float  # (row, coef)
    coefficients: tuple[str, ...]
    intercept: bool
    offset: Float  # (row,)
    factors: tuple[FactorDesign, ...]
    y: Float | None = None
    weights: Float | None = None
    standard_error: Float | None = None
    trials: Float | None = None
    notices: tuple[Notice, ...] = ()
    outcomes: tuple[str | int | float | bool, ...] = ()
    estimability: Estimability | None = None

    @property
    def rows(self) -> int:
        """Number of rows."""
        return int(self.x.shape[0])

    def take(self, rows: NDArray[np.intp]) -> "Design":
        """Some rows, by their numbers."""

        def some(values: Float | None) -> Float | None:
            return None if values is None else values[rows]

        return replace(
            self,
            x=self.x[rows],
            offset=self.offset[rows],
            factors=tuple(factor.take(rows) for factor in self.factors),
            y=some(self.y),
            weights=some(self.weights),
            standard_error=some(self.standard_error),
            trials=some(self.trials),
            estimability=None if self.estimability is None else self.estimability.take(rows),
        )
