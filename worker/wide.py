"""The collapsed method where the other factors have many levels: few exact eliminations, a surrogate between them.

What is left of the sums when all effects are eliminated depends on few ratios only (each sd over sigma, and the
correlations), and smoothly. A polynomial in them, fitted around the posterior and checked against fresh exact values,
stands for it; sigma and everything else stays exact, and so are the deviations that are drawn at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from model.errors import RanefError
from model.frame.design import Float
from model.spec import FitPlan
from model.streams import stream
from worker.batch import batches, read, read_parameters, rows
from worker.compiled import COMPILED
from worker.monitor import Cancelled, Monitor
from worker.padding import CollapsedProblem
from worker.programs import collapsed as program
from worker.samplers import independence
from worker.samplers.surrogate import Surrogate, fit_surrogate, number_of_terms

_SMALL_RATIO = 0.1
"""An sd over sigma (standardized) below which the coordinate is linear in it rather than in its logarithm."""
_FIRST_HALF_WIDTH = 1.5
_SPREAD, _REACH = 6.0, 1.5
"""Half widths of the final box in posterior sds, and in the farthest of a few hundred draws, whichever is more."""
_WIDEST = 5.0
_MAX_ROUNDS = 8
_COARSE = 3
_FINE = (4, 6, 8)
"""Degrees of the polynomials: while the box is looked for, and in the final one until it is close enough."""
_MAX_TERMS = 210
_MAX_ERROR = 0.05
_CHECKS = 12
_MAX_BEYOND = 1e-3
_BEYOND = 50.0
"""Curvature of the slope that leads back to the box; it matters while the box is looked for, and is never sampled."""


class SurrogateFailed(RanefError):
    """No box around the posterior was found in which the polynomial is close enough."""


@dataclass(frozen=True)
class WideSample:
    """Chains, with which only population coefficients are drawn, and the other factors' deviations."""

    chains: independence.Chains
    dense: Float  # (chain, draw, dense), internal
    error: float
    """Largest error of the log density at fresh points of the posterior."""
    eliminations: int


class _Wide:
    """One problem: exact eliminations at hyperparameters, counted and between two looks at the monitor."""

    def __init__(self, problem: CollapsedProblem, plan: FitPlan, monitor: Monitor) -> None:
        shape = problem.shape
        self.problem, self.plan, self.monitor = problem, plan, monitor
        self.crossed = problem.crossed()
        self.eliminations = 0
        theta, noise = np.zeros((shape.dimension, program.BATCH)), np.zeros((shape.columns, program.BATCH))
        width = shape.columns + shape.kept + 1
        cross, log_det = np.zeros((width, width, program.BATCH)), np.zeros(program.BATCH)
        self._finish = COMPILED.get(
            (shape, "finish"), partial(program.finish, shape), theta, noise, cross, log_det, problem.data
        )
        self._parameters = COMPILED.get(
            (shape, "parameters"), partial(program.parameters, shape), theta, problem.data
        )
        rows, columns = np.tril_indices(len(problem.places))
        self._triangle = rows, columns

    def coordinates(self, points: Float) -> Float:
        """Coordinates of the surrogate (point, coordinate) at active hyperparameters (point, dim)."""
        scalars, _ = self.values(points)
        correlations = self._full(points)[:, self.problem.shape.dimension - self.problem.shape.correlations :]
        return np.concatenate([np.arcsinh(self._ratios(scalars) / _SMALL_RATIO), correlations], axis=1)

    def values(self, points: Float) -> tuple[Float, list[Float]]:
        """Scalars (point, scalar) and roots of the correlation matrices (point, coef, coef)."""
        found = np.empty((self.problem.shape.drawn - self.problem.shape.carried, len(points)))
        for batch, part in batches(self.problem, points):
            found[:, part] = np.asarray(self._parameters(batch, self.problem.data))[
                :, : part.stop - part.start
            ]
        drawn = read_parameters(self.problem, found)
        sizes = [factor.coefficients for factor in self.problem.shape.factors]
        roots = [np.moveaxis(drawn.root(i, list(range(k))), -1, 0) for i, k in enumerate(sizes)]
        return drawn.scalars.T, roots

    def relative_roots(self, points: Float) -> list[Float]:
        """Of each factor chol(Phi) / sigma (point, coef, coef)."""
        scalars, roots = self.values(points)
        return self._scaled(self._ratios(scalars), roots)

    def eliminate(self, coordinates: Float) -> Float:
        """What is left exactly at coordinates (point, coordinate), as numbers (point, 1 + entries) to interpolate.

        They are the log determinant, and the entries of the cross-products' Cholesky factor with the logarithms of its
        diagonal: whatever they are, the cross-products made of them are positive definite.
        """
        sds = self.problem.shape.sds
        theta = np.tile(self.problem.start, (len(coordinates), 1))
        theta[:, self.problem.shape.dimension - self.problem.shape.correlations :] = coordinates[:, sds:]
        _, roots = self.values(theta[:, self.problem.active])
        scaled = self._scaled(_SMALL_RATIO * np.sinh(coordinates[:, :sds]), roots)
        out = []
        for i in range(len(coordinates)):
            if self.monitor.cancelled():
                raise Cancelled
            reduced = self.crossed.reduce([root[i] for root in scaled])
            lower = np.linalg.cholesky(reduced.cross)
            np.fill_diagonal(lower, np.log(np.diagonal(lower)))
            out.append([reduced.log_det, *lower[self._triangle]])
            self.eliminations += 1
            self.monitor.report("eliminating", min(0.5, self.eliminations / 400))
        return np.array(out)

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
        for batch, part in batches(problem, points):
            count = part.stop - part.start
            normal = np.zeros((problem.shape.columns, program.BATCH))
            normal[problem.carried, :count] = noise[part].T
            cross = np.zeros((width, width, program.BATCH))
            cross[np.ix_(places, places, np.arange(count))] = np.moveaxis(own[part], 0, -1)
            log_det = np.zeros(program.BATCH)
            log_det[:count] = left[part, 0]
            log_density, found = self._finish(batch, normal, cross, log_det, problem.data)
            values[part] = np.asarray(log_density)[:count]
            drawn[:, part] = np.asarray(found)[own_rows, :count]
        return values, drawn

    def through(self, surrogate: Surrogate) -> Callable[[Float, Float], tuple[Float, Float]]:
        """The density with a surrogate in place of the eliminations; beyond its box it falls off steeply."""

        def density(points: Float, noise: Float) -> tuple[Float, Float]:
            at = self.coordinates(points)
            values, drawn = self.density(points, noise, surrogate(at))
            return values - _BEYOND * surrogate.excess(at) ** 2 - _BEYOND * surrogate.excess(at), drawn

        return density

    def _full(self, points: Float) -> Float:
        theta = np.tile(self.problem.start, (len(points), 1))
        theta[:, self.problem.active] = points
        return theta

    def _ratios(self, scalars: Float) -> Float:
        sds, data = self.problem.shape.sds, self.problem.data
        return np.asarray(scalars[:, :sds] * data["sd_unit"] / (scalars[:, sds, None] * data["sigma_unit"]))

    def _scaled(self, ratios: Float, roots: list[Float]) -> list[Float]:
        scaled, start = [], 0
        for root in roots:
            k = root.shape[-1]
            scaled.append(ratios[:, start : start + k, None] * root)
            start += k
        return scaled


def sample(problem: CollapsedProblem, plan: FitPlan, monitor: Monitor) -> WideSample:
    """Sample a wide problem; raises NoMode or SurrogateFailed where the method does not apply, and Cancelled."""
    wide = _Wide(problem, plan, monitor)
    start, walls = (
        problem.start[problem.active],
        (problem.lower[problem.active], problem.upper[problem.active]),
    )

    def walk(surrogate: Surrogate, at: Float, chains: int, draws: int, proposals: int) -> independence.Chains:
        carried = len(problem.carried)
        return independence.sample(
            wide.through(surrogate), at, walls, carried, chains, draws, plan.seed, proposals
        )

    center, half_width, at = _find_box(wide, walk, start)
    error = np.inf
    for degree in _FINE:
        if number_of_terms(len(center), degree) > _MAX_TERMS:
            break
        surrogate = fit_surrogate(wide.eliminate, center, half_width, degree)
        chains = walk(surrogate, at, plan.sampler.chains, plan.sampler.draws, 4)
        error = _error(wide, surrogate, chains.theta)
        beyond = surrogate.excess(wide.coordinates(chains.theta.reshape(-1, len(start)))) > 0
        if np.mean(beyond) > _MAX_BEYOND:
            raise SurrogateFailed(f"{100 * np.mean(beyond):.2g}% of the draws left the box of exact values")
        if error <= _MAX_ERROR:
            return WideSample(chains, _deviations(wide, chains), error, wide.eliminations)
    raise SurrogateFailed(f"the log density between exact values is off by {error:.2g}")


def _find_box(wide: _Wide, walk: Any, start: Float) -> tuple[Float, Float, Float]:
    """Center and half widths of a box of some posterior sds around the posterior, and where to start in it."""
    first = wide.coordinates(start[None])[0]
    # Ratios end at zero; partial correlations, on the real line, do not end.
    floor = np.where(np.arange(len(first)) < wide.problem.shape.sds, 0.0, -np.inf)
    low, high = np.maximum(floor, first - _FIRST_HALF_WIDTH), first + _FIRST_HALF_WIDTH
    for _ in range(_MAX_ROUNDS):
        surrogate = fit_surrogate(wide.eliminate, (low + high) / 2, (high - low) / 2, _COARSE)
        points = walk(surrogate, start, 1, 400, 4).theta[0]
        found, start = wide.coordinates(points), np.median(points, axis=0)
        mean = found.mean(axis=0)
        farthest = np.abs(found - mean).max(axis=0)
        reach = np.clip(np.maximum(_SPREAD * found.std(axis=0), _REACH * farthest), 1e-3, _WIDEST)
        wanted = np.maximum(floor, mean - reach), mean + reach
        ratio = (wanted[1] - wanted[0]) / (high - low)
        # Settled when all that was seen lies in a box that is neither much too wide nor too narrow for it.
        settled = np.all((found > low) & (found < high) & (ratio > 0.5) & (ratio < 1.3))
        low, high = wanted
        if settled:
            return (low + high) / 2, (high - low) / 2, start
    raise SurrogateFailed("the posterior was not found in a box")


def _error(wide: _Wide, surrogate: Surrogate, theta: Float) -> float:
    """Largest error of the log density, less its common part, at some of the draws."""
    flat = theta.reshape(-1, theta.shape[-1])
    chosen = flat[:: max(1, len(flat) // _CHECKS)][:_CHECKS]
    at, noise = wide.coordinates(chosen), np.zeros((len(chosen), len(wide.problem.carried)))
    exact, _ = wide.density(chosen, noise, wide.eliminate(at))
    approximate, _ = wide.density(chosen, noise, surrogate(at))
    difference = exact - approximate
    return float(np.abs(difference - np.median(difference)).max())


def _deviations(wide: _Wide, chains: independence.Chains) -> Float:
    """Draw the other factors' deviations of every draw (chain, draw, dense) given all else."""
    problem, plan = wide.problem, wide.plan
    size = chains.theta.shape[:2]
    points = chains.theta.reshape(-1, chains.theta.shape[-1])
    drawn, shape = read(problem, chains.drawn.reshape(len(chains.drawn), -1)), problem.shape
    scalars = drawn.scalars.T
    sigma = scalars[:, shape.sds] * problem.data["sigma_unit"]
    count = len(problem.integrated)
    kept = scalars[:, shape.sds + 1 + shape.mixed :][:, : len(problem.places) - 1 - count]
    data = problem.data
    given = (kept - data["kept_offset"][: kept.shape[1]]) * data["kept_unit"][: kept.shape[1]]
    known = np.concatenate([-drawn.coefficients.T, -given, np.ones((len(points), 1))], axis=1)
    noise = np.concatenate(
        [
            stream(plan.seed, "dense", chain).standard_normal((size[1], wide.crossed.width))
            for chain in range(size[0])
        ]
    )
    wide.monitor.report("drawing levels", 0.7, len(points))
    return wide.crossed.draw(wide.relative_roots(points), known, sigma, noise).reshape(*size, -1)
