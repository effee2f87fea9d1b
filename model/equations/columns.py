"""The columns of a design, each split into what varies between the rows and what says something of whole levels.

Columns with equal covariates of the rows are about one coefficient of the equation of a row.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from model.equations.covariates import Identity, identity
from model.equations.expressions import Index
from model.frame.grouping import Factor
from model.frame.learnt import Encoding
from model.frame.matrix import Piece

_LETTERS = "klmnpqrst"
Key = frozenset[Identity]
"""Which coefficient a column is about: its covariates of the rows, none for the intercept."""


@dataclass(frozen=True, slots=True)
class SplitColumn:
    """A column of X or of a factor's z, as the product of pieces of either sort."""

    name: str
    of_rows: tuple[Piece, ...]
    of_levels: tuple[Piece, ...]
    key: Key


def level_letters(encoding: Encoding) -> dict[str, str]:
    """The letter that runs over each grouping column, those of a cell being its index together."""
    names = dict.fromkeys(name for factor in encoding.factors for name in factor.columns)
    count = len(_LETTERS)
    return {
        name: _LETTERS[place % count] + (str(place // count + 1) if place >= count else "")
        for place, name in enumerate(names)
    }


def level_predictors(encoding: Encoding, levels: Sequence[Index]) -> dict[str, Index]:
    """The variables, by their text, that say something of whole levels, with the index of the fewest such levels.

    A variable whose slope varies between the levels of any factor belongs to the rows, as its slope does.
    """
    columns = (
        column for factor in encoding.factors for matrix in factor.matrices for column in matrix.columns
    )
    sloped = {str(piece.variable) for column in columns for piece in column}
    found: dict[str, Index] = {}
    for place in sorted(range(len(levels)), key=lambda place: -len(encoding.factors[place].levels)):
        found |= {text: levels[place] for text in encoding.constants[place] if text not in sloped}
    return found


def population_columns(encoding: Encoding, of_levels: Mapping[str, Index]) -> Iterator[SplitColumn]:
    """The columns of X that are not aliased."""
    matrix = encoding.matrix
    for name, pieces in zip(matrix.names, matrix.columns, strict=True):
        if name not in encoding.aliased:
            yield _split(name, pieces, encoding, of_levels)


def group_columns(factor: Factor, encoding: Encoding) -> Iterator[SplitColumn]:
    """The columns of a factor's z."""
    pieces = (column for matrix in factor.matrices for column in matrix.columns)
    for name, column in zip(factor.coefficients, pieces, strict=True):
        yield _split(name, column, encoding, {})


def _split(
    name: str, pieces: Sequence[Piece], encoding: Encoding, of_levels: Mapping[str, Index]
) -> SplitColumn:
    inner = tuple(piece for piece in pieces if str(piece.variable) not in of_levels)
    outer = tuple(piece for piece in pieces if str(piece.variable) in of_levels)
    return SplitColumn(name, inner, outer, frozenset(identity(piece, encoding.variables) for piece in inner))
