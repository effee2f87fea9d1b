"""Small simulated models whose exact answers can be had from dense linear algebra."""

from dataclasses import replace
from typing import Any

import numpy as np

from model.frame.table import Table
from model.priors import PriorStatement
from model.spec import FitPlan, FitSpec, SamplerSettings, prepare

NORMAL = (
    PriorStatement("normal(1, 2)", "Intercept"),
    PriorStatement("normal(0.5, 1.5)", "b"),
    PriorStatement("normal(0, 2)", "sd"),
    PriorStatement("exponential(0.7)", "sigma"),
)


def columns(rows: int = 60, levels: int = 6, seed: int = 1) -> dict[str, Any]:
    """A response with random intercepts and slopes, two covariates, weights, an offset and known standard errors."""
    rng = np.random.default_rng(seed)
    group = np.arange(rows) % levels
    x, w = rng.normal(2, 1, rows), rng.normal(-1, 3, rows)
    u = rng.normal(0, [1.0, 0.5], (levels, 2))
    y = 1 + 0.5 * x - 0.2 * w + u[group, 0] + u[group, 1] * x + rng.normal(0, 0.8, rows)
    return {
        "y": y,
        "x": x,
        "w": w,
        "g": [f"g{i}" for i in group],
        "h": [f"h{i}" for i in rng.integers(0, 4, rows)],
        "off": rng.normal(0, 1, rows),
        "wt": rng.uniform(0.5, 2, rows),
        "err": rng.uniform(0.5, 1.5, rows),
    }


def plan(formula: str, priors: tuple[PriorStatement, ...] = NORMAL, **changes: Any) -> FitPlan:
    """Prepare a formula on the simulated columns; `data` replaces them, `sampler` holds sampler settings."""
    data = changes.pop("data", None) or columns()
    sampler = SamplerSettings(**{"seed": 1, **changes.pop("sampler", {})})
    return prepare(
        replace(FitSpec(formula, Table.from_columns(data), priors=priors, sampler=sampler), **changes)
    )
