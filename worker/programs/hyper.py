"""Hyperparameters inside a program: their transforms to the real line and their prior densities.

Which transform and which prior a parameter has is data, not program text, so one compiled program serves every choice.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Literal

import jax.numpy as jnp
import numpy as np
from jax import Array
from scipy.special import gammaln

from model.distributions import INFINITY, Distribution, Kind, lkj_log_normalizer
from model.frame.design import Float


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
    """Transforms and priors of scalar parameters, each field of shape (parameter,) or (parameter, 3)."""

    transform: np.ndarray
    offset: Float
    unit: Float
    end: Float
    """Where t ends above, infinity for most."""
    kind: np.ndarray
    arguments: Float  # (parameter, 3)
    log_constant: Float
    """What no value of t changes of its log density: the prior's normalizer, its mass on the interval, the unit."""

    @classmethod
    def of(cls, rows: "list[Scalar]") -> "Scalars":
        """Stack the description of single parameters."""
        arguments = np.zeros((len(rows), 3))
        for i, row in enumerate(rows):
            arguments[i, : len(row.prior.arguments)] = row.prior.arguments
        parts = [row.placed() for row in rows]
        return cls(
            transform=np.array([p[0] for p in parts], dtype=np.int32),
            offset=np.array([p[1] for p in parts], dtype=float),
            unit=np.array([p[2] for p in parts], dtype=float),
            end=np.array([row.end for row in rows], dtype=float),
            kind=np.array([int(row.prior.kind) for row in rows], dtype=np.int32),
            arguments=arguments,
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
        walled = np.isin(self.transform, (Transform.CUBE, Transform.HALF))
        return np.where(walled, 0.0, -INFINITY), self.end

    def inverse(self, value: Float) -> Float:
        """The real numbers at which the parameters have these values, kept inside each interval."""
        t = np.zeros(len(value))
        for i, x in enumerate(value):
            at = (x - self.offset[i]) / self.unit[i]
            match self.transform[i]:
                case Transform.REAL:
                    t[i] = at
                case Transform.POSITIVE:
                    t[i] = np.log(max(at, 1e-8))
                case Transform.CUBE:
                    t[i] = np.cbrt(max(at, 1e-8))
                case Transform.HALF:
                    t[i] = min(np.arcsinh(max(at, 1e-8)), 0.9 * self.end[i])
                case Transform.BOUNDED:
                    inside = min(max(at, 1e-6), 1 - 1e-6)
                    t[i] = np.log(inside / (1 - inside))
        return t


@dataclass(frozen=True, slots=True)
class Scalar:
    """One scalar parameter: its open interval, its prior, and the size it is expected to have."""

    prior: Distribution
    bounds: tuple[float, float]
    unit: float = 1.0
    location: float = 0.0
    form: Literal["smooth", "half", "cube"] = "smooth"
    """Which transform a parameter with a lower bound has: one onto the whole real line, or one that ends at a wall."""

    @property
    def end(self) -> float:
        """Where t ends above."""
        lower, upper = self.bounds
        return float(np.arcsinh((upper - lower) / self.unit)) if self.form == "half" else INFINITY

    @property
    def log_constant(self) -> float:
        """What no value of t changes of its log density."""
        unit = self.placed()[2]
        return _log_normalizer(self.prior) - self.prior.log_mass(*self.bounds) + float(np.log(abs(unit)))

    def placed(self) -> tuple[Transform, float, float]:
        """The transform with its offset and unit."""
        lower, upper = self.bounds
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


def constrain(t: Array, scalars: dict[str, Array]) -> tuple[Array, Array]:
    """Values (..., parameter) at real numbers t of that shape, and the log prior density of t, summed over
    parameters."""
    transform, offset, unit = scalars["transform"], scalars["offset"], scalars["unit"]
    chosen = [transform == code for code in Transform]
    # A parameter that is not transformed may be of any size, at which the other transforms overflow: select evaluates
    # every case, and what overflows there is no number in the gradient.
    real, t = t, jnp.where(transform == Transform.REAL, 0.0, t)
    zero, size = jnp.zeros_like(t), jnp.abs(t)
    # Mirrored at its walls (the upper may be at infinity), so that it is smooth enough to search a mode beside them.
    ended = jnp.isfinite(scalars["end"])
    end = jnp.where(ended, scalars["end"], 1.0)
    folded = jnp.where(ended, end - jnp.abs(end - jnp.mod(size, 2.0 * end)), size)
    half = jnp.where(transform == Transform.HALF, folded, 0.0)
    value = offset + unit * jnp.select(
        chosen, [real, jnp.exp(t), 1.0 / (1.0 + jnp.exp(-t)), size**3, jnp.sinh(half), zero]
    )
    # log|d value / d t|, written so that it stays finite where the value meets a bound.
    logistic_slope = -size - 2.0 * jnp.log1p(jnp.exp(-size))
    cube_slope = np.log(3.0) + 2.0 * jnp.log(jnp.maximum(size, 1e-100))
    log_slope = jnp.select(chosen, [zero, t, logistic_slope, cube_slope, jnp.log(jnp.cosh(half)), zero])
    log_prior = jnp.where(
        transform == Transform.FIXED,
        0.0,
        log_kernel(value, scalars["kind"], scalars["arguments"]) + scalars["log_constant"] + log_slope,
    )
    return value, jnp.sum(log_prior, axis=-1)


def log_kernel(x: Array, kind: Array, arguments: Array) -> Array:
    """Log densities of the distributions of `Kind` at x but for their normalizers, inside their support, broadcast over
    the last axis."""
    a, b, c = arguments[..., 0], arguments[..., 1], arguments[..., 2]
    # Where another distribution is meant, the arguments are replaced by harmless ones: select evaluates every case.
    positive = jnp.where(x > 0, x, 1.0)
    log_x = jnp.log(positive)

    def own(code: Kind, value: Array, otherwise: float = 1.0) -> Array:
        return jnp.where(kind == code, value, otherwise)

    scale = own(Kind.NORMAL, b) * own(Kind.CAUCHY, b) * own(Kind.LAPLACE, b)
    z = (x - a) / scale
    df, t_scale = own(Kind.STUDENT_T, a), own(Kind.STUDENT_T, c)
    u = (x - b) / t_scale
    shape = own(Kind.GAMMA, a) * own(Kind.INV_GAMMA, a) * own(Kind.BETA, a)
    rate = own(Kind.GAMMA, b) * own(Kind.INV_GAMMA, b) * own(Kind.EXPONENTIAL, a)
    log_sd = own(Kind.LOGNORMAL, b)
    inside = jnp.where(kind == Kind.BETA, jnp.clip(x, 1e-300, 1.0 - 1e-16), 0.5)
    second = own(Kind.BETA, b)
    return jnp.select(
        [kind == code for code in Kind],
        [
            jnp.zeros_like(x),
            -0.5 * z**2,
            -(df + 1) / 2 * jnp.log1p(u**2 / df),
            -jnp.log1p(z**2),
            -jnp.abs(z),
            jnp.zeros_like(x),
            -rate * x,
            (shape - 1) * log_x - rate * x,
            -(shape + 1) * log_x - rate / positive,
            -0.5 * ((log_x - a) / log_sd) ** 2 - log_x,
            (shape - 1) * jnp.log(inside) + (second - 1) * jnp.log1p(-inside),
            jnp.zeros_like(x),
            jnp.zeros_like(x),
        ],
    )


def _log_normalizer(prior: Distribution) -> float:
    """What `log_kernel` leaves out."""
    a, b, c = (*prior.arguments, 1.0, 1.0, 1.0)[:3]
    match prior.kind:
        case Kind.NORMAL | Kind.LOGNORMAL:
            return float(-np.log(b) - 0.5 * np.log(2.0 * np.pi))
        case Kind.STUDENT_T:
            return float(gammaln((a + 1) / 2) - gammaln(a / 2) - 0.5 * np.log(a * np.pi) - np.log(c))
        case Kind.CAUCHY:
            return float(-np.log(np.pi * b))
        case Kind.LAPLACE:
            return float(-np.log(2.0 * b))
        case Kind.UNIFORM:
            return float(-np.log(b - a))
        case Kind.EXPONENTIAL:
            return float(np.log(a))
        case Kind.GAMMA | Kind.INV_GAMMA:
            return float(a * np.log(b) - gammaln(a))
        case Kind.BETA:
            return float(gammaln(a + b) - gammaln(a) - gammaln(b))
        case _:
            return 0.0


def correlation_root(
    t: Array, blocks: tuple[int, ...], lkj: Array
) -> tuple[list[list[Array | float]], Array]:
    """Lower Cholesky factor of a block-diagonal correlation matrix from real numbers, and their log LKJ density.

    `t` (..., correlation) become canonical partial correlations by tanh, row by row within a block; under LKJ(shape)
    they are independent symmetric beta variables (Lewandowski, Kurowicka and Joe 2009). `lkj` (2,) is the shape and
    the log normalizer; the matrix is a nested list of arrays (...).
    """
    size = sum(blocks)
    root: list[list[Array | float]] = [[0.0] * size for _ in range(size)]
    log_density = jnp.zeros(t.shape[:-1])
    position = start = 0
    for block in blocks:
        for i in range(block):
            # 1 - tanh^2 as the product over a row: what is left of the row's unit length.
            log_left = jnp.zeros(t.shape[:-1])
            for j in range(i):
                at = t[..., position]
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
