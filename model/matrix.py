"""The columns of a model matrix, as R's `model.matrix` makes them from terms.

Names and number of columns are known from what was learnt, before any column is made.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from model.syntax import Node
from model.table import Table
from model.terms import Terms, full_coding
from model.variables import Variables

Float = NDArray[np.float64]


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
        crossed = [intercept] if self.terms.intercept else []
        for part in self.parts:
            joined = [""]
            for key in part:
                # the first variable varies fastest, as in R
                joined = [
                    f"{before}{mark}{text}" if before else text for text in texts(*key) for before in joined
                ]
            crossed.extend(joined)
        return tuple(crossed)

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
            product: Float | None = None
            for key in part:
                if key not in cache:
                    values = self.variables.values(*key, table)
                    cache[key] = values[:, None] if values.ndim == 1 else values
                values = cache[key]
                if product is None:
                    product = values
                else:
                    product = (values[:, :, None] * product[:, None, :]).reshape(table.rows, -1)
            if product is not None:
                matrix[:, at : at + product.shape[1]] = product
                at += product.shape[1]
        return matrix
