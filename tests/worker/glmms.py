"""Simulated responses of every family with random intercepts and slopes, and the values they were simulated from."""

from typing import Any

import numpy as np

from model.family import find_family
from model.frame.table import Table
from model.priors import PriorStatement
from model.spec import FitPlan, FitSpec, SamplerSettings, prepare

TRUTH = {"b[Intercept]": 0.4, "b[x]": 0.7, "sd[g][Intercept]": 0.8}
OWN = {"sigma": 0.6, "nu": 5.0, "shape": 2.5}
EACH = [
    ("gaussian", "log"),
    ("student", "identity"),
    ("bernoulli", "logit"),
    ("binomial", "cloglog"),
    ("poisson", "log"),
    ("negbinomial", "log"),
]
"""Each family once; that every link has the right likelihood costs no compilation of a sampler."""
PRIORS = (
    PriorStatement("normal(0, 2)", "Intercept"),
    PriorStatement("normal(0, 2)", "b"),
    PriorStatement("normal(0, 2)", "sd"),
)


def columns(family: str, link: str, rows: int = 480, levels: int = 24, seed: int = 5) -> dict[str, Any]:
    """A response y (with trials n, weights and an offset beside it) of `rows` rows in `levels` levels."""
    source, of = np.random.default_rng(seed), find_family(family, link)
    group = np.arange(rows) % levels
    x = source.integers(-2, 3, rows) / 2
    u = TRUTH["sd[g][Intercept]"] * source.standard_normal(levels)
    eta = TRUTH["b[Intercept]"] + TRUTH["b[x]"] * x + u[group]
    n = source.integers(1, 6, rows).astype(float)
    own = {name: np.array(OWN[name]) for name in of.parameters}
    y = of.draw(source, of.inverse_link(eta), own, n if family == "binomial" else None)
    return {"y": y, "x": x, "n": n, "g": [f"g{i:02d}" for i in group], "w": source.uniform(0.5, 2, rows)}


def plan(family: str, link: str, right: str = "x + (1 | g)", data: Any = None, **changes: Any) -> FitPlan:
    """Prepare a model of the simulated columns; other keywords than `left` and `priors` are the sampler's settings."""
    left = changes.pop("left", "y | trials(n)" if family == "binomial" else "y")
    priors = changes.pop("priors", PRIORS)
    sampler = SamplerSettings(**{"method": "nuts", "warmup": 300, "draws": 300, "seed": 3, **changes})
    table = Table.from_columns(data or columns(family, link))
    return prepare(FitSpec(f"{left} ~ {right}", table, family, link, priors, sampler=sampler))
