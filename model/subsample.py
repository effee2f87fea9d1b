"""Sums over all rows of what is known exactly of some: the difference estimator (Magnusson, Andersen, Jonasson and
Vehtari 2020, after Cochran 1977, chapter 7), which corrects a rough value of every row by what the sample shows.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.frame.design import Float
from model.streams import stream


@dataclass(frozen=True, slots=True)
class Total:
    """A sum over rows, with its standard error: the rows are taken for a sample of all that there could be.

    `subsampling_se` is the error of the sum itself where it was estimated from some of the rows, and None where it was
    not; `se` is None where there is but one row.
    """

    estimate: float
    se: float | None
    subsampling_se: float | None = None

    def scaled(self, factor: float) -> "Total":
        """The same in other units."""

        def size(error: float | None) -> float | None:
            return None if error is None else error * abs(factor)

        return Total(self.estimate * factor, size(self.se), size(self.subsampling_se))


def sample_rows(rows: int, most: int) -> NDArray[np.intp]:
    """At most so many of the rows, in order; the same for all data of as many rows, so that fits can be compared."""
    if rows <= most:
        return np.arange(rows)
    return np.sort(stream(0, "subsample", rows).choice(rows, most, replace=False))


def total(values: Float, rough: Float, sampled: NDArray[np.intp]) -> Total:
    """Estimate the sum over all rows of what has `values` (sampled row,) exactly, and about `rough` (row,).

    All that is asked of `rough` is that it is near; what it is wrong by is estimated too.
    """
    rows, size = len(rough), len(values)
    if size == rows:
        return Total(float(values.sum()), float(np.sqrt(rows) * values.std(ddof=1)) if rows > 1 else None)
    error = values - rough[sampled]
    estimate = float(rough.sum() + rows * error.mean())
    # Equations 7 to 9 of Magnusson et al.
    subsampling = rows**2 * (1.0 - size / rows) * float(error.var(ddof=1)) / size
    squares = float(np.mean(rough**2) + np.mean(values**2 - rough[sampled] ** 2))
    variance = squares - (estimate**2 - subsampling) / rows**2
    return Total(estimate, float(np.sqrt(rows * max(variance, 0.0))), float(np.sqrt(subsampling)))
