"""Leave-one-out cross-validation from the draws of one fit: Pareto smoothed importance sampling (Vehtari, Gelman and
Gabry 2017; Vehtari et al. 2024), conditional on the group-level effects as `brms::loo` is.

A row of importance ratios is smoothed by `arviz_stats`; what is summed up here is what R's `loo` reports.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.convergence import FEWEST_DRAWS, effective_sizes
from model.design import Design, Float
from model.errors import Notice
from model.pointwise import pointwise
from model.posterior import Posterior

MOST_DRAWS = 8_000
"""Of a longer posterior evenly spaced draws are used: more would hardly change the estimates."""
_FEWEST_DRAWS = 25
"""With fewer there are less than five in the tail, too few for its shape."""


@dataclass(frozen=True)
class Loo:
    """The leave-one-out estimates of each row, (row,), and their sums.

    `elpd` is the log density or probability of the row when it is predicted from all others, `p_loo` how much is lost
    against a prediction that has seen it, `pareto_k` the shape of the tail of the importance weights (infinite where no
    Pareto distribution has their shape) and `mcse` the Monte Carlo standard error of `elpd`. `draws` are all that were
    used.
    """

    elpd: Float
    p_loo: Float
    pareto_k: Float
    mcse: Float
    draws: int

    @property
    def rows(self) -> int:
        """Number of rows."""
        return len(self.elpd)

    @property
    def elpd_loo(self) -> float:
        """Expected log pointwise predictive density: the sum over rows."""
        return float(self.elpd.sum())

    @property
    def se(self) -> float | None:
        """Standard error of `elpd_loo`, as of a sample of rows."""
        return total_error(self.elpd)

    @property
    def p_loo_total(self) -> float:
        """Effective number of parameters."""
        return float(self.p_loo.sum())

    @property
    def mcse_total(self) -> float | None:
        """Monte Carlo standard error of `elpd_loo`; None where some weights are too heavy-tailed to have one."""
        return None if self.unreliable.any() else float(np.sqrt(np.sum(self.mcse**2)))

    @property
    def k_limit(self) -> float:
        """The largest k-hat at which so many draws are enough (Vehtari et al. 2024, section 3.2.4)."""
        return min(1.0 - 1.0 / float(np.log10(max(self.draws, 2))), 0.7)

    @cached_property
    def unreliable(self) -> NDArray[np.bool_]:
        """Rows (row,) whose importance weights say too little, so that their estimates are too good."""
        return self.pareto_k > self.k_limit

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a reader of the estimates should know."""
        if not (count := int(self.unreliable.sum())):
            return ()
        message = (
            f"k-hat is above {self.k_limit:.2f} in {count} of {self.rows} rows: without such a row the posterior is "
            "another, and the leave-one-out density of the row is too optimistic."
        )
        advice = "Look at these rows; fit anew without them, or with a family of heavier tails."
        return (Notice("unreliable_loo", message, "warning", (), advice),)


def loo(posterior: Posterior, design: Design) -> Loo:
    """Leave each row of the training data out in turn, without fitting anew; the design has the response."""
    used = posterior.thinned(MOST_DRAWS)
    elpd, p_loo, pareto_k, mcse = (np.empty(design.rows) for _ in range(4))
    for part in pointwise(used, design, np.arange(design.rows)):
        # Each row's draws side by side: (row, chain, draw).
        log_likelihood = np.ascontiguousarray(np.moveaxis(part.values, 2, 0))
        efficiency = _relative_efficiency(log_likelihood)
        flat = log_likelihood.reshape(len(part.rows), -1)
        for row, values, relative in zip(part.rows, flat, efficiency, strict=True):
            elpd[row], p_loo[row], pareto_k[row], mcse[row] = _leave_out(values, float(relative))
    return Loo(elpd, p_loo, pareto_k, mcse, used.chains * used.draws)


def total_error(values: Float) -> float | None:
    """Standard error of the sum of values (row,) that are a sample; None where there is but one."""
    count = len(values)
    return float(np.sqrt(count) * values.std(ddof=1)) if count > 1 else None


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
    # Of the density by the delta method, of its logarithm as if it were lognormal: as `loo` has it.
    variance = np.sum((np.exp(log_weights) * np.expm1(log_likelihood - elpd)) ** 2) / efficiency
    return elpd, seen - elpd, k, float(np.sqrt(np.log1p(variance)))


def _smoothed(log_likelihood: Float, efficiency: float) -> tuple[Float, float]:
    """Normalized log importance weights (draw,) of the posterior without the row, and their k-hat."""
    # Imported late, as in `diagnostics`.
    from arviz_stats.base.array import array_stats as az

    if len(log_likelihood) >= _FEWEST_DRAWS:
        try:
            log_weights, k = az.psislw(log_likelihood, r_eff=efficiency)
            return log_weights, float(k) if np.isfinite(k) else np.inf
        except ValueError:
            # The largest weights are all the same: there is no tail to smooth.
            return -log_likelihood - _log_sum(-log_likelihood), 0.0
    return -log_likelihood - _log_sum(-log_likelihood), np.inf


def _log_sum(values: Float) -> float:
    """Logarithm of the sum of exponentials."""
    largest = float(values.max())
    return largest + float(np.log(np.exp(values - largest).sum()))
