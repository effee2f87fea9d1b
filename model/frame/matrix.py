"""The columns of a model matrix, as R's `model.frame.matrix` makes them from terms.

Names and number of columns are known from what was learnt, before any column is made.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from model.frame.table import Table
from model.frame.variables import Variables
from model.language.syntax import Node
from model.language.terms import Terms, full_coding

Float = NDArray[np.float64]


class Piece(NamedTuple):
    """One column of a variable; `full`: of those that it has where each level has one."""

    variable: Node
    full: bool
    place: int


@dataclass(frozen=True)
class Matrix:
    """The recipe for the columns of some terms."""

    terms: Terms
    variables: Variables

    @cached_property
    def parts(self) -> tuple[tuple[tuple[Node, bool], ...], ...]:
        """For every term its variables, each with whether it has one column per level."""
        coding = full_coding(self.terms, self.variables.categorical)
        return tuple(
            tuple(zip(term.variables, full, strict=True))
            for term, full in zip(self.terms.terms, coding, strict=True)
        )

    @cached_property
    def columns(self) -> tuple[tuple[Piece, ...], ...]:
        """For every column the pieces that it is the product of; none for the intercept."""
        columns: list[tuple[Piece, ...]] = [()] if self.terms.intercept else []
        for part in self.parts:
            # the first variable varies fastest, as in R
            places = product(*(range(self.variables.width(*key)) for key in reversed(part)))
            columns.extend(
                tuple(Piece(*key, place) for key, place in zip(part, reversed(chosen), strict=True))
                for chosen in places
            )
        return tuple(columns)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names of the columns."""
        return self._crossed("Intercept", ":", self.variables.names)

    @cached_property
    def meanings(self) -> tuple[str, ...]:
        """What the columns stand for, in words."""
        return self._crossed("the intercept", " × ", self.variables.meanings)

    def _crossed(
        self, intercept: str, mark: str, texts: Callable[[Node, bool], tuple[str, ...]]
    ) -> tuple[str, ...]:
        known = {key: texts(*key) for part in self.parts for key in part}
        return tuple(
            mark.join(known[piece.variable, piece.full][piece.place] for piece in column) or intercept
            for column in self.columns
        )

    @cached_property
    def width(self) -> int:
        """Number of columns."""
        widths = (math.prod(self.variables.width(*key) for key in part) for part in self.parts)
        return self.terms.intercept + sum(widths)

    def build(self, table: Table) -> Float:
        """The columns: (row, column)."""
        matrix = np.empty((table.rows, self.width))
        at = 0
        if self.terms.intercept:
            matrix[:, 0] = 1.0
            at = 1
        cache: dict[tuple[Node, bool], Float] = {}
        for part in self.parts:
            crossed: Float | None = None
            for key in part:
                if key not in cache:
                    values = self.variables.values(*key, table)
                    cache[key] = values[:, None] if values.ndim == 1 else values
                values = cache[key]
                if crossed is None:
                    crossed = values
                else:
                    crossed = (values[:, :, None] * crossed[:, None, :]).reshape(table.rows, -1)
            if crossed is not None:
                matrix[:, at : at + crossed.shape[1]] = crossed
                at += crossed.shape[1]
        return matrix
