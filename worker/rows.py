"""The rows of a design as the full model's likelihood takes them.

Where it is exact, rows of the same linear predictor are one row.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.family import Family
from model.frame.design import Design, Float
from worker.programs.likelihood import collapses, log_base


@dataclass(frozen=True)
class Rows:
    """Rows, or means of rows of the same linear predictor; `log_base` is the sum that no parameter changes."""

    x: Float  # (row, coef)
    y: Float
    trials: Float
    offset: Float
    weight: Float
    standard_error: Float | None
    z: tuple[Float, ...]  # per factor (row, coef)
    index: tuple[NDArray[np.int64], ...]  # per factor (row,)
    levels: tuple[int, ...]
    log_base: float

    @classmethod
    def of(cls, family: Family, design: Design) -> "Rows":
        """The rows of training data; where the likelihood is linear in the response, cells of equal predictors."""
        assert design.y is not None
        ones = np.ones(design.rows)
        trials = ones if design.trials is None else design.trials
        weight = ones if design.weights is None else design.weights
        z, index = tuple(f.z for f in design.factors), tuple(f.index for f in design.factors)
        x, y, offset = design.x, design.y, design.offset
        base = float(weight @ log_base(family.name, y, trials))
        if collapses(family.name):
            key = np.column_stack([x, offset, *z, *index])
            first, cell = _cells(key)

            def by_cell(values: Float, cell: NDArray[np.int64] = cell) -> Float:
                return np.asarray(np.bincount(cell, values), dtype=np.float64)

            total = by_cell(weight)
            share = weight / np.where(total > 0, total, 1.0)[cell]
            x, offset = x[first], offset[first]
            z, index = tuple(v[first] for v in z), tuple(i[first] for i in index)
            y, trials, weight = by_cell(share * y), by_cell(share * trials), total
        levels = tuple(len(factor.levels) for factor in design.factors)
        return cls(x, y, trials, offset, weight, design.standard_error, z, index, levels, base)


def _cells(key: Float) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The first row of each distinct row of `key`, in order, and for every row the number of its cell."""
    _, first, cell = np.unique(key, axis=0, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty_like(order)
    rank[order] = np.arange(len(order))
    return np.asarray(first[order], dtype=np.int64), np.asarray(rank[cell.ravel()], dtype=np.int64)
