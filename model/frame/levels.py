"""The levels of categorical columns and of their cells: distinct values, and each row's place among them.

Numbers are ordered by value, strings as the column's dictionary is; a missing value has the index -1.
"""

from collections.abc import Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from model.frame.column import Column
from model.language.spelling import number_text

Value: TypeAlias = str | int | float | bool
Index = NDArray[np.int64]


def distinct(column: Column) -> tuple[list[Value], Index]:
    """The distinct values of a column, in the order of its levels, and each row's place among them: (row,)."""
    if column.kind == "text":
        places, codes = _compact(column.values.astype(np.int64), len(column.dictionary))
        return [column.dictionary[place] for place in places.tolist()], codes
    whole = column.values.astype(np.int64) if column.kind == "boolean" else column.integral()
    values: NDArray[np.int64] | NDArray[np.float64] = column.values if whole is None else whole
    present = values if column.missing is None else values[~column.missing]
    if present.size == 0:
        return [], np.full(len(column), -1)
    low, high = present.min(), present.max()
    if whole is not None and int(high) - int(low) < 4 * len(values) + 16:
        codes = whole - low
        if column.missing is not None:
            codes[column.missing] = -1
        places, codes = _compact(codes, int(high - low) + 1)
        found: list[Value] = (places + low).tolist()
    else:
        unique, inverse = np.unique(present, return_inverse=True)
        codes = np.full(len(column), -1)
        codes[slice(None) if column.missing is None else ~column.missing] = inverse
        found = unique.tolist()
    return [bool(value) for value in found] if column.kind == "boolean" else found, codes


def cells(columns: Sequence[Column]) -> tuple[list[tuple[Value, ...]], Index]:
    """The observed cells of some columns, and each row's cell: (row,), -1 where a value is missing."""
    values, index = distinct(columns[0])
    found: list[tuple[Value, ...]] = [(value,) for value in values]
    for column in columns[1:]:
        inner, inner_index = distinct(column)
        codes = np.where((index < 0) | (inner_index < 0), -1, index * len(inner) + inner_index)
        places, index = _compact(codes, len(found) * len(inner))
        found = [(*found[place // len(inner)], inner[place % len(inner)]) for place in places.tolist()]
    return found, index


def _compact(codes: Index, size: int) -> tuple[Index, Index]:
    """The codes below `size` that occur, and the codes renumbered by their places among them."""
    if size > 4 * len(codes) + 16:
        places, index = np.unique(codes, return_inverse=True)
        absent = int(places.size > 0 and places[0] < 0)
        return places[absent:], index.astype(np.int64) - absent
    counts = np.bincount(codes + 1, minlength=size + 1)[1:]
    places = np.flatnonzero(counts)
    if len(places) == size:
        return places, codes
    renumbered = np.full(size + 1, -1)
    renumbered[places] = np.arange(len(places))
    return places, renumbered[codes]


def level_label(value: Value) -> str:
    """A level as it is printed: booleans as in JSON, numbers as in R."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return number_text(value) if isinstance(value, float) else str(value)


def coefficient_label(value: Value) -> str:
    """A level as it ends the name of a coefficient: as in R, booleans too."""
    return level_label(value).upper() if isinstance(value, bool) else level_label(value)


def listing(values: Sequence[object], limit: int = 10) -> str:
    """Values for a message, the first few of many."""
    shown = ", ".join(map(repr, values[:limit]))
    return shown if len(values) <= limit else f"{shown} and {len(values) - limit} more"
