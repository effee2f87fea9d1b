"""Elimination of many crossed levels on the host: sparse products, one Cholesky factor, and exact draws given it.

Where the other factors have hundreds of levels an evaluation costs milliseconds in LAPACK, whoever calls it; sparse
sums over the pairs of levels that occur together, and no padding, are then worth more than a compiled program.
"""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from model.frame.design import Float
from model.moments import Moments
from model.small import cholesky, identity_plus_congruence, lower_triangle, solve_lower

Roots = Sequence[Float]
"""Of each factor chol(Phi) / sigma, (coef, coef) or (draw, coef, coef); the factor eliminated level by level comes
first."""

_SERIES_TOLERANCE = 1e-6
THREADS = min(4, os.cpu_count() or 1)
"""Eliminations at a time: milliseconds of linear algebra each, on a thread of its own and outside the interpreter's
lock."""


@dataclass(frozen=True, slots=True)
class Reduced:
    """What is left of a model's sums when all group-level effects are eliminated, in units of sigma^2."""

    cross: Float  # (column, column) of [X, y]
    log_det: float
    """Half the log determinant of what was eliminated, priors included."""
    lower: Float  # (dense, dense), Cholesky factor of the dense block's precision


class Crossed:
    """The sums of a model whose first factor is eliminated level by level and the others together."""

    def __init__(self, moments: Moments, columns: int, levels: Sequence[int]) -> None:
        """Take `columns` of [X, y] from the moments' first ones; `levels` are those of the other factors."""
        self._levels = tuple(levels)
        self._a, b, s = moments.a, moments.b, moments.s
        self._k = b.shape[0]
        self._head = np.ascontiguousarray(np.swapaxes(b[:, :columns], 1, 2))  # (coef, level, column)
        self._cross, self._down, self._dense = (
            s[:columns, :columns],
            s[columns:, :columns],
            s[columns:, columns:],
        )
        # Sums of each pair of levels that occurs, as one sparse matrix for each coefficient of the first factor.
        self._cells = [sparse.csr_array(b[i, columns:]) for i in range(self._k)]  # (dense, level)
        self._back = [cells.T.tocsr() for cells in self._cells]
        self._pairs = lower_triangle(self._k)
        self._squares = _squares(b[:, columns:], self._pairs)

    @property
    def columns(self) -> int:
        """Columns of [X, y]."""
        return int(self._cross.shape[0])

    @property
    def width(self) -> int:
        """Coefficients of all levels of the other factors."""
        return int(self._dense.shape[0])

    def reduce(self, roots: Roots) -> Reduced:
        """Eliminate all effects at one vector of hyperparameters."""
        inner, log_det = self._inner([list(row) for row in roots[0]])
        weights = self._both_orders(inner)
        cross, down = self._cross.copy(), self._down.copy()
        for (i, j), weight in weights.items():
            weighted = weight[:, None] * self._head[j]
            cross -= self._head[i].T @ weighted
            down -= self._cells[i] @ weighted
        explained = sum(square @ weight for square, weight in zip(self._squares, inner, strict=True))
        # Right on and below the diagonal; nothing reads what is above it.
        precision = self._dense - explained.reshape(self.width, self.width)
        log_det += self._add_priors(precision, roots[1:])
        lower = linalg.cholesky(precision, lower=True, overwrite_a=True, check_finite=False)
        white = linalg.solve_triangular(lower, down, lower=True, check_finite=False)
        log_det += float(np.log(np.diagonal(lower)).sum())
        return Reduced(cross - white.T @ white, log_det, lower)

    def draw(self, roots: Roots, known: Float, sigma: Float, noise: Float) -> Float:
        """Draw the other factors' deviations (draw, dense), each given its own hyperparameters and coefficients.

        `known` (draw, column) multiplies [X, y], `noise` (draw, dense) is standard normal. Draws that are close to
        each other in their hyperparameters share one Cholesky factor, and a series does the rest: with Q = L (I - E)
        L', both (I - E)^-1 and (I - E)^-1/2 are power series in E, which is small.
        """
        drawn = np.empty_like(noise)

        def draw_some(members: NDArray[np.int64]) -> None:
            own = [root[members] for root in roots]
            drawn[members] = self._draw_close(own, known[members], sigma[members], noise[members])

        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(draw_some, _close_together(_log_sizes(roots))))
        return drawn

    def _draw_close(self, roots: Roots, known: Float, sigma: Float, noise: Float) -> Float:
        """Draw where all hyperparameters are close to each other, by one Cholesky factor and a series."""
        center = [np.median(root, axis=0) for root in roots]
        inverse = np.asarray(linalg.lapack.dtrtri(self.reduce(center).lower, lower=1)[0])
        inner, _ = self._inner([[roots[0][:, i, j] for j in range(self._k)] for i in range(self._k)])
        weights, priors = self._both_orders(inner), [_inverse_gram(root) for root in roots[1:]]
        mean, scaled = inverse @ self._score(weights, known), sigma * noise.T

        def apart(y: Float) -> Float:
            """E y, of every draw's own E."""
            return y - inverse @ self._precision_times(weights, priors, inverse.T @ y)

        terms = _series_length(apart, scaled)
        y = mean + _half_coefficient(terms) * scaled
        for term in reversed(range(terms)):
            y = mean + _half_coefficient(term) * scaled + apart(y)
        return np.asarray((inverse.T @ y).T)

    def _inner(self, root: list[list[Float]]) -> tuple[list[Float], float]:
        """T M^-1 T' of every level, its lower triangle as arrays (level,) or (level, draw); and the sum of log det
        C."""
        entries = [[np.asarray(entry)[None, ...] for entry in row] for row in root]
        draws = np.ndim(root[0][0]) == 1
        a = self._a[..., None] if draws else self._a
        lower = cholesky(identity_plus_congruence(entries, a))
        columns = [solve_lower(lower, [entries[i][r] for r in range(self._k)]) for i in range(self._k)]
        shape = (self._a.shape[-1], len(root[0][0])) if draws else (self._a.shape[-1],)
        inner = [
            np.broadcast_to(sum(columns[i][r] * columns[j][r] for r in range(self._k)), shape)
            for i, j in self._pairs
        ]
        log_det = 0.0 if draws else float(sum(np.log(lower[i][i]).sum() for i in range(self._k)))
        return inner, log_det

    def _both_orders(self, inner: list[Float]) -> dict[tuple[int, int], Float]:
        weights = dict(zip(self._pairs, inner, strict=True))
        return weights | {(j, i): weight for (i, j), weight in weights.items()}

    def _add_priors(self, precision: Float, roots: Roots) -> float:
        """Add the factors' prior precisions in place; gives their half log determinants, negated."""
        log_det, start = 0.0, 0
        for root, levels in zip(roots, self._levels, strict=True):
            k = len(root)
            block = _inverse_gram(root)
            for i in range(k):
                for j in range(k):
                    rows = start + i * levels + np.arange(levels)
                    precision[rows, start + j * levels + np.arange(levels)] += block[i, j]
            log_det += levels * float(np.log(np.abs(np.diagonal(root))).sum())
            start += k * levels
        return log_det

    def _score(self, weights: dict[tuple[int, int], Float], known: Float) -> Float:
        """Cross-products of the dense columns with what is left of y, (dense, draw)."""
        score = self._down @ known.T
        for (i, j), weight in weights.items():
            score -= self._cells[i] @ (weight * (self._head[j] @ known.T))
        return score

    def _precision_times(self, weights: dict[tuple[int, int], Float], priors: list[Float], v: Float) -> Float:
        """Each draw's dense precision times its own vector, (dense, draw)."""
        result = self._dense @ v
        for (i, j), weight in weights.items():
            result -= self._cells[i] @ (weight * (self._back[j] @ v))
        start = 0
        for block, levels in zip(priors, self._levels, strict=True):
            k = block.shape[-1]
            part = v[start : start + k * levels].reshape(k, levels, -1)
            result[start : start + k * levels] += np.einsum("nij,jln->iln", block, part).reshape(
                k * levels, -1
            )
            start += k * levels
        return result


def _squares(b: Float, pairs: list[tuple[int, int]]) -> list[sparse.csr_array]:
    """Products of the sums of all pairs of dense columns that share a level, (row and column, level): rows not above
    columns.

    A pair of different coefficients stands for both orders of it.
    """
    _, width, levels = b.shape
    level, column = np.nonzero(np.any(b != 0, axis=0).T)
    values = b[:, column, level]
    count = np.bincount(level, minlength=levels)
    first = np.concatenate([[0], np.cumsum(count)])
    # Every cell against every cell of its level, of which those below the diagonal are kept.
    one = np.repeat(np.arange(len(level)), count[level])
    other = (
        np.arange(len(one))
        - np.repeat(np.cumsum(count[level]) - count[level], count[level])
        + first[level][one]
    )
    below = column[one] >= column[other]
    one, other = one[below], other[below]
    place = column[one] * width + column[other]
    shape = (width * width, levels)
    squares = []
    for i, j in pairs:
        product = values[i, one] * values[j, other]
        if i != j:
            product = product + values[j, one] * values[i, other]
        squares.append(sparse.csr_array(sparse.coo_array((product, (place, level[one])), shape=shape)))
    return squares


def _inverse_gram(root: Float) -> Float:
    """(T T')^-1 of lower triangles (..., coef, coef)."""
    inverse = np.linalg.inv(root)
    return np.asarray(np.swapaxes(inverse, -1, -2) @ inverse)


def _log_sizes(roots: Roots) -> Float:
    """Coordinates (draw, hyper) in which a distance is about the relative change of the prior precisions."""
    parts = []
    for root in roots:
        size = np.log(np.diagonal(root, axis1=-2, axis2=-1))
        below = [root[:, i, j] / root[:, i, i] for i in range(root.shape[-1]) for j in range(i)]
        parts += [size, *(entry[:, None] for entry in below)]
    return np.concatenate(parts, axis=1)


def _close_together(coordinates: Float, width: float = 0.05, fewest: int = 40) -> list[NDArray[np.int64]]:
    """Split draws at medians until a group spans less than `width` in every coordinate, or has few members."""
    groups, waiting = [], [np.arange(len(coordinates))]
    while waiting:
        members = waiting.pop()
        span = np.ptp(coordinates[members], axis=0)
        widest = int(np.argmax(span))
        if span[widest] <= width or (len(members) < 2 * fewest and span[widest] <= 6 * width):
            groups.append(members)
            continue
        order = members[np.argsort(coordinates[members, widest], kind="stable")]
        if len(order) == 1:
            groups.append(order)
            continue
        waiting += [order[: len(order) // 2], order[len(order) // 2 :]]
    return groups


def _series_length(apart: Callable[[Float], Float], vectors: Float) -> int:
    """Terms after which the series is exact to the tolerance, by the growth of a few powers."""
    worst, y = 0.0, vectors
    for _ in range(3):
        following = apart(y)
        size = np.linalg.norm(y, axis=0)
        if not size.any():
            return 1
        worst = float(np.max(np.linalg.norm(following, axis=0)[size > 0] / size[size > 0]))
        y = following
    # Powers of a few more steps approach the largest eigenvalue from below.
    rate = min(0.95, max(1e-6, 1.2 * worst))
    return int(np.ceil(np.log(_SERIES_TOLERANCE) / np.log(rate)))


def _half_coefficient(term: int) -> float:
    """Coefficient of the power series of (1 - x)^(-1/2)."""
    value = 1.0
    for i in range(1, term + 1):
        value *= (2 * i - 1) / (2 * i)
    return value
