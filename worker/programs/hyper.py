"""Hyperparameters inside a program: their transforms to the real line and their prior densities.

Which transform and which prior a parameter has is data, not program text, so one compiled program serves every choice.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import Array

from model.distributions import INFINITY, Distribution, Kind, lkj_log_normalizer
from model.frame.design import Float
from worker.programs.priors import Terms, beside, log_kernel, log_normalizer, terms

Judged = Callable[[Array], tuple[Array, Array]]
"""From values (parameter, ...) to those that the priors are of, and the log (...) of what that change of coordinates
multiplies their density by."""


class Transform(IntEnum):
    """How a real number becomes the value of a parameter."""

    REAL = 0
    """offset + unit * t"""
    POSITIVE = 1
    """offset + unit * exp(t)"""
    BOUNDED = 2
    """offset + unit * logistic(t)"""
    CUBE = 3
    """offset + unit * t^3, t > 0: in t a gamma variable is almost normal (Wilson and Hilferty 1931)"""
    HALF = 4
    """offset + unit * sinh(t), t > 0: linear near zero, so that the posterior of an sd that may be zero ends at a wall
    with a finite density instead of trailing off for ever; exponential far out, as sds are"""
    FIXED = 5
    """offset, whatever t is"""


@dataclass(frozen=True, slots=True)
class Scalars:
    """Transforms and priors of scalar parameters, each field of shape (parameter,) or (term, parameter)."""

    transform: np.ndarray
    offset: Float
    unit: Float
    end: Float
    """Where t ends above, infinity for most."""
    terms: Float
    """What `log_kernel` makes of a value, by the rows of `priors.Terms`."""
    log_constant: Float
    """What no value of t changes of its log density: the prior's normalizer, its mass on the interval, the unit."""

    @classmethod
    def of(cls, rows: "list[Scalar]") -> "Scalars":
        """Stack the description of single parameters."""
        parts = [row.placed() for row in rows]
        return cls(
            transform=np.array([p[0] for p in parts], dtype=np.int32),
            offset=np.array([p[1] for p in parts], dtype=float),
            unit=np.array([p[2] for p in parts], dtype=float),
            end=np.array([row.end for row in rows], dtype=float),
            terms=np.array([terms(row.prior) for row in rows], dtype=float).reshape(-1, len(Terms._fields)).T,
            log_constant=np.array([row.log_constant for row in rows], dtype=float),
        )

    def as_dict(self) -> dict[str, np.ndarray]:
        """The arrays that a program takes."""
        return {name: getattr(self, name) for name in self.__slots__}

    @property
    def active(self) -> np.ndarray:
        """Which parameters there is anything to sample of."""
        return np.asarray(self.transform != Transform.FIXED)

    @property
    def walls(self) -> tuple[Float, Float]:
        """Lower and upper ends of each t. Beyond them a program mirrors: what lies there is for whoever samples to
        refuse."""
        walled = (self.transform == Transform.CUBE) | (self.transform == Transform.HALF)
        return np.where(walled, 0.0, -INFINITY), self.end

    def inverse(self, value: Float) -> Float:
        """The real numbers at which the parameters have these values, kept inside each interval."""
        return np.array([self.inverse_of(i, x) for i, x in enumerate(value.tolist())])

    def inverse_of(self, number: int, value: float) -> float:
        """The real number at which one parameter has this value, kept inside its interval."""
        at = (value - float(self.offset[number])) / float(self.unit[number])
        match int(self.transform[number]):
            case Transform.REAL:
                return at
            case Transform.POSITIVE:
                return math.log(max(at, 1e-8))
            case Transform.CUBE:
                return math.cbrt(max(at, 1e-8))
            case Transform.HALF:
                return min(math.asinh(max(at, 1e-8)), 0.9 * float(self.end[number]))
            case Transform.BOUNDED:
                inside = min(max(at, 1e-6), 1 - 1e-6)
                return math.log(inside / (1 - inside))
        return 0.0


@dataclass(frozen=True, slots=True)
class Scalar:
    """One scalar parameter: its open interval, its prior, and the size it is expected to have."""

    prior: Distribution
    bounds: tuple[float, float]
    unit: float = 1.0
    location: float = 0.0
    form: Literal["smooth", "half", "cube"] = "smooth"
    """Which transform a parameter with a lower bound has: one onto the whole real line, or one that ends at a wall."""
    walked: tuple[float, float] | None = None
    """The interval of what is walked, where the prior is of something else."""

    @property
    def end(self) -> float:
        """Where t ends above."""
        lower, upper = self.walked or self.bounds
        return float(np.arcsinh((upper - lower) / self.unit)) if self.form == "half" else INFINITY

    @property
    def log_constant(self) -> float:
        """What no value of t changes of its log density."""
        unit = self.placed()[2]
        return log_normalizer(self.prior) - self.prior.log_mass(*self.bounds) + float(np.log(abs(unit)))

    def placed(self) -> tuple[Transform, float, float]:
        """The transform with its offset and unit."""
        lower, upper = self.walked or self.bounds
        if self.prior.kind is Kind.CONSTANT:
            return Transform.FIXED, self.prior.arguments[0], 1.0
        if lower == -INFINITY and upper == INFINITY:
            return Transform.REAL, self.location, self.unit
        if self.form != "smooth":
            return Transform.HALF if self.form == "half" else Transform.CUBE, lower, self.unit
        if upper == INFINITY:
            return Transform.POSITIVE, lower, self.unit
        if lower == -INFINITY:
            return Transform.POSITIVE, upper, -self.unit
        return Transform.BOUNDED, lower, upper - lower


def constrain(t: Array, scalars: dict[str, Array], judged: Judged | None = None) -> tuple[Array, Array]:
    """Values (parameter, ...) at real numbers t of that shape, and the log prior density (...) of t, summed over
    parameters.

    The priors are of what is `judged`, by default the values themselves. Every case is computed for every parameter and
    one is selected, so all share one exponential and one logarithm.
    """
    transform, offset, unit, end, constant = (
        beside(scalars[name], t) for name in ("transform", "offset", "unit", "end", "log_constant")
    )
    positive, bounded, cube, half = (
        transform == code for code in (Transform.POSITIVE, Transform.BOUNDED, Transform.CUBE, Transform.HALF)
    )
    fixed, free = transform == Transform.FIXED, transform == Transform.REAL
    # A parameter that is not transformed may be of any size, at which the other transforms overflow: select evaluates
    # every case, and what overflows there is no number in the gradient.
    real, t = t, jnp.where(free, 0.0, t)
    size = jnp.abs(t)
    # Mirrored at its walls (the upper may be at infinity), so that it is smooth enough to search a mode beside them.
    ended = jnp.isfinite(end)
    wall = jnp.where(ended, end, 1.0)
    around = size - 2.0 * wall * jnp.floor(size / (2.0 * wall))
    folded = jnp.where(half, jnp.where(ended, wall - jnp.abs(wall - around), size), 0.0)
    power = jnp.exp(jnp.where(positive, t, jnp.where(half, -folded, -size)))
    log = jnp.log(jnp.where(cube, jnp.maximum(size, 1e-100), 1.0 + jnp.where(half, power, 1.0) * power))
    logistic = jnp.where(t >= 0.0, 1.0, power) / (1.0 + power)
    square = folded**2
    # Near zero the difference of two exponentials has no digits left.
    series = folded * (1.0 + square / 6.0 * (1.0 + square / 20.0))
    sinh = jnp.where(folded < 1e-2, series, (1.0 / jnp.where(half, power, 1.0) - power) / 2.0)
    value = offset + unit * jnp.where(
        free,
        real,
        jnp.where(positive, power, jnp.where(bounded, logistic, jnp.where(cube, size**3, sinh))),
    )
    value = jnp.where(fixed, offset, value)
    # log|d value / d t|, written so that it stays finite where the value meets a bound.
    slope = jnp.where(
        positive,
        t,
        jnp.where(
            bounded, -size - 2.0 * log, jnp.where(cube, np.log(3.0) + 2.0 * log, folded + log - np.log(2.0))
        ),
    )
    of, log_slope = (value, None) if judged is None else judged(value)
    log_prior = jnp.where(
        fixed, 0.0, log_kernel(of, scalars["terms"]) + constant + jnp.where(free, 0.0, slope)
    )
    total = jnp.sum(log_prior, axis=0)
    return value, total if log_slope is None else total + log_slope


def correlation_root(
    t: Array, blocks: tuple[int, ...], lkj: Array
) -> tuple[list[list[Array | float]], Array]:
    """Lower Cholesky factor of a block-diagonal correlation matrix from real numbers, and their log LKJ density.

    `t` (correlation, ...) become canonical partial correlations by tanh, row by row within a block; under LKJ(shape)
    they are independent symmetric beta variables (Lewandowski, Kurowicka and Joe 2009). `lkj` (2,) is the shape and
    the log normalizer; the matrix is a nested list of arrays (...).
    """
    size = sum(blocks)
    root: list[list[Array | float]] = [[0.0] * size for _ in range(size)]
    log_density = jnp.zeros(t.shape[1:])
    position = start = 0
    for block in blocks:
        for i in range(block):
            # 1 - tanh^2 as the product over a row: what is left of the row's unit length.
            log_left = jnp.zeros(t.shape[1:])
            for j in range(i):
                at = t[position]
                log_rest = _log_one_minus_tanh2(at)
                root[start + i][start + j] = jnp.tanh(at) * jnp.exp(0.5 * log_left)
                log_density += (lkj[0] + (block - 2 - j) / 2) * log_rest
                log_left += log_rest
                position += 1
            root[start + i][start + i] = jnp.exp(0.5 * log_left)
        start += block
    return root, log_density - lkj[1]


def lkj_constants(shape: float, blocks: tuple[int, ...]) -> Float:
    """The shape and the log normalizer (2,) that `correlation_root` takes."""
    return np.array([shape, sum(lkj_log_normalizer(shape, size) for size in blocks)])


def _log_one_minus_tanh2(t: Array) -> Array:
    size = jnp.abs(t)
    return jnp.asarray(2.0 * (np.log(2.0) - size - jnp.log1p(jnp.exp(-2.0 * size))))
