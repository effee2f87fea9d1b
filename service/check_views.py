"""How checks look to a client: what the model computes, in the words of the contract."""

from dataclasses import asdict
from typing import Any

import numpy as np

from model.criticism.influence import LevelInfluence, influential_levels
from model.criticism.loo import Loo
from model.criticism.predictive import PredictiveCheck, Statistic
from model.criticism.training import row_numbers
from model.frame.design import Design, FactorDesign
from model.frame.learnt import Encoding
from model.results.factor_levels import label


def loo_view(found: Loo, encoding: Encoding, design: Design, levels: int, pointwise: bool) -> dict[str, Any]:
    """Describe leave-one-out estimates with the first `levels` influential levels of each factor."""
    rows = None
    if pointwise:
        rows = {
            "row": row_numbers(encoding)[found.sampled],
            "elpd_loo": found.elpd,
            "p_loo": found.p_loo,
            "pareto_k": found.pareto_k,
        }
    return {
        "rows": found.rows,
        "left_out": len(found.sampled),
        "draws": found.draws,
        "elpd_loo": asdict(found.elpd_total),
        "p_loo": asdict(found.p_loo_total),
        "looic": asdict(found.elpd_total.scaled(-2.0)),
        "mcse_elpd_loo": found.mcse_total,
        "pareto_k_limit": found.k_limit,
        "pareto_k_max": found.pareto_k.max(),
        "unreliable": int(found.unreliable.sum()),
        "pointwise": rows,
        "levels": {
            factor.name: [_influence(one, factor) for one in influential_levels(found, factor, levels)]
            for factor in design.factors
        },
    }


def _influence(one: LevelInfluence, factor: FactorDesign) -> dict[str, Any]:
    level = factor.levels[one.level]
    return {
        "level": label(level),
        "columns": dict(zip(factor.columns, level, strict=True)),
        "rows": one.rows,
        "unreliable": one.unreliable,
        "elpd_loo": one.elpd,
        "p_loo": one.p_loo,
        "pareto_k": one.pareto_k,
    }


def predictive_view(check: PredictiveCheck, response: str) -> dict[str, Any]:
    """Describe posterior predictive checks of a response."""
    tail = (1.0 - check.prob) / 2.0
    return {
        "response": response,
        "rows": check.rows,
        "replications": check.replications,
        # JavaScript would round it.
        "seed": str(check.seed),
        "prob": check.prob,
        "statistics": [_statistic(statistic, tail) for statistic in check.statistics],
        "density": check.density and asdict(check.density),
        "distribution": check.distribution and asdict(check.distribution),
        "bars": check.bars and asdict(check.bars),
    }


def _statistic(statistic: Statistic, tail: float) -> dict[str, Any]:
    lower, upper = np.quantile(statistic.replicated, [tail, 1.0 - tail])
    return {
        "name": statistic.name,
        "observed": statistic.observed,
        "mean": statistic.replicated.mean(),
        "sd": statistic.replicated.std(),
        "lower": lower,
        "upper": upper,
        "p_value": statistic.p_value,
        "replicated": statistic.replicated,
    }
