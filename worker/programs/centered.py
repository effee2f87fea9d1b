"""What priors that the user puts on sds and correlations say of those of centered deviations.

With u = B v of a block of k coefficients, B unit upper triangular, the covariance matrices are B Phi_v B' and Phi_v: a
map of unit Jacobian. Since |d Phi / d (sds, R)| = 2^k prod sd_i^k and det R = det Phi / prod sd_i^2, a density p of the
user's sds and an LKJ(eta) density of their correlations become, in the sds s_v and correlations R_v of v,

    p(s_u) LKJ(R_v; eta) prod (s_v / s_u)^(k + 2 (eta - 1)).
"""

from typing import Any, NamedTuple

import jax.numpy as jnp
import numpy as np
from jax import Array

from model.centering import prior_row
from model.frame.design import Float
from worker.programs.priors import beside


class UsersSds(NamedTuple):
    """How the sds of a factor's coefficients in the user's coordinates follow from centered ones, in the program's
    order."""

    matrix: Any  # (coef, coef), B
    others: Any
    """Whether a user's sd is another than the centered one (coef,); where it is not, nothing is computed of it."""
    lower: Any
    """Where the prior of such an sd ends (coef,); the centered ones know no other end than zero."""
    upper: Any

    @classmethod
    def of(cls, matrix: Float, bounds: list[tuple[float, float]]) -> "UsersSds":
        """From the matrix and the interval of each prior."""
        lower, upper = np.array(bounds, dtype=float).reshape(-1, 2).T
        others = prior_row(matrix)
        return cls(matrix, others, np.where(others, lower, -np.inf), np.where(others, upper, np.inf))


def users_sds(
    sds: Array, root: list[list[Any]], blocks: tuple[int, ...], eta: Array, of: UsersSds
) -> tuple[Array, Array]:
    """The user's sds (coef, ...), and the log (...) of what the change of coordinates multiplies their prior by.

    `sds` (coef, ...) and `root`, a nested list of arrays (...), are those of the centered deviations. Beyond the ends
    of a prior the log is minus infinity.
    """
    found, log_slope = [], jnp.zeros(sds.shape[1:])
    start = 0
    for block in blocks:
        own = range(start, start + block)
        start += block
        for i in own:
            if block == 1:
                found.append(sds[i])
                continue
            # Row i of B diag(sds) root, whose length is the user's sd.
            row = [sum(of.matrix[i, m] * sds[m] * root[m][j] for m in own if m >= max(i, j)) for j in own]
            square = jnp.where(of.others[i], sum(entry * entry for entry in row), 1.0)
            size = jnp.sqrt(jnp.maximum(square, 1e-300))
            ratio = jnp.log(jnp.maximum(sds[i], 1e-300)) - jnp.log(size)
            log_slope += jnp.where(of.others[i], (block + 2.0 * (eta - 1.0)) * ratio, 0.0)
            found.append(jnp.where(of.others[i], size, sds[i]))
    users = jnp.stack(found)
    inside = (users > beside(of.lower, users)) & (users < beside(of.upper, users))
    return users, log_slope + jnp.where(jnp.all(inside, axis=0), 0.0, -jnp.inf)
