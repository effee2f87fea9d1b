"""The collapsed method where an elimination is dear: few exact ones, and a checked polynomial between them.

It stands for what is left when all effects are eliminated, around the posterior and nowhere else; all else stays exact
in each evaluation, and so are the deviations that are drawn at the end.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from model.errors import RanefError
from model.frame.design import Float
from model.spec import FitPlan
from model.streams import stream
from worker.batch import read
from worker.collapsed import draw_exactly, explains_all, perfect_fit, way_without_residual
from worker.eliminations import Eliminations
from worker.elsewhere import elsewhere
from worker.monitor import Monitor
from worker.padding import CollapsedProblem
from worker.samplers import independence
from worker.samplers.mode import find_mode, finite
from worker.samplers.modes import overlooked
from worker.samplers.proposal import Proposal
from worker.samplers.surrogate import Surrogate, fit_surrogate, number_of_terms

_FIRST_HALF_WIDTH = 1.5
_SPREAD, _REACH = 6.0, 1.5
"""Half widths of the final box in posterior sds, and in the farthest of a few hundred draws, whichever is more."""
_NARROWEST, _WIDEST = 1e-3, 5.0
_MAX_ROUNDS = 8
_COARSE = 3
_FINE = (4, 6, 8)
"""Degrees of the polynomials: while the box is looked for, and in the final one until it is close enough."""
_MAX_TERMS = 210
_MAX_ERROR = 0.05
_MAX_ERROR_WHERE_CHEAP = 1e-3
"""Of the log density: where no exact one is in reach, and where it can be had for every draw instead."""
_CHECKS = 12
_LOOKS = 16
"""Points far and wide at which another mode would be noticed."""
_MAX_BEYOND = 1e-3
_BEYOND = 50.0
"""Curvature of the slope that leads back to the box; it matters while the box is looked for, and is never sampled."""
_FAR = 1e6
"""Half widths beyond the box after which it falls off no further."""
_DEAR, _DEAR_PER_TERM = 1 << 13, 1 << 9
"""Elementwise operations of an evaluation, and those by each term of a polynomial, from which some hundred of them and
a polynomial cost less than thousands."""


class SurrogateFailed(RanefError):
    """No box around the posterior was found in which the polynomial is close enough."""


@dataclass(frozen=True)
class Interpolated:
    """Chains, with which only population coefficients are drawn, and the other factors' deviations."""

    chains: independence.Chains
    dense: Float  # (chain, draw, dense), internal
    error: float
    """Largest error of the log density at fresh points of the posterior."""
    eliminations: int


@dataclass(frozen=True)
class _Box:
    """Where the posterior is, in the coordinates of eliminations, and a point (dim,) of it to start from."""

    low: Float
    high: Float
    start: Float

    @property
    def center(self) -> Float:
        """Its center (coordinate,)."""
        return np.asarray((self.low + self.high) / 2)

    @property
    def half_width(self) -> Float:
        """Its half widths (coordinate,)."""
        return np.asarray((self.high - self.low) / 2)


def is_worth_it(problem: CollapsedProblem) -> bool:
    """Whether a problem that has a program for all of its density is better sampled with a surrogate in it."""
    if len(problem.shape.factors) != 1:
        return False
    (factor,) = problem.shape.factors
    terms = number_of_terms(problem.shape.sds + problem.shape.correlations, _FINE[0])
    dear = factor.coefficients * factor.width >= max(_DEAR, _DEAR_PER_TERM * terms)
    return dear and terms <= _MAX_TERMS


def sample(problem: CollapsedProblem, plan: FitPlan, monitor: Monitor) -> Interpolated:
    """Sample with a surrogate; raises NoMode or SurrogateFailed where the method does not apply, and Cancelled."""
    return _Sampler(problem, plan, monitor).sample()


class _Sampler:
    """One fit."""

    def __init__(self, problem: CollapsedProblem, plan: FitPlan, monitor: Monitor) -> None:
        self.problem, self.plan, self.monitor = problem, plan, monitor
        self.crossed = problem.crossed() if problem.wide else None
        self.exact = Eliminations(problem, monitor, self.crossed)
        self.walls = problem.lower[problem.active], problem.upper[problem.active]

    def sample(self) -> Interpolated:
        """Find the box, and raise the degree there until the polynomial is close enough."""
        self.monitor.report("eliminating", 0.0)
        if not self.problem.active.any():
            return self._drawn_exactly()
        exact, way = self.exact.log_density, way_without_residual(self.problem)
        if len(way) and explains_all(exact(way), exact, self.problem):
            raise perfect_fit()
        box = self._find_box()
        wanted = _MAX_ERROR if self.crossed else _MAX_ERROR_WHERE_CHEAP
        failure = "a polynomial has too many terms"
        for degree in _FINE:
            if number_of_terms(len(box.center), degree) > _MAX_TERMS:
                break
            surrogate = self._fitted(box, degree)
            chains = self._walk(surrogate, box.start, self.plan.sampler.chains, self.plan.sampler.draws)
            points = _flat(chains.theta)
            beyond = np.mean(surrogate.excess(self.exact.coordinates(points)) > 0)
            if beyond > _MAX_BEYOND:
                failure = f"{100 * beyond:.2g}% of the draws left the box of exact values"
                box = self._around(points, np.median(points, axis=0))
                continue
            error = self._error(surrogate, points)
            if error <= wanted:
                self._look_around(chains, points)
                return Interpolated(chains, self._deviations(chains), error, self.exact.count)
            failure = f"the log density between exact values is off by {error:.2g}"
        raise SurrogateFailed(failure)

    def _drawn_exactly(self) -> Interpolated:
        """What one elimination is enough for: no hyperparameter is free."""
        left = self.exact.eliminate(self.exact.coordinates(np.zeros((1, 0))))

        def density(points: Float, noise: Float) -> independence.Awaited:
            found = self.exact.density(points, noise, np.repeat(left, len(points), axis=0))
            return lambda: found

        chains = draw_exactly(density, self.problem, self.plan)
        return Interpolated(chains, self._deviations(chains), 0.0, self.exact.count)

    def _look_around(self, chains: independence.Chains, points: Float) -> None:
        """Raise SurrogateFailed where there is another mode: a box around one does not hold it."""

        def log_density(points: Float) -> Callable[[], Float]:
            values = finite(self.exact.log_density(points))
            return lambda: values

        around = elsewhere(self.problem, _LOOKS, climbing=self.problem.centered)
        known = Proposal.matching(points, np.full(len(points), 1.0 / len(points)))
        values = log_density(around.net)()
        if overlooked(log_density, around, values, known, chains.proposal, chains.log_evidence, self.walls):
            raise SurrogateFailed("the posterior has modes outside the box of exact values")

    def _walk(self, surrogate: Surrogate, at: Float, chains: int, draws: int) -> independence.Chains:
        density, carried = self._through(surrogate), len(self.problem.carried)
        return independence.sample(density, at, self.walls, carried, chains, draws, self.plan.seed, 4)

    def _through(self, surrogate: Surrogate) -> independence.Density:
        """The density with a surrogate in place of the eliminations; beyond its box it falls off steeply."""

        def density(points: Float, noise: Float) -> independence.Awaited:
            at = self.exact.coordinates(points)
            values, drawn = self.exact.density(points, noise, surrogate(at))
            excess = np.minimum(surrogate.excess(at), _FAR)
            return lambda: (values - _BEYOND * excess**2 - _BEYOND * excess, drawn)

        return density

    def _find_box(self) -> _Box:
        start = self.problem.start[self.problem.active]
        if self.crossed:
            # A coarse polynomial finds most posteriors with fewer eliminations than a search for the mode takes; those
            # much narrower than its first box it may miss.
            first = self.exact.coordinates(start[None])[0]
            try:
                return self._settle(self._box(first, np.full(len(first), _FIRST_HALF_WIDTH), start))
            except SurrogateFailed:
                pass
        mode, curvature = find_mode(self.exact.log_density, start, self.walls)
        normal = stream(self.plan.seed, "box").multivariate_normal(mode, np.linalg.inv(curvature), 400)
        inside = np.all((normal > self.walls[0]) & (normal < self.walls[1]), axis=1)
        if np.sum(inside) < 2:
            raise SurrogateFailed("the posterior lies along a wall")
        return self._settle(self._around(normal[inside], mode))

    def _settle(self, box: _Box) -> _Box:
        """A box of some posterior sds around the posterior, found from one that is not far from it."""
        for _ in range(_MAX_ROUNDS):
            surrogate = self._fitted(box, _COARSE)
            points = _flat(self._walk(surrogate, box.start, 4, 400).theta)
            found = self.exact.coordinates(points)
            wanted = self._around(points, np.median(points, axis=0))
            ratio = wanted.half_width / box.half_width
            # Settled when all that was seen lies in a box that is neither much too wide nor too narrow for it.
            settled = np.all((found > box.low) & (found < box.high) & (ratio > 0.5) & (ratio < 1.3))
            box = wanted
            if settled:
                return box
        raise SurrogateFailed("the posterior was not found in a box")

    def _around(self, points: Float, start: Float) -> _Box:
        """The box around the posterior that some points (point, dim) of it suggest."""
        found = self.exact.coordinates(points)
        mean = found.mean(axis=0)
        reach = np.maximum(_SPREAD * found.std(axis=0), _REACH * np.abs(found - mean).max(axis=0))
        return self._box(mean, np.clip(reach, _NARROWEST, _WIDEST), start)

    def _box(self, center: Float, half_width: Float, start: Float) -> _Box:
        return _Box(np.maximum(self.exact.floor, center - half_width), center + half_width, start)

    def _fitted(self, box: _Box, degree: int) -> Surrogate:
        def left(coordinates: Float) -> Float:
            values = self.exact.eliminate(coordinates)
            if not np.all(np.isfinite(values)):
                raise SurrogateFailed("nothing can be eliminated in part of the box")
            return values

        return fit_surrogate(left, box.center, box.half_width, degree)

    def _error(self, surrogate: Surrogate, points: Float) -> float:
        """Largest error of the log density, less its common part, at some of the draws (draw, dim)."""
        chosen = points[:: max(1, len(points) // _CHECKS)][:_CHECKS]
        noise = np.zeros((len(chosen), len(self.problem.carried)))
        between = surrogate(self.exact.coordinates(chosen))
        difference = self.exact.log_density(chosen) - self.exact.density(chosen, noise, between)[0]
        return float(np.abs(difference - np.median(difference)).max())

    def _deviations(self, chains: independence.Chains) -> Float:
        """Draw the other factors' deviations of every draw (chain, draw, dense) given all else."""
        problem, plan, shape = self.problem, self.plan, self.problem.shape
        size = chains.theta.shape[:2]
        if self.crossed is None:
            return np.zeros((*size, 0))
        points = _flat(chains.theta)
        drawn = read(problem, chains.drawn.reshape(len(chains.drawn), -1))
        scalars = drawn.scalars.T
        sigma = scalars[:, shape.sds] * problem.data["sigma_unit"]
        count = len(problem.integrated)
        kept = scalars[:, shape.sds + 1 + shape.mixed :][:, : len(problem.places) - 1 - count]
        data = problem.data
        given = (kept - data["kept_offset"][: kept.shape[1]]) * data["kept_unit"][: kept.shape[1]]
        known = np.concatenate([-drawn.coefficients.T, -given, np.ones((len(points), 1))], axis=1)
        streams = [stream(plan.seed, "dense", chain) for chain in range(size[0])]
        noise = np.concatenate([source.standard_normal((size[1], self.crossed.width)) for source in streams])
        self.monitor.report("drawing levels", 0.7, len(points))
        return self.crossed.draw(self.exact.relative_roots(points), known, sigma, noise).reshape(*size, -1)


def _flat(theta: Float) -> Float:
    chains, draws, dim = theta.shape
    return theta.reshape(chains * draws, dim)
