"""What is reported of a scalar quantity: mean, sd, central interval, and how far its draws can be trusted."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.frame.design import Float
from model.results.convergence import FEWEST_DRAWS, ascending, convergence, sorted_quantile

_ROUNDING = 4 * np.finfo(np.float64).eps
_AT_ONCE = 16
"""Quantities whose draws are judged together: more of them would leave the processor's caches."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What is reported of one scalar quantity; a figure that cannot be computed is None."""

    mean: float
    sd: float
    median: float
    lower: float
    upper: float
    mcse_mean: float | None
    ess_bulk: float | None
    ess_tail: float | None
    r_hat: float | None

    def to_json(self) -> dict[str, float | None]:
        """The estimate under the names that the HTTP contract gives."""
        return {name: getattr(self, name) for name in self.__slots__}


def constant(smallest: Float, largest: Float) -> NDArray[np.bool_]:
    """Whether draws between these are one number but for rounding."""
    size = np.maximum(np.abs(smallest), np.abs(largest))
    with np.errstate(invalid="ignore"):
        return np.asarray(largest - smallest <= _ROUNDING * size)


def estimate(draws: Float, prob: float) -> Estimate:
    """Summarize draws (chain, draw) of one quantity with its central interval of probability `prob`."""
    return estimates(draws[None], prob)[0]


def estimates(draws: Float, prob: float) -> list[Estimate]:
    """Summarize draws (quantity, chain, draw) of many quantities with central intervals of probability `prob`.

    The order of the axes is that in which a quantity's draws lie side by side.
    """
    parts = (draws[start : start + _AT_ONCE] for start in range(0, len(draws), _AT_ONCE))
    return [found for part in parts for found in _some(part, prob)]


def _some(draws: Float, prob: float) -> list[Estimate]:
    count, chains, length = draws.shape
    flat = draws.reshape(count, -1)
    mean = flat.mean(axis=1)
    sd = flat.std(axis=1, ddof=1) if flat.shape[1] > 1 else np.zeros(count)
    # What rounding leaves of the spread of a constant is none.
    still = constant(flat.min(axis=1), flat.max(axis=1))
    mean, sd = np.where(still, flat[:, 0], mean), np.where(still, 0.0, sd)
    varies = np.isfinite(sd) & (sd > 0)
    # Standardized: draws are told apart by digits of their spread, however far from zero they lie, and the estimators
    # take a range below 1e-15, in whatever unit, for a constant.
    z = (flat - np.where(varies, mean, 0.0)[:, None]) / np.where(varies, sd, 1.0)[:, None]
    z_in_order, order = ascending(z)
    in_order = np.take(flat, order)
    tail = (1 - prob) / 2
    lower, median, upper = (sorted_quantile(in_order, p) for p in (tail, 0.5, 1 - tail))
    columns = [mean, sd, median, lower, upper]
    judged = np.full((4, count), np.nan)
    some = varies & (in_order[:, -1] > in_order[:, 0])
    if length >= FEWEST_DRAWS and some.any():
        if not some.all():
            z = z[some]
            z_in_order, order = ascending(z)
        found = convergence(z.reshape(-1, chains, length), z_in_order, order)
        r_hat = found.r_hat if chains > 1 else np.full_like(found.r_hat, np.nan)
        judged[:, some] = sd[some] / np.sqrt(found.ess_mean), found.ess_bulk, found.ess_tail, r_hat
    columns += list(np.where(np.isfinite(judged), judged, np.nan))
    return [
        Estimate(*row[:5], *(None if figure != figure else figure for figure in row[5:]))
        for row in np.stack(columns, axis=1).tolist()
    ]
