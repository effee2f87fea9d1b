"""Hyperparameters far and wide: where to look for parts of a posterior that a search from one start may not see."""

from functools import lru_cache

import numpy as np
from scipy.stats import qmc

from model.frame.design import Float
from worker.padding import CollapsedProblem
from worker.programs.hyper import Transform
from worker.samplers.modes import Elsewhere

_POINTS = 48
_SMALLEST, _LARGEST = 0.01, 10.0
"""Of what is thought of as the size of an sd."""
_SIGMA = np.log(0.02), np.log(1.5)
"""The logarithm of sigma over the sd of the response."""
_MIXING = 0.3, 1.6
"""Cube roots of the precisions of scale mixtures."""
_ELSEWHERE = 1.5
"""Around the start: of partial correlations, where it is their atanh, and of what has no size of its own."""


def elsewhere(problem: CollapsedProblem, points: int = _POINTS, *, climbing: bool) -> Elsewhere:
    """Where a problem's active hyperparameters may have other modes than the one that a search finds first.

    The density is looked at in so many points. A variance may be in one component or in another, so each sd may settle
    at next to nothing or at its usual size: `climbing` begins from both, whatever the points say.
    """
    low, high = _ranges(problem)
    scattered = low + _unit_net(len(low))[:points] * (high - low)
    lower, upper = problem.lower, np.where(np.isfinite(problem.upper), 0.98 * problem.upper, np.inf)
    active, shape = problem.active, problem.shape
    is_sd = climbing & (np.arange(shape.dimension) < shape.sds)
    return Elsewhere(
        net=np.clip(scattered, lower, upper)[:, active],
        little=np.where(is_sd, np.minimum(low, upper), np.nan)[active],
        much=np.where(is_sd, np.minimum(problem.start, upper), np.nan)[active],
        loose=(np.arange(shape.dimension) >= shape.scalars)[active],
    )


def _ranges(problem: CollapsedProblem) -> tuple[Float, Float]:
    """Where each hyperparameter (hyper,) is looked for."""
    low, high = problem.start - _ELSEWHERE, problem.start + _ELSEWHERE
    scalars = problem.data["scalars"]
    for number, transform in enumerate(scalars["transform"]):
        if transform == Transform.HALF:
            # t is asinh(sd / unit): both ends in units, the lower one of the smaller of unit and size.
            size = np.sinh(problem.start[number])
            low[number] = np.arcsinh(_SMALLEST * min(size, 1.0))
            high[number] = np.arcsinh(_LARGEST * size)
        elif transform == Transform.CUBE:
            low[number], high[number] = _MIXING
        elif transform == Transform.POSITIVE and number == problem.shape.sds:
            low[number], high[number] = _SIGMA
    return low, high


@lru_cache
def _unit_net(dim: int) -> Float:
    points = qmc.Sobol(dim, scramble=True, seed=0).random(64)[:_POINTS]
    points.flags.writeable = False
    return np.asarray(points)
