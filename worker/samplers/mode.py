"""The mode of a vectorized log density, and its curvature there, without a derivative of it.

Damped Newton steps on finite differences: each step is one batch of points.
"""

from collections.abc import Callable, Generator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from model.errors import RanefError
from model.frame.design import Float

LogDensity = Callable[[Float], Float]
"""Log density (vector,) at points (vector, dim), -inf or NaN where there is none."""
Walls = tuple[Float, Float]
"""Lower and upper bound of each coordinate (dim,); a density must be computable beyond them, where it does not
count."""
NOTHING = -1e250
"""Stands for a log density of minus infinity: differences of it are still numbers."""
_MAX_NEWTON = 40
_LENGTHS = np.array([2.0, 1.0, 0.5, 0.25, 0.1, 0.03, 0.01, 0.001])
"""Of the steps that are tried, as multiples of Newton's."""
_FULL = 1
AHEAD, FAR_AHEAD = (1.0,), (1.0, 0.5, 0.25)
"""Lengths of steps whose derivatives come with the values along the way: as most steps end so, or where one more
evaluation costs little beside one more batch."""
_NEGLIGIBLE_GAIN = 0.5
_SETTLED = 0.1
"""Twice what a Newton step may still promise: it is taken then, and not looked at. What is left is a small part of the
density's own width."""


class NoMode(RanefError):
    """The search for the mode ended nowhere: the density is flat, unbounded, or not finite."""


def find_mode(
    log_density: LogDensity, start: Float, walls: Walls, ahead: tuple[float, ...] = AHEAD
) -> tuple[Float, Float]:
    """Mode (dim,) and negative Hessian (dim, dim) there, by damped Newton steps on finite differences, a batch each.

    `ahead` are AHEAD or FAR_AHEAD. Raises NoMode.
    """
    climbing = climb(start, walls, ahead)
    points = next(climbing)
    while True:
        try:
            points = climbing.send(finite(log_density(points)))
        except StopIteration as end:
            found: tuple[Float, Float] = end.value
            return found


Climb = Generator[Float, Float, tuple[Float, Float]]
"""Asks for the log density (point,) at points (point, dim), until it has a mode (dim,) and the negative Hessian (dim,
dim) there. But for the first time, the second point is where the next step leads by itself."""


def climb(start: Float, walls: Walls, ahead: tuple[float, ...]) -> Climb:
    """The search for a mode, a question at a time, so that several can be asked together.

    Differences span a fraction of the density's own width, so they tell its shape rather than its rounding errors.
    Beyond a wall the density is its own mirror image, so a step that crosses one is mirrored back.
    """
    x, width = start.copy(), np.full(len(start), 1e-2)
    shape = _read_stencil((yield _stencil(x, width)), width)
    for _ in range(_MAX_NEWTON):
        values, vectors = np.linalg.eigh(shape.curvature)
        # Directions that curve upwards are walked downhill as if they curved down as much; none is trusted too flat.
        floor = max(1e-3, 1e-10 * float(np.abs(values).max(initial=0)))
        step = vectors @ ((vectors.T @ shape.gradient) / np.maximum(np.abs(values), floor))
        longest = float(np.abs(step).max(initial=0.0))
        step *= min(1.0, 4.0 / longest) if longest > 0 else 1.0
        if float(shape.gradient @ step) < _SETTLED and np.all(values > floor):
            x = _mirror(x + step, walls)
            break
        width = np.clip(0.3 / np.sqrt(np.maximum(np.abs(np.diagonal(shape.curvature)), 1e-2)), 1e-7, 0.3)
        stencils = [_stencil(x + length * step, width) for length in ahead]
        found = yield np.concatenate([x + _LENGTHS[:, None] * step, *stencils])
        along, *others = np.split(found, len(_LENGTHS) + len(stencils[0]) * np.arange(len(ahead)))
        best = int(np.argmax(along))
        # Near the mode nothing is to be gained from a length that is a little better than Newton's own.
        if along[_FULL] > shape.value and along[best] - along[_FULL] < _NEGLIGIBLE_GAIN:
            best = _FULL
        stuck = along[best] <= shape.value + 1e-9
        known = None
        if along[best] > shape.value:
            reached = x + _LENGTHS[best] * step
            x = _mirror(reached, walls)
            if _LENGTHS[best] in ahead and np.array_equal(x, reached):
                known = others[ahead.index(_LENGTHS[best])]
        if known is None:
            known = yield _stencil(x, width)
        shape = _read_stencil(known, width)
        if stuck:
            break
    value, curvature = shape.value, shape.curvature
    if value <= NOTHING or not np.all(np.isfinite(curvature)):
        raise NoMode("the log density is not finite at its mode")
    for i in np.flatnonzero((x - walls[0] < 2 * width) | (walls[1] - x < 2 * width)):
        # A mode at a wall is a corner, not a summit: no curvature there says how wide the density is.
        curvature[i, :] = curvature[:, i] = 0.0
        points = _away_from_wall(x, int(i), x[i] - walls[0][i] < 2 * width[i])
        curvature[i, i] = _width_at_wall((yield points)) ** -2
    values, vectors = np.linalg.eigh(curvature)
    return x, np.asarray(vectors @ np.diag(np.maximum(values, 1e-2)) @ vectors.T)


def finite(values: Float) -> Float:
    """A density that cannot be computed is none."""
    return np.where(np.isfinite(values), values, NOTHING)


_DISTANCES = 1e-6 * 2.0 ** np.arange(25)
"""From a wall."""


def _away_from_wall(x: Float, coordinate: int, lower: bool) -> Float:
    """The point x beside a wall, and points (point, dim) farther and farther from it."""
    points = np.tile(x, (1 + len(_DISTANCES), 1))
    points[1:, coordinate] += _DISTANCES if lower else -_DISTANCES
    return points


def _width_at_wall(values: Float) -> float:
    """How far from a wall the log density has first dropped by one; farther out there may be mirror images."""
    far = values[0] - values[1:] >= 1.0
    return float(_DISTANCES[np.argmax(far)] if far.any() else _DISTANCES[-1])


@dataclass(frozen=True, slots=True)
class _Shape:
    """A log density at a point: its value, gradient (dim,) and negative Hessian (dim, dim)."""

    value: float
    gradient: Float
    curvature: Float


def _stencil(x: Float, width: Float) -> Float:
    """The 1 + d + d^2 points (point, dim) of central differences."""
    steps = np.diag(width)
    first, second = _pairs(len(x))
    both = steps[first] + steps[second]
    return np.concatenate([x[None], x + steps, x - steps, x + both, x - both])


def _read_stencil(f: Float, width: Float) -> _Shape:
    """Central differences from the values at the points of `_stencil`."""
    d = len(width)
    up, down = f[1 : d + 1], f[d + 1 : 2 * d + 1]
    hessian = np.diag((up + down - 2 * f[0]) / width**2)
    i, j = _pairs(d)
    plus, minus = f[2 * d + 1 :].reshape(2, -1)
    mixed = plus + minus - up[i] - down[i] - up[j] - down[j] + 2 * f[0]
    hessian[i, j] = hessian[j, i] = mixed / (2 * width[i] * width[j])
    return _Shape(float(f[0]), (up - down) / (2 * width), -hessian)


@lru_cache
def _pairs(d: int) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Both numbers of each pair of coordinates."""
    return np.tril_indices(d, -1)


def _mirror(x: Float, walls: Walls) -> Float:
    """The point between the walls that x is the image of."""
    if np.all((x > walls[0]) & (x < walls[1])):
        return x
    lower, upper = (np.where(np.isfinite(wall), wall, 0.0) for wall in walls)
    below, above = np.isfinite(walls[0]), np.isfinite(walls[1])
    width = np.where(below & above, upper - lower, 1.0)
    both = lower + width - np.abs(width - np.mod(np.abs(x - lower), 2 * width))
    only_below, only_above = lower + np.abs(x - lower), upper - np.abs(upper - x)
    return np.select([below & above, below, above], [both, only_below, only_above], x)
