"""Functions with a memory: centering, scaling, orthogonal polynomials, splines.

Each learns from the training data, is frozen, and gives the same columns for any data from then on.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self, TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import BSpline

Float = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Affine:
    """`center(x)` and `scale(x)`: (x - mean) / sd, with the sample sd (n - 1), or 1 for `center`.

    Of several columns each has its own mean and sd.
    """

    mean: float | tuple[float, ...]
    sd: float | tuple[float, ...] = 1.0

    @classmethod
    def center(cls, x: Float) -> Self:
        """Learn the mean of x (row,), or of each column of x (row, column)."""
        return cls(_plain(np.mean(x, axis=0)))

    @classmethod
    def scale(cls, x: Float) -> Self:
        """Learn the mean and the sample sd of x (row,), or of each column of x (row, column)."""
        return cls(_plain(np.mean(x, axis=0)), _plain(np.std(x, axis=0, ddof=1)))

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.mean) if isinstance(self.mean, tuple) else 1

    def __call__(self, x: Float) -> Float:
        """The transformed x, of the same dims."""
        moved: Float = (x - np.asarray(self.mean)) / np.asarray(self.sd)
        return moved


@dataclass(frozen=True, slots=True)
class Polynomial:
    """`poly(x, degree)`: polynomials orthonormal over the training rows, by their three-term recurrence.

    The recurrence runs on x moved to [-1, 1], where no power of it overflows.
    Source: Kennedy and Gentle (1980), Statistical Computing, pp. 343-4, as in R's `poly`.
    """

    shifts: tuple[float, ...]
    norms: tuple[float, ...]  # squared; of the constant, and of every degree
    low: float
    high: float

    @classmethod
    def learn(cls, x: Float, degree: int) -> Self:
        """Learn from x (row,), which has more than `degree` distinct values."""
        low, high = float(x.min()), float(x.max())
        unit = _unit(x, low, high)
        shifts: list[float] = []
        norms = [float(len(x))]
        before, current = np.zeros_like(unit), np.ones_like(unit)
        for _ in range(degree):
            shifts.append(float(unit @ (current * current)) / norms[-1])
            ratio = norms[-1] / norms[-2] if len(norms) > 1 else 0.0
            before, current = current, (unit - shifts[-1]) * current - ratio * before
            norms.append(float(current @ current))
        return cls(tuple(shifts), tuple(norms), low, high)

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.shifts)

    def __call__(self, x: Float) -> Float:
        """The columns (row, degree)."""
        unit = _unit(x, self.low, self.high)
        columns = np.empty((len(x), self.width))
        before, current = np.zeros_like(unit), np.ones_like(unit)
        for k, shift in enumerate(self.shifts):
            ratio = self.norms[k] / self.norms[k - 1] if k else 0.0
            before, current = current, (unit - shift) * current - ratio * before
            columns[:, k] = current / np.sqrt(self.norms[k + 1])
        return columns


@dataclass(frozen=True)
class Spline:
    """`bs(x, df, degree)`: the B-splines but the first, which go on as polynomials beyond the boundary."""

    knots: tuple[float, ...]
    degree: int
    low: float
    high: float

    @classmethod
    def learn(cls, x: Float, df: int, degree: int) -> Self:
        """Learn from x (row,): boundaries at its range, knots at its quantiles."""
        return cls(_quantiles(x, df - degree), degree, float(x.min()), float(x.max()))

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.knots) + self.degree

    @cached_property
    def basis(self) -> Any:
        """All B-splines on these knots."""
        return _b_splines(self.knots, self.low, self.high, self.degree)

    def __call__(self, x: Float) -> Float:
        """The columns (row, df)."""
        columns: Float = self.basis(x)[:, 1:]
        return columns


@dataclass(frozen=True)
class NaturalSpline:
    """`ns(x, df)`: cubic splines that are linear beyond the boundary.

    The columns are the B-splines but the first, times a basis of the null space of their second derivatives
    at the boundary, which is taken from a QR decomposition as R's `ns` does.
    """

    knots: tuple[float, ...]
    low: float
    high: float

    @classmethod
    def learn(cls, x: Float, df: int) -> Self:
        """Learn from x (row,): boundaries at its range, knots at its quantiles."""
        return cls(_quantiles(x, df - 1), float(x.min()), float(x.max()))

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.knots) + 1

    @cached_property
    def basis(self) -> Any:
        """All natural splines on these knots."""
        cubic = _b_splines(self.knots, self.low, self.high, 3)
        curvature = cubic(np.array([self.low, self.high]), nu=2)[:, 1:]
        rotation, _ = np.linalg.qr(curvature.T, mode="complete")
        return BSpline(cubic.t, cubic.c[:, 1:] @ rotation[:, 2:], 3)

    def __call__(self, x: Float) -> Float:
        """The columns (row, df)."""
        inside = np.clip(x, self.low, self.high)
        columns: Float = self.basis(inside)
        if np.any(outside := inside != x):
            slope = self.basis(inside[outside], nu=1)
            columns[outside] += slope * (x[outside] - inside[outside])[:, None]
        return columns


Basis: TypeAlias = Polynomial | Spline | NaturalSpline
Learnt: TypeAlias = Affine | Basis
KINDS: dict[str, type[Learnt]] = {
    "affine": Affine,
    "polynomial": Polynomial,
    "spline": Spline,
    "natural-spline": NaturalSpline,
}


def learnt_to_json(learnt: Learnt) -> dict[str, Any]:
    """What was learnt as plain JSON."""
    kind = next(kind for kind, cls in KINDS.items() if isinstance(learnt, cls))
    return {"kind": kind, **asdict(learnt)}


def learnt_from_json(document: dict[str, Any]) -> Learnt:
    """The inverse of `learnt_to_json`."""
    fields: dict[str, Any] = {
        key: tuple(value) if isinstance(value, list) else value
        for key, value in document.items()
        if key != "kind"
    }
    return KINDS[document["kind"]](**fields)


def _plain(values: Any) -> float | tuple[float, ...]:
    return float(values) if np.ndim(values) == 0 else tuple(values.tolist())


def _unit(x: Float, low: float, high: float) -> Float:
    return (x - low) / (high - low) * 2.0 - 1.0


def _quantiles(x: Float, count: int) -> tuple[float, ...]:
    if count <= 0:
        return ()
    return tuple(np.quantile(x, np.linspace(0.0, 1.0, count + 2)[1:-1]).tolist())


def _b_splines(knots: tuple[float, ...], low: float, high: float, degree: int) -> Any:
    everything = np.array([low] * (degree + 1) + list(knots) + [high] * (degree + 1))
    return BSpline(everything, np.eye(len(everything) - degree - 1), degree)
