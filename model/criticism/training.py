"""The linear predictors of the training rows under every draw, some rows at a time.

An array of all draws by all rows never exists, and the deviations of each level are drawn once.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from model.frame.design import Design, FactorDesign, Float
from model.frame.learnt import Encoding
from model.results.posterior import Posterior

_NUMBERS = 1 << 20
"""Of an array of rows by draws that is held at once."""


def training_rows(
    posterior: Posterior, design: Design, rows: NDArray[np.intp]
) -> Iterator[tuple[NDArray[np.intp], Design, Float]]:
    """Give `rows` in pieces: their numbers, their design, and their linear predictors (row, draw) with group effects.

    The draws are those of all chains, one chain after the other. The rows come ordered by the levels of the largest
    factor.
    """
    largest = max(design.factors, key=lambda factor: len(factor.levels), default=None)
    if largest is not None:
        rows = rows[np.argsort(largest.index[rows], kind="stable")]
    draws = posterior.chains * posterior.draws
    population = posterior.population.reshape(draws, -1).T
    step = max(1, _NUMBERS // draws)
    for start in range(0, len(rows), step):
        some = rows[start : start + step]
        part = design.take(some)
        eta = part.x @ population + part.offset[:, None]
        for factor in part.factors:
            _add_group_effects(eta, posterior, factor)
        yield some, part, eta


def row_numbers(encoding: Encoding) -> NDArray[np.intp]:
    """The numbers (row,), from 0, of the rows that a fit uses, in its data as they were sent."""
    return np.delete(np.arange(encoding.rows + len(encoding.dropped)), list(encoding.dropped))


def _add_group_effects(eta: Float, posterior: Posterior, factor: FactorDesign) -> None:
    """Add z'u of one factor to linear predictors (row, draw), in place."""
    used, place = np.unique(factor.index, return_inverse=True)
    deviations = np.stack(posterior.levels[factor.name].draws(used.tolist()))  # (level, coef, draw)
    for j, z in enumerate(factor.z.T):
        eta += z[:, None] * deviations[place, j]
