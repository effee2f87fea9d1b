"""In and out of the collapsed program: vectors of hyperparameters as its batches, and what it draws, by what it is.

In a program's arrays the vectors are the last axis: what is next to each other in memory is computed together.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from model.frame.design import Float
from model.small import lower_triangle
from worker.padding import CollapsedProblem


class Drawn(NamedTuple):
    """What was drawn with vectors of hyperparameters, in internal units; the axes of the vectors come last."""

    coefficients: Float  # (integrated coef, ...)
    dense: Float  # (dense, ...), deviations of all factors but the first
    scalars: Float  # (scalar, ...)
    triangles: list[Float]
    """Of each factor the lower triangle of its correlations' root, row by row, (entry, ...)."""

    def root(self, factor: int, order: list[int]) -> Float:
        """The root (coef, coef, ...) of a factor's correlation matrix, the program's coefficient i at `order[i]`."""
        triangle = self.triangles[factor]
        root = np.zeros((len(order), len(order), *triangle.shape[1:]))
        for entry, (i, j) in zip(triangle, lower_triangle(len(order)), strict=True):
            root[order[i], order[j]] = entry
        return root


def batches(problem: CollapsedProblem, points: Float, batch: int) -> Iterator[tuple[Float, slice]]:
    """Full batches (hyper, batch) whose first vectors have points (vector, dim) as their active part, and which."""
    for start in range(0, len(points), batch):
        part = slice(start, min(start + batch, len(points)))
        yield padded(problem, points[part], batch), part


def padded(problem: CollapsedProblem, points: Float, batch: int) -> Float:
    """One batch (hyper, batch) of no more than that many points (vector, dim)."""
    theta = np.empty((problem.shape.dimension, batch))
    theta[:] = problem.start[:, None]
    theta[problem.active, : len(points)] = points.T
    return theta


def rows(problem: CollapsedProblem) -> np.ndarray:
    """Where among what a program draws (drawn, vector) this problem's share is, in the order of `read`."""
    return np.concatenate([problem.carried, np.arange(problem.shape.carried, problem.shape.drawn)])


def read(problem: CollapsedProblem, drawn: Float) -> Drawn:
    """Take apart this problem's share (drawn, ...) of what a program has drawn."""
    shape, p, carried = problem.shape, len(problem.integrated), len(problem.carried)
    return _split(problem, drawn, [p, carried - p, shape.scalars])


def read_parameters(problem: CollapsedProblem, parameters: Float) -> Drawn:
    """Take apart parameters (parameter, ...) with which nothing was drawn."""
    return _split(problem, parameters, [0, 0, problem.shape.scalars])


def _split(problem: CollapsedProblem, drawn: Float, sizes: list[int]) -> Drawn:
    triangles = [factor.coefficients * (factor.coefficients + 1) // 2 for factor in problem.shape.factors]
    coefficients, dense, scalars, *rest = np.split(drawn, np.cumsum([*sizes, *triangles]))
    return Drawn(coefficients, dense, scalars, rest[:-1])
