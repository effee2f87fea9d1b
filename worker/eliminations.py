"""The collapsed density as an elimination of all group-level effects, and the little that is left to do after it.

What is left of the sums depends on few coordinates: each sd over sigma, and the correlations. Sigma, the coefficients
and all priors come after, in one small program whatever the number of levels.
"""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from functools import partial

import numpy as np

from model.frame.design import Float
from model.small import lower_triangle
from worker.batch import batches, read_parameters, rows
from worker.compiled import COMPILED, handed_over
from worker.monitor import Cancelled, Monitor
from worker.padded_sums import SUMS
from worker.padding import CollapsedProblem
from worker.programs import collapsed as program
from worker.reduction import THREADS, Crossed
from worker.shape import CollapsedShape, GroupShape

_SMALL = 0.1
"""An sd over sigma (standardized) below which its coordinate is about linear in it, and not in its logarithm."""
_BATCH = 1024
"""Vectors that one call finishes; unlike the call that eliminates, it pays for all of them, however few are given."""
_MANY = 400
"""About as many eliminations as one fit needs."""

Eliminate = Callable[[list[Float]], tuple[Float, Float]]
"""From each factor's chol(Phi) / sigma (point, coef, coef): the cross-products of [X, y] that are left (point, column,
column), in units of sigma^2, and half the log determinant of what was eliminated (point,)."""


class Eliminations:
    """One problem: exact eliminations at hyperparameters, counted and between two looks at the monitor."""

    def __init__(self, problem: CollapsedProblem, monitor: Monitor, crossed: Crossed | None = None) -> None:
        """Eliminate on the host what is `crossed`, or by a program the one factor that there is."""
        self.problem = problem
        self.count = 0
        self._monitor = monitor
        self._eliminate = _on_the_host(crossed) if crossed else _compiled(problem)
        # Without its levels a model shares its programs with all that differ from it in nothing else.
        levels = tuple(GroupShape(factor.blocks, 0) for factor in problem.shape.factors)
        shape = replace(problem.shape, factors=levels)
        self._data = handed_over({name: v for name, v in problem.data.items() if name not in SUMS})
        theta, noise = np.zeros((shape.dimension, _BATCH)), np.zeros((shape.columns, _BATCH))
        width = shape.columns + shape.kept + 1
        cross, log_det = np.zeros((width, width, _BATCH)), np.zeros(_BATCH)
        self._finish = COMPILED.get(
            (shape, "finish"), partial(program.finish, shape), theta, noise, cross, log_det, self._data
        )
        self._parameters = COMPILED.get(
            (shape, "parameters"), partial(program.parameters, shape), theta, self._data
        )
        self._triangle = np.tril_indices(len(problem.places))
        self._entries = _entries(shape)
        self._diagonal = np.array([i == j for _, i, j in self._entries])

    @property
    def floor(self) -> Float:
        """The least value of each coordinate (coordinate,): what is on a diagonal ends at zero."""
        return np.where(self._diagonal, 0.0, -np.inf)

    def coordinates(self, points: Float) -> Float:
        """What an elimination depends on (point, coordinate), at active hyperparameters (point, dim).

        The entries of each factor's chol(Phi) / sigma that are not always zero; of those on the diagonal about the
        logarithms. An sd of next to nothing takes its correlations with it, and then nothing depends on them.
        """
        roots = self.relative_roots(points)
        entries = np.stack([roots[factor][:, i, j] for factor, i, j in self._entries], axis=1)
        entries[:, self._diagonal] = np.arcsinh(entries[:, self._diagonal] / _SMALL)
        return entries

    def values(self, points: Float) -> tuple[Float, list[Float]]:
        """Scalars (point, scalar) and roots of the correlation matrices (point, coef, coef)."""
        found = np.empty((self.problem.shape.drawn - self.problem.shape.carried, len(points)))
        for batch, part in batches(self.problem, points, _BATCH):
            count = part.stop - part.start
            found[:, part] = np.asarray(self._parameters(batch, self._data))[:, :count]
        drawn = read_parameters(self.problem, found)
        sizes = [factor.coefficients for factor in self.problem.shape.factors]
        roots = [np.moveaxis(drawn.root(i, list(range(k))), -1, 0) for i, k in enumerate(sizes)]
        return drawn.scalars.T, roots

    def relative_roots(self, points: Float) -> list[Float]:
        """Of each factor chol(Phi) / sigma (point, coef, coef)."""
        scalars, roots = self.values(points)
        sds, data = self.problem.shape.sds, self.problem.data
        # Far out there may be no such numbers; no density is computed of what is none.
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            ratios = scalars[:, :sds] * data["sd_unit"] / (scalars[:, sds, None] * data["sigma_unit"])
            ends = np.cumsum([root.shape[-1] for root in roots])[:-1]
            own = np.split(ratios, ends, axis=1)
            return [ratio[:, :, None] * root for ratio, root in zip(own, roots, strict=True)]

    def eliminate(self, coordinates: Float) -> Float:
        """What is left exactly at coordinates (point, coordinate), as numbers (point, 1 + entries) to interpolate.

        They are the log determinant, and the entries of the cross-products' Cholesky factor with the logarithms of its
        diagonal: whatever they are, the cross-products made of them are positive definite. NaN where rounding has left
        nothing that is.
        """
        sizes = [factor.coefficients for factor in self.problem.shape.factors]
        scaled = [np.zeros((len(coordinates), k, k)) for k in sizes]
        entries = coordinates.copy()
        entries[:, self._diagonal] = _SMALL * np.sinh(coordinates[:, self._diagonal])
        for values, (factor, i, j) in zip(entries.T, self._entries, strict=True):
            scaled[factor][:, i, j] = values
        left = []
        # A few at a time where each takes milliseconds, so that a cancel is heard.
        at_once = THREADS if self.problem.wide else self.problem.shape.batch
        for start in range(0, len(coordinates), at_once):
            if self._monitor.cancelled():
                raise Cancelled
            cross, log_det = self._eliminate([root[start : start + at_once] for root in scaled])
            lower = _cholesky(cross)
            diagonal = np.arange(lower.shape[-1])
            lower[:, diagonal, diagonal] = np.log(lower[:, diagonal, diagonal])
            left.append(np.column_stack([log_det, lower[:, *self._triangle]]))
            self.count += len(cross)
            self._monitor.report("eliminating", min(0.5, self.count / _MANY))
        return np.concatenate(left)

    def density(self, points: Float, noise: Float, left: Float) -> tuple[Float, Float]:
        """Log density (point,) and what is drawn (drawn, point) where `left` (point, 1 + entries) remains."""
        problem, width = self.problem, self.problem.shape.columns + self.problem.shape.kept + 1
        places = np.array(problem.places)
        own = np.zeros((len(points), len(places), len(places)))
        own[:, *self._triangle] = left[:, 1:]
        diagonal = np.arange(len(places))
        own[:, diagonal, diagonal] = np.exp(own[:, diagonal, diagonal])
        own = own @ np.swapaxes(own, -1, -2)
        own_rows = rows(problem)
        values, drawn = np.empty(len(points)), np.empty((len(own_rows), len(points)))
        for batch, part in batches(problem, points, _BATCH):
            count = part.stop - part.start
            normal = np.zeros((problem.shape.columns, _BATCH))
            normal[problem.carried, :count] = noise[part].T
            cross = np.zeros((width, width, _BATCH))
            cross[np.ix_(places, places, np.arange(count))] = np.moveaxis(own[part], 0, -1)
            log_det = np.zeros(_BATCH)
            log_det[:count] = left[part, 0]
            log_density, found = self._finish(batch, normal, cross, log_det, self._data)
            values[part] = np.asarray(log_density)[:count]
            drawn[:, part] = np.asarray(found)[own_rows, :count]
        return values, drawn

    def log_density(self, points: Float) -> Float:
        """The exact log density (point,) at active hyperparameters (point, dim)."""
        noise = np.zeros((len(points), len(self.problem.carried)))
        return self.density(points, noise, self.eliminate(self.coordinates(points)))[0]


def _on_the_host(crossed: Crossed) -> Eliminate:
    def eliminate(roots: list[Float]) -> tuple[Float, Float]:
        cross = np.full((len(roots[0]), crossed.columns, crossed.columns), np.nan)
        log_det = np.full(len(cross), np.nan)

        def one(i: int) -> None:
            with suppress(np.linalg.LinAlgError):
                reduced = crossed.reduce([root[i] for root in roots])
                cross[i], log_det[i] = reduced.cross, reduced.log_det

        with ThreadPoolExecutor(THREADS) as threads:
            list(threads.map(one, range(len(cross))))
        return cross, log_det

    return eliminate


def _compiled(problem: CollapsedProblem) -> Eliminate:
    """Of one factor, by a program that is given no more than a batch."""
    shape, places = problem.shape, np.array(problem.places)
    pairs = lower_triangle(shape.sds)
    sums = handed_over({name: problem.data[name] for name in SUMS if name in problem.data})
    example = np.zeros((len(pairs), shape.batch)), np.array(1), sums
    found = COMPILED.get((shape, "eliminate"), partial(program.eliminate_levels, shape), *example)

    def eliminate(roots: list[Float]) -> tuple[Float, Float]:
        (root,) = roots
        count, relative = len(root), np.zeros((len(pairs), shape.batch))
        for number, (i, j) in enumerate(pairs):
            relative[number, :count] = root[:, i, j]
        cross, log_det = found(relative, np.array(count), sums)
        own = np.moveaxis(np.asarray(cross)[:, :, :count], -1, 0)
        return own[:, places[:, None], places], np.asarray(log_det)[:count]

    return eliminate


def _cholesky(cross: Float) -> Float:
    """Cholesky factors of matrices (point, column, column); NaN for those that have none."""
    try:
        return np.asarray(np.linalg.cholesky(cross), dtype=np.float64)
    except np.linalg.LinAlgError:
        lower = np.full(cross.shape, np.nan)
        for own, matrix in zip(lower, cross, strict=True):
            with suppress(np.linalg.LinAlgError):
                own[:] = np.linalg.cholesky(matrix)
        return lower


def _entries(shape: CollapsedShape) -> list[tuple[int, int, int]]:
    """Factor, row and column of what is on or below the diagonal of the factors' blocks."""
    found = []
    for number, factor in enumerate(shape.factors):
        start = 0
        for size in factor.blocks:
            found += [(number, start + i, start + j) for i, j in lower_triangle(size)]
            start += size
    return found
