"""Posterior predictive checks: the responses beside data sets that the fitted model makes up for the same rows.

What comes is what a plot draws: statistics, densities and distribution functions, or bars where responses are counts.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from model.criticism.curves import Bars, Density, Distribution
from model.criticism.training import training_rows
from model.frame.design import Design, FactorDesign, Float
from model.results.posterior import Posterior
from model.streams import stream

_QUANTILES = {"min": 0.0, "q05": 0.05, "q25": 0.25, "median": 0.5, "q75": 0.75, "q95": 0.95, "max": 1.0}


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
    density = None if counts else Density.of(y, replicated)
    y = np.sort(y)
    replicated.sort(axis=1)
    return PredictiveCheck(
        rows=design.rows,
        replications=replications,
        seed=chosen,
        prob=prob,
        statistics=(*_quantiles(y, replicated), *statistics),
        density=density,
        distribution=None if counts else Distribution.of(y, replicated, prob),
        bars=Bars.of(y, replicated, prob) if counts else None,
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


def _sd(values: Float) -> Float:
    """Standard deviations of the last axis; zero of one value."""
    return np.asarray(values.std(axis=-1, ddof=min(1, values.shape[-1] - 1)))
