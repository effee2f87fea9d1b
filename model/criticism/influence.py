"""Which levels of a grouping factor move the posterior most, by the rows of theirs that were left out.

A level counts by the effective number of parameters that its rows use: how much worse they are predicted unseen.
"""

from dataclasses import dataclass

import numpy as np

from model.criticism.loo import Loo
from model.frame.design import FactorDesign


@dataclass(frozen=True, slots=True)
class LevelInfluence:
    """What the rows of one level say of it; `p_loo` is the effective number of parameters that they use."""

    level: int
    rows: int
    unreliable: int
    elpd: float
    p_loo: float
    pareto_k: float  # the largest


def influential_levels(result: Loo, factor: FactorDesign, most: int) -> tuple[LevelInfluence, ...]:
    """The levels of a factor whose rows move the posterior most: those of the largest `p_loo` come first."""
    index = factor.index[result.sampled]
    rows, unreliable, elpd, p_loo = (
        np.bincount(index, weights, len(factor.levels))
        for weights in (None, result.unreliable, result.elpd, result.p_loo)
    )
    pareto_k = np.full(len(factor.levels), -np.inf)
    np.maximum.at(pareto_k, index, result.pareto_k)
    present = np.flatnonzero(rows)
    first = present[np.argsort(-p_loo[present], kind="stable")][:most]
    return tuple(
        LevelInfluence(
            int(level),
            int(rows[level]),
            int(unreliable[level]),
            float(elpd[level]),
            float(p_loo[level]),
            float(pareto_k[level]),
        )
        for level in first
    )
