"""Grouping factors that are written as crossed though one of them seems to be numbered anew in each level of the other.

Plots 1 to 4 of every site, in `(1 | site) + (1 | plot)`, make all plots that are called 1 one plot.
"""

import re
from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import f

from model.errors import Notice
from model.frame.design import Design, FactorDesign, Float, Level

Index = NDArray[np.int64]
_MOST_FACTORS = 6
_RARE = 0.01
"""How rarely cells that differ by chance alone are told."""
_SWEEPS = 30
_MOST_ROWS = 20_000
"""Rows on which the test is made."""
_MOST_CELLS = 10_000_000
_WORK = 2e8
"""Rows times squared columns of X up to which its part of the response is taken off first."""


def nested_labels(design: Design) -> Iterator[Notice]:
    """A warning for each two factors of which one seems to lie within the other.

    Three things must hold: the labels of the inner factor run from the first on in each level of the outer one, as
    numbers or letters do that are given anew; the cells have two rows and more on average; and they differ by more than
    the two factors explain together, as the cells of crossed factors need not (an F test of the interaction).
    """
    plain = [f for f in design.factors if len(f.columns) == 1 and "Intercept" in f.coefficients]
    written = {frozenset(factor.columns) for factor in design.factors}
    told: set[frozenset[str]] = set()
    likely = sorted(plain[:_MOST_FACTORS], key=lambda f: (not _bare(f.levels), len(f.levels)))
    pairs = permutations(likely, 2)
    for inner, outer in pairs:
        both = frozenset((*inner.columns, *outer.columns))
        if both in written or both in told or not _runs(inner.levels) or not _begins_anew(inner, outer):
            continue
        if len(inner.levels) > len(outer.levels) and not _bare(inner.levels):
            continue
        some = _some_rows(outer)
        if _cells_differ(_residuals(design.take(some)), outer.index[some], inner.index[some]):
            told.add(both)
            message = (
                f"The levels of {inner.name} begin anew in each level of {outer.name}, and the cells differ by more"
                f" than the two factors explain: (1 | {outer.name}) + (1 | {inner.name}) takes a level of"
                f" {inner.name} for the same one in all of {outer.name}."
            )
            advice = f"If they are different ones, write (1 | {outer.name}/{inner.name})."
            parameter = f"sd[{inner.name}][Intercept]"
            yield Notice("implicit_nesting", message, "warning", (parameter,), advice)


def _runs(levels: Sequence[Level]) -> bool:
    """Whether labels are consecutive numbers from 0 or 1, or letters, behind a beginning that all share."""
    values = [level[0] for level in levels]
    if all(isinstance(value, int) and not isinstance(value, bool) for value in values):
        return _consecutive([int(value) for value in values])
    if not all(isinstance(value, str) for value in values):
        return False
    texts = [str(value) for value in values]
    numbered = [re.fullmatch(r"(.*?)(\d{1,9})", text, re.DOTALL) for text in texts]
    if all(numbered):
        found = [match for match in numbered if match is not None]
        return len({match[1] for match in found}) == 1 and _consecutive([int(match[2]) for match in found])
    return all(len(text) == 1 and text.isalpha() for text in texts) and _follow([ord(text) for text in texts])


def _bare(levels: Sequence[Level]) -> bool:
    """Whether labels are mere numbers or letters; s01, s02, … are rather names, if there are many."""
    return all(str(level[0]).isdigit() or len(str(level[0])) == 1 for level in levels)


def _consecutive(numbers: Sequence[int]) -> bool:
    return min(numbers) in (0, 1) and _follow(numbers)


def _follow(numbers: Sequence[int]) -> bool:
    return sorted(numbers) == list(range(min(numbers), min(numbers) + len(numbers)))


def _begins_anew(inner: FactorDesign, outer: FactorDesign) -> bool:
    """Whether each level of the outer factor has the first levels of the inner one, in cells of rows to spare."""
    order = np.argsort(np.argsort(_sizes(inner.levels)))
    place = order[inner.index]
    count = len(outer.levels)
    first = np.bincount(outer.index[place == 0], minlength=count) > 0
    present = np.bincount(outer.index, minlength=count) > 0
    if not np.array_equal(first, present) or count * len(inner.levels) > _MOST_CELLS:
        return False
    cells = np.flatnonzero(np.bincount(outer.index * len(inner.levels) + place))
    if len(cells) * 2 > len(place):
        return False
    owners, places = cells // len(inner.levels), cells % len(inner.levels)
    distinct = np.bincount(owners, minlength=count)
    last = np.zeros(count, dtype=np.int64)
    np.maximum.at(last, owners, places + 1)
    return bool(np.array_equal(distinct, last) and distinct.max(initial=0) > 1)


def _sizes(levels: Sequence[Level]) -> list[int]:
    """The number of each label of a run, or the place of its letter."""
    texts = [str(level[0]) for level in levels]
    found = [re.search(r"\d+$", text) for text in texts]
    return [int(match[0]) if match else ord(text[0]) for text, match in zip(texts, found, strict=True)]


def _some_rows(outer: FactorDesign) -> NDArray[np.intp]:
    """The rows of so many levels as make up enough rows for a test; all cells of a level are among them."""
    if len(outer.index) <= _MOST_ROWS:
        return np.arange(len(outer.index))
    ends = np.cumsum(np.bincount(outer.index, minlength=len(outer.levels)))
    some = np.flatnonzero(outer.index < max(int(np.searchsorted(ends, _MOST_ROWS)), 3))
    return some[:: -(-len(some) // _MOST_ROWS)]


def _residuals(design: Design) -> Float:
    """What X does not explain of the response, or of its share of trials, by least squares."""
    assert design.y is not None
    y = design.y if design.trials is None else design.y / np.maximum(design.trials, 1.0)
    x = design.x
    if x.shape[1] == 0 or x.shape[0] * x.shape[1] ** 2 > _WORK:
        return y
    size = np.linalg.norm(x, axis=0)
    x = x / np.where(size > 0, size, 1.0)
    return np.asarray(y - x @ np.linalg.lstsq(x, y, rcond=None)[0])


def _cells_differ(y: Float, outer: Index, inner: Index) -> bool:
    """Whether the means of cells differ by more than sums of an effect of either factor, for their rows' scatter."""
    width = int(inner.max()) + 1
    cells, place = np.unique(outer * width + inner, return_inverse=True)
    counts = np.bincount(place).astype(np.float64)
    means = np.bincount(place, y) / counts
    within = float(np.sum((y - means[place]) ** 2))
    rows, columns = (
        np.unique(cells // width, return_inverse=True)[1],
        np.unique(cells % width, return_inverse=True)[1],
    )
    left = means - np.average(means, weights=counts)
    for _ in range(_SWEEPS):
        for of in (rows, columns):
            left = left - (np.bincount(of, left * counts) / np.bincount(of, counts))[of]
    beyond = float(np.sum(counts * left**2))
    freedom = len(cells) - int(rows.max()) - int(columns.max()) - 1
    spare = len(y) - len(cells)
    if freedom <= 0 or spare <= 0 or beyond <= 1e-12 * float(np.sum(y**2)):
        return False
    if within == 0.0:
        return True
    return bool(f.sf(beyond / freedom / (within / spare), freedom, spare) < _RARE)
