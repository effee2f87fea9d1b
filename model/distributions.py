"""Prior distributions as text, in brms's spelling: `student_t(3, 0, 2.5)` and its kin.

A distribution here knows its support and its log density; what it is the prior of is decided in `priors`.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache

import numpy as np
from scipy import special, stats

from model.errors import InvalidModel, Issue

INFINITY = math.inf


class Kind(IntEnum):
    """The closed set of distributions; the numbers are what a compiled program selects by."""

    FLAT = 0
    NORMAL = 1
    STUDENT_T = 2
    CAUCHY = 3
    LAPLACE = 4
    UNIFORM = 5
    EXPONENTIAL = 6
    GAMMA = 7
    INV_GAMMA = 8
    LOGNORMAL = 9
    BETA = 10
    LKJ = 11
    CONSTANT = 12


@dataclass(frozen=True, slots=True)
class _Signature:
    kind: Kind
    arguments: tuple[str, ...]
    positive: tuple[str, ...] = ()
    """Arguments that must be greater than zero."""


_SIGNATURES = {
    "normal": _Signature(Kind.NORMAL, ("location", "scale"), ("scale",)),
    "student_t": _Signature(Kind.STUDENT_T, ("df", "location", "scale"), ("df", "scale")),
    "cauchy": _Signature(Kind.CAUCHY, ("location", "scale"), ("scale",)),
    "laplace": _Signature(Kind.LAPLACE, ("location", "scale"), ("scale",)),
    "double_exponential": _Signature(Kind.LAPLACE, ("location", "scale"), ("scale",)),
    "uniform": _Signature(Kind.UNIFORM, ("lower", "upper")),
    "exponential": _Signature(Kind.EXPONENTIAL, ("rate",), ("rate",)),
    "gamma": _Signature(Kind.GAMMA, ("shape", "rate"), ("shape", "rate")),
    "inv_gamma": _Signature(Kind.INV_GAMMA, ("shape", "scale"), ("shape", "scale")),
    "lognormal": _Signature(Kind.LOGNORMAL, ("location", "scale"), ("scale",)),
    "beta": _Signature(Kind.BETA, ("shape1", "shape2"), ("shape1", "shape2")),
    "lkj": _Signature(Kind.LKJ, ("shape",), ("shape",)),
    "constant": _Signature(Kind.CONSTANT, ("value",)),
}
_SPELLING = {signature.kind: name for name, signature in reversed(_SIGNATURES.items())}
_CALL = re.compile(r"\s*([A-Za-z_]\w*)\s*\((.*)\)\s*\Z", re.DOTALL)
_NUMBER = re.compile(r"\s*([+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?)\s*\Z")
_MAX_TEXT = 200


@dataclass(frozen=True, slots=True)
class Distribution:
    """A distribution with its numbers, in the order in which its text gives them."""

    kind: Kind
    arguments: tuple[float, ...] = ()

    def __str__(self) -> str:
        if self.kind is Kind.FLAT:
            return ""
        return f"{_SPELLING[self.kind]}({', '.join(format_number(value) for value in self.arguments)})"

    @property
    def support(self) -> tuple[float, float]:
        """The open interval on which the density is positive; a constant's is its value twice."""
        match self.kind:
            case Kind.UNIFORM:
                return self.arguments[0], self.arguments[1]
            case Kind.EXPONENTIAL | Kind.GAMMA | Kind.INV_GAMMA | Kind.LOGNORMAL:
                return 0.0, INFINITY
            case Kind.BETA:
                return 0.0, 1.0
            case Kind.CONSTANT:
                return self.arguments[0], self.arguments[0]
            case _:
                return -INFINITY, INFINITY

    def log_mass(self, lower: float, upper: float) -> float:
        """Log of the probability between two bounds: what a truncated density is divided by (0 for a flat prior)."""
        if self.kind in (Kind.FLAT, Kind.LKJ, Kind.CONSTANT):
            return 0.0
        shapes, location, scale = self._standardized()
        return _log_mass(self.kind, shapes, (lower - location) / scale, (upper - location) / scale)

    def log_density(self, value: np.ndarray | float) -> np.ndarray:
        """Log density, untruncated; 0 everywhere for a flat prior."""
        if self.kind in (Kind.FLAT, Kind.CONSTANT, Kind.LKJ):
            return np.zeros(np.shape(value))
        shapes, location, scale = self._standardized()
        standard = _standard(self.kind, shapes)
        return np.asarray(standard.logpdf((np.asarray(value) - location) / scale) - math.log(scale))

    def quantile(self, probability: float, lower: float, upper: float) -> float:
        """One quantile of the distribution truncated to `(lower, upper)`."""
        if self.kind is Kind.CONSTANT:
            return self.arguments[0]
        shapes, location, scale = self._standardized()
        ends = (lower - location) / scale, (upper - location) / scale
        return location + scale * _quantile(self.kind, shapes, probability, *ends)

    def ppf(self, probability: np.ndarray, lower: float, upper: float) -> np.ndarray:
        """Quantiles of the distribution truncated to `(lower, upper)`: how a prior is sampled."""
        if self.kind is Kind.CONSTANT:
            return np.full(np.shape(probability), self.arguments[0])
        shapes, location, scale = self._standardized()
        standard = _standard(self.kind, shapes)
        low, high = standard.cdf((lower - location) / scale), standard.cdf((upper - location) / scale)
        return np.asarray(location + scale * standard.ppf(low + probability * (high - low)))

    def _standardized(self) -> tuple[tuple[float, ...], float, float]:
        """Shape parameters, location and scale: every distribution here has a standard one of scale 1 behind it."""
        return _STANDARDIZED[self.kind](*self.arguments)


_STANDARDIZED: dict[Kind, Callable[..., tuple[tuple[float, ...], float, float]]] = {
    Kind.NORMAL: lambda m, s: ((), m, s),
    Kind.STUDENT_T: lambda df, m, s: ((df,), m, s),
    Kind.CAUCHY: lambda m, s: ((), m, s),
    Kind.LAPLACE: lambda m, s: ((), m, s),
    Kind.UNIFORM: lambda a, b: ((), a, b - a),
    Kind.EXPONENTIAL: lambda rate: ((), 0.0, 1 / rate),
    Kind.GAMMA: lambda a, rate: ((a,), 0.0, 1 / rate),
    Kind.INV_GAMMA: lambda a, scale: ((a,), 0.0, scale),
    Kind.LOGNORMAL: lambda m, s: ((s,), 0.0, math.exp(m)),
    Kind.BETA: lambda a, b: ((a, b), 0.0, 1.0),
}
_STANDARD = {
    Kind.NORMAL: stats.norm,
    Kind.STUDENT_T: stats.t,
    Kind.CAUCHY: stats.cauchy,
    Kind.LAPLACE: stats.laplace,
    Kind.UNIFORM: stats.uniform,
    Kind.EXPONENTIAL: stats.expon,
    Kind.GAMMA: stats.gamma,
    Kind.INV_GAMMA: stats.invgamma,
    Kind.LOGNORMAL: stats.lognorm,
    Kind.BETA: stats.beta,
}


# Remembered, as SciPy takes half a millisecond to make one; the default priors of all data have the same few.
@lru_cache(maxsize=256)
def _standard(kind: Kind, shapes: tuple[float, ...]) -> "stats.rv_frozen":
    return _STANDARD[kind](*shapes)


@lru_cache(maxsize=1024)
def _log_mass(kind: Kind, shapes: tuple[float, ...], lower: float, upper: float) -> float:
    standard = _standard(kind, shapes)
    if lower == -INFINITY:
        return float(standard.logcdf(upper))
    if upper == INFINITY:
        return float(standard.logsf(lower))
    return float(np.log(standard.cdf(upper) - standard.cdf(lower)))


@lru_cache(maxsize=1024)
def _quantile(kind: Kind, shapes: tuple[float, ...], probability: float, lower: float, upper: float) -> float:
    standard = _standard(kind, shapes)
    low, high = standard.cdf(lower), standard.cdf(upper)
    return float(standard.ppf(low + probability * (high - low)))


FLAT = Distribution(Kind.FLAT)


def parse_distribution(text: str) -> Distribution:
    """Read a distribution; `""` and `"(flat)"` are the flat one.

    Raises InvalidModel (codes `unknown-distribution`, `invalid-prior`) naming what is allowed.
    """
    stripped = text.strip()
    if stripped in ("", "(flat)"):
        return FLAT
    call = _CALL.match(stripped) if len(stripped) <= _MAX_TEXT else None
    if call is None:
        raise _invalid("invalid-prior", "A prior is written name(number, …), for instance normal(0, 10).")
    name, inside = call.group(1), call.group(2)
    signature = _SIGNATURES.get(name)
    if signature is None:
        raise _invalid(
            "unknown-distribution",
            f"There is no distribution of that name; there are {', '.join(sorted(_SIGNATURES))}.",
        )
    usage = f"{name}({', '.join(signature.arguments)})"
    pieces = inside.split(",") if inside.strip() else []
    numbers = [_NUMBER.match(piece) for piece in pieces]
    if len(pieces) != len(signature.arguments):
        raise _invalid(
            "invalid-prior", f"{usage} takes {len(signature.arguments)} numbers, not {len(pieces)}."
        )
    values = [float(number.group(1)) if number else math.nan for number in numbers]
    if not all(math.isfinite(value) for value in values):
        raise _invalid("invalid-prior", f"The arguments of {usage} must be finite numbers.")
    for argument, value in zip(signature.arguments, values, strict=True):
        if argument in signature.positive and value <= 0:
            raise _invalid("invalid-prior", f"The {argument} of {usage} must be greater than zero.")
    if signature.kind is Kind.UNIFORM and values[0] >= values[1]:
        raise _invalid("invalid-prior", f"The lower end of {usage} must be below the upper end.")
    return Distribution(signature.kind, tuple(values))


def lkj_log_normalizer(shape: float, size: int) -> float:
    """Log of the constant that makes the LKJ density of a `size` x `size` correlation matrix integrate to one.

    Over the canonical partial correlations the LKJ density is a product of symmetric beta densities on (-1, 1)
    (Lewandowski, Kurowicka and Joe 2009), so the constant is a sum of theirs.
    """
    total = 0.0
    for column in range(size - 1):
        a = shape + (size - 2 - column) / 2
        total += (size - 1 - column) * (special.betaln(a, a) + (2 * a - 1) * math.log(2))
    return total


def format_number(value: float) -> str:
    """The shortest text that reads back as the same number, without a trailing `.0`."""
    return str(int(value)) if value.is_integer() and abs(value) < 1e15 else repr(value)


def _invalid(code: str, message: str) -> InvalidModel:
    return InvalidModel(Issue(code, message))
