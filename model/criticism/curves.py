"""Responses beside replicated ones as a plot draws them: densities and distribution functions, or bars of counts.

Each is computed on a grid that the responses decide, so that all replicated data sets share it.
"""

from dataclasses import dataclass

import numpy as np
from scipy.ndimage import gaussian_filter1d

from model.frame.design import Float

POINTS = 200
"""Of the grid of densities and distribution functions."""
CURVES = 50
"""Replicated data sets whose own densities are given, at most."""
BARS = 50
"""At most."""
_MARGIN = 0.1
"""The grid goes so far beyond the observed range, as a share of it."""


@dataclass(frozen=True, slots=True)
class Density:
    """Kernel densities at the points of a grid: of the responses and of some replicated data sets."""

    grid: Float  # (point,)
    observed: Float  # (point,)
    replicated: Float  # (curve, point)

    @classmethod
    def of(cls, y: Float, replicated: Float) -> "Density":
        """The densities of responses (row,) and of replicated data sets (replication, row), evenly chosen."""
        edges = _grid(float(y.min()), float(y.max()), POINTS + 1)
        count = min(CURVES, len(replicated))
        chosen = replicated[np.arange(count) * len(replicated) // count]
        curves = np.stack([_smooth(values, edges) for values in chosen])
        return cls((edges[1:] + edges[:-1]) / 2, _smooth(y, edges), curves)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Empirical distribution functions at the points of a grid, the replicated ones by their quantiles there."""

    grid: Float  # (point,)
    observed: Float  # (point,)
    lower: Float  # (point,)
    median: Float  # (point,)
    upper: Float  # (point,)

    @classmethod
    def of(cls, y: Float, replicated: Float, prob: float) -> "Distribution":
        """The distributions of sorted responses (row,) and of sorted replicated data sets (replication, row)."""
        grid = _grid(float(y[0]), float(y[-1]), POINTS)
        observed = np.searchsorted(y, grid, side="right") / len(y)
        of_each = np.stack([np.searchsorted(row, grid, side="right") for row in replicated]) / len(y)
        return cls(grid, observed, *_interval(of_each, prob))


@dataclass(frozen=True, slots=True)
class Bars:
    """How many responses are `first` to `last`, both included; the replicated counts by their quantiles."""

    first: Float  # (bar,)
    last: Float  # (bar,); infinite where the last bar is open
    observed: Float  # (bar,)
    lower: Float  # (bar,)
    median: Float  # (bar,)
    upper: Float  # (bar,)

    @classmethod
    def of(cls, y: Float, replicated: Float, prob: float) -> "Bars":
        """The bars of sorted counts (row,) and of sorted replicated data sets (replication, row)."""
        lowest = min(y[0], replicated[:, 0].min())
        highest = max(y[-1], np.median(replicated[:, -1]))
        width = np.ceil((highest - lowest + 1) / BARS)
        first = np.arange(lowest, highest + 1, width)

        def count(values: Float) -> Float:
            return np.diff(np.searchsorted(values, first, side="left"), append=len(values))

        of_each = np.stack([count(row) for row in replicated])
        last = np.append(first[1:] - 1, first[-1] + width - 1)
        if replicated[:, -1].max() > last[-1]:
            last[-1] = np.inf
        return cls(first, last, count(y), *_interval(of_each, prob))


def _grid(low: float, high: float, points: int) -> Float:
    # Equal responses (of known standard errors) have no range.
    margin = _MARGIN * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, points)


def _smooth(values: Float, edges: Float) -> Float:
    """Gaussian kernel density in cells, with the bandwidth of R's `density` (Silverman 1986, 3.31)."""
    width = edges[1] - edges[0]
    lower, upper = np.quantile(values, [0.25, 0.75])
    sd = float(values.std())
    bandwidth = 0.9 * (min(sd, (upper - lower) / 1.34) or sd) * len(values) ** -0.2
    share = np.histogram(values, edges)[0] / (len(values) * width)
    if not bandwidth:
        return np.asarray(share)
    # Of data that are much wider than the grid nothing is seen of the kernel but that it is flat.
    return np.asarray(gaussian_filter1d(share, min(bandwidth / width, POINTS), mode="constant"))


def _interval(values: Float, prob: float) -> tuple[Float, Float, Float]:
    """Lower end, median and upper end of each column's central interval."""
    tail = (1.0 - prob) / 2.0
    lower, median, upper = np.quantile(values, [tail, 0.5, 1.0 - tail], axis=0)
    return lower, median, upper
