"""Contrast matrices: how the levels of a categorical covariate become columns.

Matrices and column names are those of R's `contr.treatment`, `contr.sum`, `contr.helmert` and `contr.poly`.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]


def contrast_matrix(contrast: str, levels: int, baseline: int) -> Float:
    """The matrix (level, column) of the contrasts of a factor with at least two levels."""
    if contrast == "treatment":
        return np.delete(np.eye(levels), baseline, axis=1)
    if contrast == "sum":
        return np.vstack([np.eye(levels - 1), -np.ones(levels - 1)])
    if contrast == "helmert":
        matrix = -np.triu(np.ones((levels, levels - 1)))
        matrix[np.arange(1, levels), np.arange(levels - 1)] = np.arange(1, levels)
        return matrix
    return _orthogonal(levels)


def contrast_names(contrast: str, labels: Sequence[str], baseline: int) -> tuple[str, ...]:
    """What follows the factor's name in the names of its columns."""
    if contrast == "treatment":
        return tuple(label for level, label in enumerate(labels) if level != baseline)
    if contrast == "poly":
        return tuple([".L", ".Q", ".C"][: len(labels) - 1]) + tuple(f"^{k}" for k in range(4, len(labels)))
    return tuple(str(k) for k in range(1, len(labels)))


def contrast_meanings(contrast: str, factor: str, labels: Sequence[str], baseline: int) -> tuple[str, ...]:
    """What the columns of the contrasts compare, in words."""
    if contrast == "treatment":
        others = (label for level, label in enumerate(labels) if level != baseline)
        return tuple(f"{label} against {labels[baseline]}" for label in others)
    if contrast == "sum":
        return tuple(f"{label} against the mean of all levels" for label in labels[:-1])
    if contrast == "helmert":
        return tuple(f"{label} against the mean of the levels before it" for label in labels[1:])
    return tuple(f"{factor}, trend of degree {k}" for k in range(1, len(labels)))


def _orthogonal(levels: int) -> Float:
    # by recurrence, as powers of the levels would lose digits
    x = np.arange(levels) - (levels - 1) / 2
    columns = [np.full(levels, 1 / np.sqrt(levels))]
    for _ in range(1, levels):
        column = x * columns[-1]
        for earlier in columns[::-1]:
            column = column - (earlier @ column) * earlier
        columns.append(column / np.sqrt(column @ column))
    return np.column_stack(columns[1:])
