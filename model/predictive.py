"""Posterior predictive checks: the responses beside data sets that the fitted model makes up for the same rows.

What comes is what a plot draws: statistics, densities and distribution functions, or bars where responses are counts.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse
from scipy.ndimage import gaussian_filter1d

from model.design import Design, FactorDesign, Float
from model.posterior import Posterior
from model.streams import stream
from model.training import training_rows

POINTS = 200
"""Of the grid of densities and distribution functions."""
CURVES = 50
"""Replicated data sets whose own densities are given."""
BARS = 50
_QUANTILES = {"min": 0.0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1.0}
_MARGIN = 0.1
"""The grid goes so far beyond the observed range, as a share of it."""


@dataclass(frozen=True, slots=True)
class Statistic:
    """One statistic of the responses, and of each replicated data set."""

    name: str
    observed: float
    replicated: Float  # (replication,)

    @property
    def p_value(self) -> float:
        """Posterior predictive p-value: how often the replicated one is larger, equal ones counted half."""
        larger, equal = self.replicated > self.observed, self.replicated == self.observed
        return float(np.mean(larger) + 0.5 * np.mean(equal))


@dataclass(frozen=True, slots=True)
class Density:
    """Kernel densities at the points of a grid: of the responses and of some replicated data sets."""

    grid: Float  # (point,)
    observed: Float  # (point,)
    replicated: Float  # (curve, point)


@dataclass(frozen=True, slots=True)
class Distribution:
    """Empirical distribution functions at the points of a grid, the replicated ones by their quantiles there."""

    grid: Float  # (point,)
    observed: Float  # (point,)
    lower: Float  # (point,)
    median: Float  # (point,)
    upper: Float  # (point,)


@dataclass(frozen=True, slots=True)
class Bars:
    """How many responses are `first` to `last`, both included; the replicated counts by their quantiles."""

    first: Float  # (bar,)
    last: Float  # (bar,); infinite where the last bar is open
    observed: Float  # (bar,)
    lower: Float  # (bar,)
    median: Float  # (bar,)
    upper: Float  # (bar,)


@dataclass(frozen=True, slots=True)
class PredictiveCheck:
    """Responses beside replicated ones: densities and distribution functions, or, for counts, bars."""

    rows: int
    replications: int
    seed: int
    prob: float
    statistics: tuple[Statistic, ...]
    density: Density | None
    distribution: Distribution | None
    bars: Bars | None


def predictive_check(
    posterior: Posterior, design: Design, *, replications: int, prob: float = 0.95, seed: int | None = None
) -> PredictiveCheck:
    """Compare the training responses with `replications` data sets from as many draws, at most all.

    `prob` is that of the central intervals of what is replicated. Without `seed` the fit's own is used.
    """
    assert design.y is not None
    y, counts = design.y, posterior.family.counts
    chosen = posterior.seed if seed is None else seed
    replicated = replicate(posterior, design, replications, chosen)
    statistics = [
        *_moments(y, replicated),
        *(_level_means(factor, y, replicated) for factor in design.factors),
    ]
    if counts:
        statistics.append(Statistic("zeros", float(np.mean(y == 0)), np.mean(replicated == 0, axis=1)))
    density = None if counts else _density(y, replicated[:CURVES])
    y = np.sort(y)
    replicated.sort(axis=1)
    return PredictiveCheck(
        rows=design.rows,
        replications=replications,
        seed=chosen,
        prob=prob,
        statistics=(*_quantiles(y, replicated), *statistics),
        density=density,
        distribution=None if counts else _distribution(y, replicated, prob),
        bars=_bars(y, replicated, prob) if counts else None,
    )


def replicate(posterior: Posterior, design: Design, count: int, seed: int) -> Float:
    """New responses (replication, row) of the training rows: each from one draw, given the group-level effects.

    Like brms's, they have the standard errors that a formula gives and know nothing of weights.
    """
    used = posterior.spread(count)
    sampled = {name: draws.ravel() for name, draws in used.parameters.items()}
    replicated = np.empty((count, design.rows))
    for rows, part, eta in training_rows(used, design, np.arange(design.rows)):
        known = {} if part.standard_error is None else {"sigma": part.standard_error[:, None]}
        trials = None if part.trials is None else part.trials[:, None]
        source = stream(seed, "replicate", int(rows[0]))
        mean = used.family.inverse_link(eta)
        replicated[:, rows] = used.family.draw(source, mean, known | sampled, trials).T
    return replicated


def _moments(y: Float, replicated: Float) -> tuple[Statistic, Statistic]:
    return (
        Statistic("mean", float(y.mean()), replicated.mean(axis=1)),
        Statistic("sd", float(_sd(y)), _sd(replicated)),
    )


def _level_means(factor: FactorDesign, y: Float, replicated: Float) -> Statistic:
    """How far the means of a factor's levels lie apart."""
    rows = np.bincount(factor.index, minlength=len(factor.levels))
    used = np.flatnonzero(rows)
    entries = (1.0 / rows[factor.index], (np.searchsorted(used, factor.index), np.arange(len(y))))
    average = sparse.csr_array(entries, shape=(len(used), len(y)))
    return Statistic(f"sd_of_means[{factor.name}]", float(_sd(average @ y)), _sd((average @ replicated.T).T))


def _quantiles(observed: Float, replicated: Float) -> tuple[Statistic, ...]:
    """Of sorted responses."""
    own = np.quantile(observed, list(_QUANTILES.values()))
    of_each = np.quantile(replicated, list(_QUANTILES.values()), axis=1)
    return tuple(
        Statistic(name, float(value), values)
        for name, value, values in zip(_QUANTILES, own, of_each, strict=True)
    )


def _density(y: Float, replicated: Float) -> Density:
    edges = _grid(float(y.min()), float(y.max()), POINTS + 1)
    curves = np.stack([_smooth(values, edges) for values in replicated])
    return Density((edges[1:] + edges[:-1]) / 2, _smooth(y, edges), curves)


def _smooth(values: Float, edges: Float) -> Float:
    """Gaussian kernel density in cells, with the bandwidth of R's `density` (Silverman 1986, 3.31)."""
    width = edges[1] - edges[0]
    lower, upper = np.quantile(values, [0.25, 0.75])
    spread = min(float(_sd(values)), (upper - lower) / 1.34) or float(_sd(values))
    bandwidth = 0.9 * spread * len(values) ** -0.2
    share = np.histogram(values, edges)[0] / (len(values) * width)
    # Equal values have no bandwidth.
    return (
        share if not bandwidth else np.asarray(gaussian_filter1d(share, bandwidth / width, mode="constant"))
    )


def _grid(low: float, high: float, points: int) -> Float:
    # Equal responses (of known standard errors) have no range.
    margin = _MARGIN * (high - low) or 1.0
    return np.linspace(low - margin, high + margin, points)


def _distribution(observed: Float, replicated: Float, prob: float) -> Distribution:
    """Of sorted responses."""
    grid = _grid(float(observed[0]), float(observed[-1]), POINTS)
    own = np.searchsorted(observed, grid, side="right") / len(observed)
    of_each = np.stack([np.searchsorted(row, grid, side="right") for row in replicated]) / len(observed)
    return Distribution(grid, own, *_interval(of_each, prob))


def _bars(observed: Float, replicated: Float, prob: float) -> Bars:
    """Of sorted counts."""
    lowest = min(observed[0], replicated[:, 0].min())
    highest = max(observed[-1], np.quantile(replicated[:, -1], 0.5))
    width = np.ceil((highest - lowest + 1) / BARS)
    first = np.arange(lowest, highest + 1, width)

    def count(values: Float) -> Float:
        return np.diff(np.searchsorted(values, first, side="left"), append=len(values))

    of_each = np.stack([count(row) for row in replicated])
    last = np.append(first[1:] - 1, first[-1] + width - 1)
    if replicated[:, -1].max() > last[-1]:
        last[-1] = np.inf
    return Bars(first, last, count(observed), *_interval(of_each, prob))


def _interval(values: Float, prob: float) -> tuple[Float, Float, Float]:
    """Lower end, median and upper end of each column's central interval."""
    tail = (1.0 - prob) / 2.0
    lower, median, upper = np.quantile(values, [tail, 0.5, 1.0 - tail], axis=0)
    return lower, median, upper


def _sd(values: Float) -> Float:
    """Standard deviations of the last axis; zero of one value."""
    return np.asarray(values.std(axis=-1, ddof=min(1, values.shape[-1] - 1)))
