"""A proposal for posteriors of no simple shape: a mixture of t distributions, fitted to weighted points.

Where an sd may be zero its correlations are free there and bound elsewhere: a funnel, which one location and scatter do
not describe. The method is that of population Monte Carlo (Cappé et al. 2008).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from model.frame.design import Float
from worker.samplers.proposal import Proposal

_MOST_COMPONENTS = 6
_POINTS_PER_PARAMETER = 5
"""Equally weighted points that a component needs for each number of its location and scatter."""
_RESAMPLED = 1500
_ITERATIONS = 20
_LEAST_VARIANCE = 1e-3
"""Of a component, in units of the whole's: none collapses onto a point."""
_DF = 8.0
_WIDENED = 1.1
_DEFENSIVE = 0.1
"""Share of the single proposal: it reaches tails in which the mixture saw no points (Hesterberg 1995)."""


@dataclass(frozen=True, slots=True)
class Mixture:
    """Components of one number of degrees of freedom, and a single proposal beside them."""

    single: Proposal
    shares: Float  # (component,), those of all but the single one
    centers: Float  # (component, dim)
    roots: Float  # (component, dim, dim), lower triangles

    @property
    def root(self) -> Float:
        """Root of the scatter of the whole (dim, dim)."""
        return self.single.root

    def draw(self, count: int, sources: Sequence[np.random.Generator]) -> tuple[Float, Callable[[], Float]]:
        """Draw points (source, dim, point), `count` of each source; what is given beside them computes their log
        densities (source, point)."""
        d = self.centers.shape[1]
        points = np.empty((len(sources), count, d))
        for own, source in zip(points, sources, strict=True):
            component = source.choice(len(self.shares), count, p=self.shares)
            scale = np.sqrt(_DF / 2 / source.standard_gamma(_DF / 2, count))
            normal = source.standard_normal((count, d)) * scale[:, None]
            own[:] = self.centers[component] + np.einsum("nij,nj->ni", self.roots[component], normal)
            alone = source.random(count) < _DEFENSIVE
            own[alone] = self.single.draw(int(alone.sum()), [source])[0][0].T
        return np.swapaxes(points, 1, 2), lambda: self.log_density(points.reshape(-1, d)).reshape(-1, count)

    def log_density(self, points: Float) -> Float:
        """Log density (point,) at points (point, dim)."""
        d = points.shape[1]
        squared, log_volume = _distances(points, self.centers, self.roots)
        constant = gammaln((_DF + d) / 2) - gammaln(_DF / 2) - d / 2 * np.log(_DF * np.pi)
        logs = np.log(self.shares * (1 - _DEFENSIVE))[:, None] + constant - log_volume[:, None]
        logs = logs - (_DF + d) / 2 * np.log1p(squared / _DF)
        return _log_sum(np.vstack([logs, np.log(_DEFENSIVE) + self.single.log_density(points)]))


def fit_mixture(
    single: Proposal, points: Float, weights: Float, source: np.random.Generator
) -> Mixture | None:
    """Fit by expectation maximization to weighted points (point, dim), weights summing to one; None where they say too
    little."""
    d = points.shape[1]
    needed = _POINTS_PER_PARAMETER * d * (d + 3) / 2
    components = int(min(_MOST_COMPONENTS, 1.0 / np.sum(weights**2) / needed))
    if components < 2:
        return None
    # Systematic resampling, so that EM meets points of equal weight, and no more of them than it needs.
    place = (np.arange(_RESAMPLED) + source.random()) / _RESAMPLED
    chosen = np.minimum(np.searchsorted(np.cumsum(weights), place), len(weights) - 1)
    mean, root = points[chosen].mean(axis=0), single.root
    z = np.linalg.solve(root, (points[chosen] - mean).T).T
    centers = z[source.choice(_RESAMPLED, components, replace=False)]
    covariances = np.tile(np.eye(d) / 2, (components, 1, 1))
    shares = np.full(components, 1.0 / components)
    for _ in range(_ITERATIONS):
        squared, log_volume = _distances(
            z, centers, np.asarray(np.linalg.cholesky(covariances), dtype=np.float64)
        )
        logs = np.log(shares)[:, None] - log_volume[:, None] - squared / 2
        belongs = np.exp(logs - _log_sum(logs))
        size = belongs.sum(axis=1) + 1e-9
        shares, centers = size / size.sum(), belongs @ z / size[:, None]
        spread = z - centers[:, None]
        covariances = np.einsum("kn,kni,knj->kij", belongs, spread, spread, optimize=True)
        covariances = covariances / size[:, None, None] + _LEAST_VARIANCE * np.eye(d)
    return Mixture(single, shares, mean + centers @ root.T, _WIDENED * root @ np.linalg.cholesky(covariances))


def _distances(points: Float, centers: Float, roots: Float) -> tuple[Float, Float]:
    """Squared distances (component, point) in units of each component's scatter, and the log volumes (component,)."""
    inverse = np.linalg.inv(roots)
    along = (points - centers[:, None]) @ np.swapaxes(inverse, -1, -2)
    diagonal = np.diagonal(roots, axis1=-2, axis2=-1)
    return (along * along).sum(axis=-1), np.log(diagonal).sum(axis=-1)


def _log_sum(logs: Float) -> Float:
    highest = logs.max(axis=0)
    return np.asarray(highest + np.log(np.exp(logs - highest).sum(axis=0)))
