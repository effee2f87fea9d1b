"""A small data set, a request about it, and a posterior of the right shape around arbitrary values."""

from typing import Any

import numpy as np

from model.results.effects import StoredEffects
from model.results.posterior import FactorPosterior, Posterior
from model.spec import FitPlan

RNG = np.random.default_rng(20_260_101)
COLUMNS: dict[str, list[Any]] = {
    "y": [round(float(v), 3) for v in RNG.normal(10, 2, 24)],
    "x": [round(float(v), 3) for v in RNG.normal(0, 1, 24)],
    "g": [f"g{i % 6}" for i in range(24)],
}
REQUEST: dict[str, Any] = {"formula": "y ~ x + (1 + x | g)", "data": {"columns": COLUMNS}}


def make_posterior(plan: FitPlan, chains: int = 2, draws: int = 50) -> Posterior:
    """A posterior of the right shape around arbitrary values."""
    rng = np.random.default_rng(1)
    encoding = plan.encoding
    design = plan.design()
    factors = {}
    for factor in design.factors:
        k = len(factor.coefficients)
        factors[factor.name] = FactorPosterior(
            sd=np.exp(rng.normal(0, 0.1, (chains, draws, k))),
            correlation_root=np.broadcast_to(np.eye(k), (chains, draws, k, k)).copy(),
            z_moment=factor.z.T @ factor.z / design.rows,
            effects=StoredEffects(rng.normal(0, 1, (chains, draws, len(factor.levels), k))),
        )
    return Posterior(
        encoding=encoding,
        family=plan.family,
        method=plan.method,
        seed=plan.seed,
        population=rng.normal(0, 1, (chains, draws, len(encoding.coefficients))),
        parameters={name: np.exp(rng.normal(0, 0.1, (chains, draws))) for name in plan.family.parameters},
        factors=factors,
        x_mean=design.x.mean(axis=0),
        x_covariance=np.cov(design.x, rowvar=False).reshape(design.x.shape[1], -1),
        statistics={"divergences": 0},
    )
