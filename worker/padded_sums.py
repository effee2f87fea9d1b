"""The sums of a collapsed model where its program has them: rows and columns beyond the model's own are zero."""

from collections.abc import Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.frame.design import FactorDesign, Float
from model.moments import Moments
from model.small import lower_triangle
from model.streams import stream
from worker.shape import CollapsedShape

SUMS = ("s", "a", "b", "multiplicity", "products")
"""Names of all sums that a program may be given."""


class Distinct(NamedTuple):
    """Numbers of levels that have A of their own, and for each level which of those it equals."""

    first: NDArray[np.int64]
    level: NDArray[np.int64]


def padded_sums(
    shape: CollapsedShape,
    moments: Moments,
    order: list[int],
    places: list[int],
    factors: Sequence[FactorDesign],
    distinct: Distinct | None,
) -> dict[str, Any]:
    """Place the columns [integrated, kept, y, dense] where the program has them; everything else stays zero.

    `distinct` are the levels of a factor that stands alone.
    """
    head = shape.columns + shape.kept + 1
    width, p = head + shape.dense, len(order)
    places = [*places, *(head + dense_places(shape, factors))]
    columns = [*order, p, *(p + 1 + dense_columns(factors))]
    s = np.zeros((width, width))
    s[np.ix_(places, places)] = moments.s[np.ix_(columns, columns)]
    if not factors:
        return {"s": s}
    rows, k, levels = block_order(factors[0]), shape.factors[0].coefficients, shape.factors[0].levels
    own_a, own_b = moments.a[np.ix_(rows, rows)], moments.b[np.ix_(rows, columns)]
    a = np.zeros((k, k, levels))
    if distinct is None:
        b = np.zeros((k, width, levels))
        a[:, :, : own_a.shape[-1]] = own_a
        b[:, places, : own_b.shape[-1]] = own_b
        return {"s": s, "a": a, "b": b}
    first, level = distinct
    count = len(first)
    a[:, :, :count] = own_a[:, :, first]
    multiplicity = filled(np.bincount(level, minlength=count).astype(float), levels)
    return {"s": s, "a": a, "multiplicity": multiplicity, "products": _products(own_b, places, level, shape)}


def distinct_levels(a: Float) -> Distinct:
    """Which levels have distinct A (coef, coef, level)."""
    k, _, levels = a.shape
    flat = a.reshape(k * k, levels)
    # One number for each level's matrix: equal matrices have equal ones, and that unequal ones do not is seen to
    # below.
    # Summed row by row: a library's product may round equal columns differently, by where they stand.
    numbers = (_weights(k * k)[:, None] * flat).sum(axis=0)
    _, first, level = np.unique(numbers, return_index=True, return_inverse=True)
    if not np.array_equal(flat, flat[:, first][:, level]):
        return Distinct(np.arange(levels), np.arange(levels))
    return Distinct(first, level)


@lru_cache
def _weights(count: int) -> Float:
    return stream(0, "levels", count).uniform(1.0, 2.0, count)


def _products(b: Float, places: list[int], level: NDArray[np.int64], shape: CollapsedShape) -> Float:
    """Products of the sums B of all levels that share A, (pair of columns, pair of coefs x distinct A).

    A pair of different coefficients stands for both orders of it.
    """
    k, distinct = shape.factors[0].coefficients, shape.factors[0].levels
    pairs = lower_triangle(shape.columns + shape.kept + 1)
    number = {place: i for i, place in enumerate(places)}
    products = np.zeros((len(pairs), k * (k + 1) // 2, distinct))
    for r, (i, j) in enumerate(lower_triangle(k)):
        for c, (row, column) in enumerate(pairs):
            if row in number and column in number:
                x, y = number[row], number[column]
                values = b[i, x] * b[j, y] + (b[j, x] * b[i, y] if i != j else 0.0)
                products[c, r] = np.bincount(level, weights=values, minlength=distinct)
    return products.reshape(len(pairs), -1)


def column_places(shape: CollapsedShape, integrated: int, kept: int) -> list[int]:
    """Where the program has the columns [integrated, kept, y]."""
    return [*range(integrated), *range(shape.columns, shape.columns + kept), shape.columns + shape.kept]


def dense_places(shape: CollapsedShape, factors: Sequence[FactorDesign]) -> np.ndarray:
    """Where the program has the dense factors' coefficients, in its own order of each factor's coefficients."""
    places, start = [np.zeros(0, dtype=int)], 0
    for factor, group in zip(factors[1:], shape.factors[1:], strict=True):
        levels = np.arange(len(factor.levels))
        places += [start + i * group.levels + levels for i in range(group.coefficients)]
        start += group.width
    return np.concatenate(places)


def dense_columns(factors: Sequence[FactorDesign]) -> np.ndarray:
    """Numbers of the other factors' columns in the moments, in the program's order of each factor's coefficients."""
    numbers, start = [np.zeros(0, dtype=int)], 0
    for factor in factors[1:]:
        levels = len(factor.levels)
        numbers += [start + i * levels + np.arange(levels) for i in block_order(factor)]
        start += levels * len(factor.coefficients)
    return np.concatenate(numbers)


def block_order(factor: FactorDesign) -> list[int]:
    """Numbers of a factor's coefficients, block after block: the order in which programs have them."""
    return [i for block in factor.blocks for i in block]


def filled(values: Float, size: int, filler: float = 0.0) -> Float:
    """Values (size,) with a filler after those that there are."""
    return np.concatenate([values, np.full(size - len(values), filler)])
