"""Leave-one-out cross-validation from the draws of one fit: Pareto smoothed importance sampling (Vehtari, Gelman and
Gabry 2017; Vehtari et al. 2024), conditional on the group-level effects as `brms::loo` is.

The figures are those of R's `loo`; where there are very many rows, some are left out and the sums are estimated.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.criticism.importance import leave_out
from model.criticism.pointwise import pointwise
from model.errors import Notice
from model.frame.design import Design, Float
from model.results.posterior import Posterior
from model.subsample import Total, sample_rows, total

MOST_ROWS = 10_000
"""Of more rows a sample is left out, and the sums are estimated from it."""
MOST_DRAWS = 8_000
"""Of a longer posterior evenly spaced draws are used: more would hardly change the estimates."""
_ROUGH_DRAWS = 50
"""Draws from which the density of each row is roughly known, where only a sample of the rows is left out."""


@dataclass(frozen=True)
class Loo:
    """The leave-one-out estimates of each row that was left out, (sampled row,), and their sums over all rows.

    `elpd` is the log density or probability of the row when it is predicted from all others, `p_loo` how much is lost
    against a prediction that has seen it, `pareto_k` the shape of the tail of the importance weights (infinite where no
    Pareto distribution has their shape) and `mcse` the Monte Carlo standard error of `elpd`. `rough` and `rough_p`
    (row,) are near the elpd and p_loo of every row, and are they where all are left out. `draws` are all that were
    used.
    """

    sampled: NDArray[np.intp]
    elpd: Float
    p_loo: Float
    pareto_k: Float
    mcse: Float
    rough: Float
    rough_p: Float
    draws: int

    @property
    def rows(self) -> int:
        """Number of rows, left out or not."""
        return len(self.rough)

    @property
    def nbytes(self) -> int:
        """The size of all arrays."""
        parts = (self.sampled, self.elpd, self.p_loo, self.pareto_k, self.mcse, self.rough, self.rough_p)
        return sum(array.nbytes for array in parts)

    @cached_property
    def elpd_total(self) -> Total:
        """Expected log pointwise predictive density."""
        return total(self.elpd, self.rough, self.sampled)

    @cached_property
    def p_loo_total(self) -> Total:
        """Effective number of parameters."""
        return total(self.p_loo, self.rough_p, self.sampled)

    @property
    def mcse_total(self) -> float | None:
        """Monte Carlo standard error of the sum; None where some weights are too heavy-tailed to have one."""
        if self.unreliable.any():
            return None
        return float(np.sqrt(np.sum(self.mcse**2)) * self.rows / len(self.sampled))

    @property
    def k_limit(self) -> float:
        """The largest k-hat at which so many draws are enough (Vehtari et al. 2024, section 3.2.4)."""
        return min(1.0 - 1.0 / float(np.log10(max(self.draws, 2))), 0.7)

    @cached_property
    def unreliable(self) -> NDArray[np.bool_]:
        """Rows (sampled row,) whose importance weights say too little, so that their estimates are too good."""
        return self.pareto_k > self.k_limit

    @property
    def notices(self) -> tuple[Notice, ...]:
        """What a reader of the estimates should know."""
        found = []
        if len(self.sampled) < self.rows:
            message = f"{len(self.sampled)} of {self.rows} rows were left out, and the sums are estimated from these."
            found.append(Notice("loo_subsample", message, "info"))
        if count := int(self.unreliable.sum()):
            message = (
                f"k-hat is above {self.k_limit:.2f} in {count} of {len(self.sampled)} rows: without such a row the "
                "posterior is another, and the leave-one-out density of the row is too optimistic."
            )
            advice = "Look at these rows; fit anew without them, or with a family of heavier tails."
            found.append(Notice("unreliable_loo", message, "warning", (), advice))
        return tuple(found)


def loo(posterior: Posterior, design: Design, most_rows: int = MOST_ROWS) -> Loo:
    """Leave each row of the training data out in turn, or a sample of them, without fitting anew.

    The design has the training response.
    """
    used = posterior.thinned(MOST_DRAWS)
    sampled = sample_rows(design.rows, most_rows)
    figures = np.empty((4, len(sampled)))
    for rows, log_likelihood in pointwise(used, design, sampled):
        by_chain = log_likelihood.reshape(len(rows), used.chains, used.draws)
        figures[:, np.searchsorted(sampled, rows)] = leave_out(by_chain)
    elpd, p_loo, pareto_k, mcse = figures
    rough = (elpd, p_loo) if len(sampled) == design.rows else _rough(posterior, design)
    return Loo(sampled, elpd, p_loo, pareto_k, mcse, *rough, used.chains * used.draws)


def _rough(posterior: Posterior, design: Design) -> tuple[Float, Float]:
    """About the elpd and p_loo of each row, (row,): those of WAIC (Watanabe 2010), from a few draws."""
    elpd, p_loo = np.empty((2, design.rows))
    few = posterior.thinned(_ROUGH_DRAWS)
    for rows, log_likelihood in pointwise(few, design, np.arange(design.rows)):
        largest = log_likelihood.max(axis=1)
        seen = largest + np.log(np.exp(log_likelihood - largest[:, None]).mean(axis=1))
        p_loo[rows] = log_likelihood.var(axis=1)
        elpd[rows] = seen - p_loo[rows]
    return elpd, p_loo
