"""A polynomial in place of a smooth function that is dear to evaluate, fitted in a box and checked against it.

It is meant for functions of a few coordinates around a posterior's bulk, where a low degree is exact to many digits.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations_with_replacement

import numpy as np
from numpy.typing import NDArray
from scipy.stats import qmc

from model.frame.design import Float

Function = Callable[[Float], Float]
"""Values (point, output) at points (point, dim)."""


@dataclass(frozen=True, slots=True)
class Surrogate:
    """A polynomial of total degree `degree` in the box of this center and these half widths."""

    center: Float
    half_width: Float
    exponents: NDArray[np.int64]  # (term, dim)
    coefficients: Float  # (term, output)

    def __call__(self, points: Float) -> Float:
        """Values (point, output); beyond the box those at its edge."""
        return _terms(np.clip(self.scaled(points), -1.0, 1.0), self.exponents) @ self.coefficients

    def scaled(self, points: Float) -> Float:
        """The points in units of the box: -1 to 1 inside."""
        return (points - self.center) / self.half_width

    def excess(self, points: Float) -> Float:
        """How far each point (point,) lies beyond the box, in units of its half widths; 0 inside."""
        return np.asarray(np.maximum(np.abs(self.scaled(points)) - 1.0, 0.0).max(axis=1))


def fit_surrogate(function: Function, center: Float, half_width: Float, degree: int) -> Surrogate:
    """Fit a polynomial to a function by least squares at twice as many points as it has terms.

    The points are a scrambled Halton sequence (of fixed seed) that is drawn towards the faces of the box, as
    Chebyshev's are.
    """
    d = len(center)
    exponents = _exponents(d, degree)
    uniform = qmc.Halton(d, rng=np.random.default_rng(20_261_123)).random(2 * len(exponents))
    scaled = -np.cos(np.pi * uniform)
    values = function(center + half_width * scaled)
    coefficients, *_ = np.linalg.lstsq(_terms(scaled, exponents), values, rcond=None)
    return Surrogate(center, half_width, exponents, np.asarray(coefficients, dtype=np.float64))


def number_of_terms(dimension: int, degree: int) -> int:
    """Terms of a polynomial of this total degree."""
    return math.comb(dimension + degree, degree)


def _exponents(dimension: int, degree: int) -> NDArray[np.int64]:
    rows = []
    for total in range(degree + 1):
        for chosen in combinations_with_replacement(range(dimension), total):
            rows.append(np.bincount(np.array(chosen, dtype=int), minlength=dimension))
    return np.array(rows)


def _terms(scaled: Float, exponents: NDArray[np.int64]) -> Float:
    """Products of Chebyshev polynomials (point, term): they keep the least squares well conditioned."""
    highest = int(exponents.max(initial=0))
    angles = np.arccos(np.clip(scaled, -1.0, 1.0))
    powers = np.cos(angles[:, :, None] * np.arange(highest + 1))  # (point, dim, degree)
    result = np.ones((len(scaled), len(exponents)))
    for axis in range(scaled.shape[1]):
        result *= powers[:, axis, exponents[:, axis]]
    return result
