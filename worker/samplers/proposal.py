"""What the independence sampler proposes: a mixture of split-t distributions around a posterior's bulk."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import gammaln

from model.frame.design import Float

Components = tuple[tuple[float, float], ...]
"""Shares and degrees of freedom of a proposal's components."""
NARROW: Components = ((0.75, 30.0), (0.25, 3.0))
"""The first fits the bulk of a nearly normal posterior, the second reaches its tails."""
WIDE: Components = ((0.5, 8.0), (0.5, 2.0))
"""For a posterior whose tails the narrow one does not reach; it is tried when that one fails its self-check."""
_WIDENED = 1.05
"""A proposal somewhat wider than its target is taken less often, but seldom holds a chain for long where it is thin."""
_MOST_SKEWNESS = 0.7
"""Of what weights tell of it; a split normal can have 0.995 at most."""


@dataclass(frozen=True, slots=True)
class Proposal:
    """A mixture of multivariate split-t distributions (Geweke 1989) with one location, scatter and skewness.

    Around `center` (dim,) lie axes, the columns of `root` (dim, dim); along each the scale is `left` on one side and
    `right` on the other (dim,).
    """

    center: Float
    root: Float
    left: Float
    right: Float
    components: Components = NARROW

    @classmethod
    def symmetric(cls, center: Float, covariance: Float) -> "Proposal":
        """One without skewness."""
        even = np.ones(len(center))
        return cls(center, _root(covariance), even, even)

    @classmethod
    def matching(cls, points: Float, weights: Float) -> "Proposal":
        """One whose mean, scatter and skewness along each axis are those of weighted points (point, dim)."""
        mean = weights @ points
        spread = points - mean
        root = _root((weights[:, None] * spread).T @ spread)
        along = np.linalg.solve(root, spread.T)
        # Not to the power of three, which takes ten times as long.
        skewness = np.clip((along * along * along) @ weights, -_MOST_SKEWNESS, _MOST_SKEWNESS)
        # Of the two-piece normal with variance 1 and right - left = d the skewness is c d (1 + (6 / pi - 2) d^2), and
        # the mean is c d to the right of the center.
        c = np.sqrt(2 / np.pi)
        d = skewness / c
        for _ in range(4):
            d = skewness / c / (1 + (6 / np.pi - 2) * d**2)
        right = (d + np.sqrt(d**2 + 4 * (1 - (1 - 2 / np.pi) * d**2))) / 2
        return cls(mean - root @ (c * d), _WIDENED * root, right - d, right)

    def draw(self, count: int, sources: Sequence[np.random.Generator]) -> tuple[Float, Callable[[], Float]]:
        """Draw points (source, dim, point), `count` of each source; what is given beside them computes their log
        densities (source, point)."""
        shape = len(sources), len(self.center), count
        normal, uniform, mixing = np.empty(shape), np.empty(shape), np.empty((len(sources), 1, count))
        ends = np.cumsum([share for share, _ in self.components])[:-1]
        for number, source in enumerate(sources):
            source.standard_normal(out=normal[number])
            source.random(out=uniform[number])
            component = np.searchsorted(ends, source.random(count))
            for place, (_, df) in enumerate(self.components):
                own = component == place
                gamma = source.standard_gamma(df / 2, int(np.count_nonzero(own)))
                mixing[number, 0, own] = gamma * (2 / df)
        left, right, center = (side[:, None] for side in (self.left, self.right, self.center))
        # The side is taken in proportion to its scale, so that the density has no step at the center.
        scaled = np.abs(normal) * np.where(uniform < right / (left + right), right, -left)
        squared = (normal * normal).sum(axis=1) / mixing[:, 0]
        return self.root @ scaled / np.sqrt(mixing) + center, lambda: self._log_density_at(squared)

    def log_density(self, points: Float) -> Float:
        """Log density (point,) at points (point, dim)."""
        along = np.linalg.solve(self.root, (points - self.center).T)
        sides = np.where(along > 0, self.right[:, None], self.left[:, None])
        return self._log_density_at(((along / sides) ** 2).sum(axis=0))

    def _log_density_at(self, squared: Float) -> Float:
        """Log density at squared distances from the center."""
        d = len(self.center)
        parts = []
        for share, df in self.components:
            constant = np.log(share) + gammaln((df + d) / 2) - gammaln(df / 2) - d / 2 * np.log(df * np.pi)
            parts.append(constant - (df + d) / 2 * np.log(1.0 + squared / df))
        highest = np.maximum.reduce(parts)
        log_volume = np.log(np.diagonal(self.root) * (self.left + self.right) / 2).sum()
        return np.asarray(highest + np.log(sum(np.exp(part - highest) for part in parts)) - log_volume)


def _root(covariance: Float) -> Float:
    symmetric = (covariance + covariance.T) / 2
    scale = np.sqrt(np.maximum(np.diagonal(symmetric), 1e-300))
    correlation = symmetric / np.outer(scale, scale)
    return np.asarray(scale[:, None] * np.linalg.cholesky(correlation + 1e-10 * np.eye(len(scale))))
