"""The grouping factors of a model: levels, coefficients, blocks, and each row's level.

A level is a tuple of values, one for each column of the factor, and never a pasted string.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidModel, Issue
from model.frame.column import EXACT_FLOAT, Column
from model.frame.design import FactorDesign, Level
from model.frame.levels import Value, cells, distinct
from model.frame.matrix import Matrix
from model.frame.table import Table
from model.frame.variables import Variables
from model.language.terms import Grouping

Index = NDArray[np.int64]


@dataclass(frozen=True)
class Factor:
    """One grouping factor as it was learnt; `blocks` partitions the coefficients (see `FactorDesign`)."""

    name: str
    columns: tuple[str, ...]
    levels: tuple[Level, ...]
    matrices: tuple[Matrix, ...]
    correlated: tuple[bool, ...]

    @cached_property
    def coefficients(self) -> tuple[str, ...]:
        """The names of the coefficients."""
        return tuple(name for matrix in self.matrices for name in matrix.names)

    @cached_property
    def blocks(self) -> tuple[tuple[int, ...], ...]:
        """The coefficients that are correlated with each other."""
        blocks: list[tuple[int, ...]] = []
        at = 0
        for matrix, correlated in zip(self.matrices, self.correlated, strict=True):
            members = tuple(range(at, at + matrix.width))
            blocks.extend([members] if correlated else [(member,) for member in members])
            at += matrix.width
        return tuple(blocks)

    @property
    def width(self) -> int:
        """Number of coefficients, known without their names."""
        return sum(matrix.width for matrix in self.matrices)

    @cached_property
    def places(self) -> dict[Level, int]:
        """The index of each level."""
        return {level: place for place, level in enumerate(self.levels)}

    def encode(self, table: Table) -> FactorDesign:
        """The factor's covariates and the level of each row; a decimal is a level that the fit does not know."""
        z = np.hstack([matrix.build(table) for matrix in self.matrices])
        found, index = cells([table[name] for name in self.columns])
        known = len(self.levels)
        places: list[int] = []
        new: list[Level] = []
        for cell in found:
            level = _level(cell)
            place = self.places.get(level)
            if place is None:
                place = known + len(new)
                new.append(level)
            places.append(place)
        placed = np.append(np.array(places, dtype=np.int64), -1)[index]
        return FactorDesign(
            self.name, self.columns, self.levels, self.coefficients, self.blocks, z, placed, tuple(new)
        )


def make_factor(grouping: Grouping, variables: Variables, levels: Sequence[Level]) -> Factor:
    """A factor from its terms, what the variables have learnt, and its levels."""
    return Factor(
        grouping.name,
        grouping.columns,
        tuple(levels),
        tuple(Matrix(bar.terms, variables) for bar in grouping.bars),
        tuple(bar.correlated for bar in grouping.bars),
    )


def group_column(table: Table, name: str) -> Column:
    """A grouping column, integral numbers as integers; raises InvalidModel for other numbers."""
    column = table[name]
    if column.kind != "number" or column.empty:
        return column
    whole = column.integral()
    if whole is None:
        message = f"Column {name!r} holds decimals; a grouping column holds text, whole numbers or booleans."
        raise InvalidModel(Issue("column-type", message, table.pointer(name), column=name))
    if np.any(np.abs(column.values) > EXACT_FLOAT):
        message = (
            f"Column {name!r} holds numbers beyond 2^53 in floating point, where several ids can be one number;"
            " send them as 64-bit integers or as text."
        )
        raise InvalidModel(Issue("column-type", message, table.pointer(name), column=name))
    return Column("integer", whole, column.missing)


def learn_levels(grouping: Grouping, table: Table, given: Mapping[str, Sequence[Value]]) -> tuple[Level, ...]:
    """The levels of a factor in order: those that `given` names, or the observed ones, as cells always are.

    Raises InvalidModel for a column that cannot group, or that has one level.
    """
    columns = [group_column(table, name) for name in grouping.columns]
    found, _ = cells(columns)
    orders = [given.get(name) for name in grouping.columns]
    levels: list[Level]
    if len(columns) == 1 and orders[0] is not None:
        levels = [_level((value,)) for value in orders[0]]
    else:
        ranks = [
            {value: rank for rank, value in enumerate(distinct(column)[0] if order is None else order)}
            for column, order in zip(columns, orders, strict=True)
        ]
        known = [c for c in found if all(v in rank for v, rank in zip(c, ranks, strict=True))]
        known.sort(key=lambda cell: tuple(rank[v] for v, rank in zip(cell, ranks, strict=True)))
        levels = [_level(cell) for cell in known]
    if len(levels) < 2:
        message = f"The grouping factor {grouping.name} has one level; it needs at least two."
        raise InvalidModel(Issue("too-few-levels", message, "/formula", column=grouping.columns[0]))
    return tuple(levels)


def _level(cell: Sequence[Value]) -> Level:
    # 2004.0 and 2004 are one level
    return tuple(int(value) if isinstance(value, float) and value.is_integer() else value for value in cell)
