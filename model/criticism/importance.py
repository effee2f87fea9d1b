"""A row left out by importance sampling: the draws of the posterior, weighted as if it had not seen the row.

The weights are Pareto smoothed by `arviz_stats` (Vehtari et al. 2024); what is made of them is as R's `loo` does.
"""

import numpy as np

from model.frame.design import Float
from model.results.convergence import FEWEST_DRAWS, effective_sizes

_FEWEST_SMOOTHED = 25
"""With fewer draws there are less than five in the tail, too few for its shape."""


def leave_out(log_likelihood: Float) -> Float:
    """elpd, p_loo, k-hat and the Monte Carlo error of elpd of each row, (4, row), of log likelihoods
    (row, chain, draw).

    k-hat is zero where the largest weights are all the same, and infinite where no Pareto distribution fits them.
    """
    flat, efficiencies = log_likelihood.reshape(len(log_likelihood), -1), _relative_efficiency(log_likelihood)
    return np.array([_leave_out(*row) for row in zip(flat, efficiencies.tolist(), strict=True)]).T


def _relative_efficiency(log_likelihood: Float) -> Float:
    """Effective draws of each row's likelihood for each draw, (row,), of log likelihoods (row, chain, draw)."""
    rows, chains, draws = log_likelihood.shape
    if draws < 2 * FEWEST_DRAWS:
        return np.ones(rows)
    likelihood = np.exp(log_likelihood - log_likelihood.max(axis=(1, 2), keepdims=True))
    half = draws // 2
    halves = np.concatenate([likelihood[:, :, :half], likelihood[:, :, -half:]], axis=1)
    sizes = effective_sizes(halves)
    return np.asarray(np.where(np.isfinite(sizes), sizes / (chains * draws), 1.0))


def _leave_out(log_likelihood: Float, efficiency: float) -> tuple[float, float, float, float]:
    """elpd, p_loo, k-hat and the Monte Carlo error of elpd of one row, from its log likelihoods (draw,)."""
    log_weights, k = _smoothed(log_likelihood, efficiency)
    elpd = _log_sum(log_weights + log_likelihood)
    seen = _log_sum(log_likelihood) - np.log(len(log_likelihood))
    # Of the density by the delta method, relative to it; of its logarithm as if it were lognormal, as in `loo`.
    variance = np.sum((np.exp(log_weights + log_likelihood - elpd) - np.exp(log_weights)) ** 2) / efficiency
    return elpd, seen - elpd, k, float(np.sqrt(np.log1p(variance)))


def _smoothed(log_likelihood: Float, efficiency: float) -> tuple[Float, float]:
    """Normalized log importance weights (draw,) of the posterior without the row, and their k-hat."""
    # Imported late, as in `diagnostics`.
    from arviz_stats.base.array import array_stats as az

    raw = -log_likelihood - _log_sum(-log_likelihood)
    if len(raw) < _FEWEST_SMOOTHED:
        return raw, np.inf
    try:
        # Weights that differ by more than doubles can are not smoothed: nothing is finite then.
        with np.errstate(all="ignore"):
            smoothed, k = az.psislw(log_likelihood, r_eff=efficiency)
    except ValueError:
        # The largest weights are all the same: there is no tail to smooth.
        return raw, 0.0
    return (smoothed, float(k)) if np.isfinite(k) and np.isfinite(smoothed).all() else (raw, np.inf)


def _log_sum(values: Float) -> float:
    """Logarithm of the sum of exponentials."""
    largest = float(values.max())
    return largest + float(np.log(np.exp(values - largest).sum()))
