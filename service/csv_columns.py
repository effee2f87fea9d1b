"""The cells of one column of CSV become typed values, and what was read as missing is counted.

A column is boolean, integer or number if all its cells are, but those that stand for a missing value; else it is text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.frame.column import EXACT_FLOAT, Column, ColumnError, Kind
from model.frame.lookalikes import DOUBTFUL_TEXTS, MISSING_TEXTS, show
from service.arrow_tables import column_of

Decimal = Literal[".", ","]

# Digits that begin with 0 are a code, such as a postcode, and would not survive as a number.
_BOOLEAN = "^(true|false|TRUE|FALSE|True|False)$"
_INTEGER = "^-?(0|[1-9][0-9]*)$"
_NUMBERS: Mapping[Decimal, str] = {
    ".": r"^[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$",
    ",": r"^[+-]?((0|[1-9][0-9]*)(,[0-9]*)?|,[0-9]+)([eE][+-]?[0-9]+)?$",
}
# So is 1E5 where no cell has a decimal point or an exponent with a sign, as programs write them.
_CODE = "^[0-9]+[eE][0-9]+$"
_WRITTEN_BY_PROGRAMS = "[.,]|[eE][+-]"
# 1,234 is a number with a decimal comma or with thousands; nobody can tell.
_AMBIGUOUS = "^[+-]?[1-9][0-9]{0,2},[0-9]{3}$"
_ARROW = {"boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64()}
_GUESSED: tuple[Kind, ...] = ("boolean", "integer", "number")
_FIRST = 1_000
_LISTED = 5


@dataclass(frozen=True, slots=True)
class MissingTexts:
    """Texts that stand for a missing value: in every column, and in those alone that hold no text beside them."""

    everywhere: frozenset[str] = MISSING_TEXTS
    beside_numbers: frozenset[str] = DOUBTFUL_TEXTS


@dataclass(frozen=True, slots=True)
class ReadColumn:
    """A column, the texts that were read as missing with their numbers of cells, and how many cells lost blanks."""

    column: Column
    missing: Mapping[str, int] = field(default_factory=dict)
    trimmed: int = 0


def read_cells(
    cells: pa.Array, forced: Kind | None, missing: MissingTexts, decimal: Decimal = "."
) -> ReadColumn:
    """Read the texts of a column, of which null is an empty cell; `forced` is its kind if that is known.

    Raises ColumnError for cells that are not of their kind, or that no value holds exactly.
    """
    if cells.null_count == len(cells) and forced is None:
        return ReadColumn(column_of(pa.chunked_array([pa.nulls(len(cells))])))
    for kind in _GUESSED if forced is None else (forced,):
        if kind != "text" and _all(cells[:_FIRST], kind, decimal) and _all(cells, kind, decimal):
            if kind == "number" and forced is None and _holds_codes(cells):
                break
            return _without(ReadColumn(_values(cells, kind, decimal)), missing)
    return _read_texts(cells, forced, missing, decimal)


def comma_evidence(column: Column) -> bool | None:
    """Say of a column of text whether it shows a decimal comma: surely, possibly (False), or not at all (None)."""
    if column.kind != "text" or not _all(pa.array(column.dictionary[:_FIRST], pa.string()), "number", ","):
        return None
    used = np.unique(column.values[column.values >= 0])
    texts = pa.array([column.dictionary[code] for code in used.tolist()], pa.string())
    if not _all(texts, "number", ","):
        return None
    with_comma = texts.filter(pc.match_substring(texts, ","))
    return bool(pc.any(pc.invert(_matches(with_comma, _AMBIGUOUS))).as_py())


def _read_texts(cells: pa.Array, forced: Kind | None, missing: MissingTexts, decimal: Decimal) -> ReadColumn:
    """Read a column some of whose cells are of no kind, by its distinct texts."""
    coded = cells.dictionary_encode()
    raw = coded.dictionary
    texts = pc.utf8_trim_whitespace(raw)
    codes = coded.indices.fill_null(len(raw)).to_numpy(zero_copy_only=False)
    counts = np.bincount(codes, minlength=len(raw) + 1)[: len(raw)]
    gone = pc.or_(pc.equal(texts, ""), _among(texts, missing.everywhere))
    doubtful = pc.or_(gone, _among(texts, missing.beside_numbers))
    rest = texts.filter(pc.invert(doubtful))
    kind: Kind = "text"
    if forced is not None:
        kind = forced
    elif (guess := next((guess for guess in _GUESSED if _all(rest, guess, decimal)), None)) is not None:
        kind = "text" if guess == "number" and _holds_codes(rest) else guess
    if kind != "text":
        gone = doubtful
        kept = texts.filter(pc.invert(gone))
        if not _all(kept, kind, decimal):
            raise _unlike(cells, pc.if_else(gone, None, texts), kind, decimal)
    lost = gone.to_numpy(zero_copy_only=False)
    found: dict[str, int] = {}
    for place in np.flatnonzero(lost).tolist():
        if text := texts[place].as_py():
            found[text] = found.get(text, 0) + int(counts[place])
    changed = pc.not_equal(raw, texts).to_numpy(zero_copy_only=False) & ~lost
    values = pc.if_else(gone, None, texts)
    if kind == "text":
        column = column_of(pa.chunked_array([pa.DictionaryArray.from_arrays(coded.indices, values)]))
    else:
        column = _values(values, kind, decimal, coded.indices)
    read = ReadColumn(column, found, int(counts[changed].sum()))
    return _without(read, missing) if kind != "text" else read


def _values(cells: pa.Array, kind: Kind, decimal: Decimal, places: pa.Array | None = None) -> Column:
    """Convert texts that are all of a kind; with `places` they are distinct, and these say which is in each row."""
    if kind == "number":
        _refuse_inexact(cells)
        if decimal == ",":
            cells = pc.replace_substring(cells, ",", ".")
    try:
        values = pc.cast(cells, _ARROW[kind])
    except pa.ArrowInvalid:
        raise ColumnError("integer-out-of-range", "holds an integer beyond 64 bits.") from None
    return column_of(pa.chunked_array([values if places is None else values.take(places)]))


def _without(read: ReadColumn, missing: MissingTexts) -> ReadColumn:
    """The column without the numbers that stand for a missing value, however they are written: -999 and -999.0."""
    column = read.column
    if column.kind == "boolean" or missing.everywhere is MISSING_TEXTS:
        return read
    gone = np.zeros(len(column), dtype=np.bool_) if column.missing is None else column.missing.copy()
    found = dict(read.missing)
    for text in sorted(missing.everywhere):
        value = _number(text)
        equal = None if value is None else (column.values == value) & ~gone
        if equal is not None and equal.any():
            found[text] = found.get(text, 0) + int(np.count_nonzero(equal))
            gone |= equal
    values = np.where(gone, column.values.dtype.type(0), column.values)
    return ReadColumn(Column(column.kind, values, gone if gone.any() else None), found, read.trimmed)


def _number(text: str) -> int | float | None:
    if re.fullmatch(_INTEGER, text):
        return int(text)
    return float(text) if re.fullmatch(_NUMBERS["."], text) else None


def _pattern(kind: Kind, decimal: Decimal) -> str:
    return _NUMBERS[decimal] if kind == "number" else _BOOLEAN if kind == "boolean" else _INTEGER


def _matches(cells: pa.Array, pattern: str) -> pa.Array:
    return pc.match_substring_regex(cells, pattern)


def _all(cells: pa.Array, kind: Kind, decimal: Decimal) -> bool:
    return int(pc.index(_matches(cells, _pattern(kind, decimal)), False).as_py()) < 0


def _holds_codes(cells: pa.Array) -> bool:
    """Whether numbers with exponents, such as 1E5, are codes: none is written as programs write numbers."""
    if pc.any(pc.match_substring(cells, ".")).as_py():
        return False
    return (
        bool(pc.any(_matches(cells, _CODE)).as_py())
        and not pc.any(_matches(cells, _WRITTEN_BY_PROGRAMS)).as_py()
    )


def _among(texts: pa.Array, wanted: frozenset[str]) -> pa.Array:
    return pc.is_in(texts, pa.array(sorted(wanted), texts.type))


def _unlike(cells: pa.Array, texts: pa.Array, kind: Kind, decimal: Decimal) -> ColumnError:
    """Name the cells of a column that is to be of a kind that they are not."""
    odd = texts.filter(pc.invert(_matches(texts, _pattern(kind, decimal)))).to_pylist()
    trimmed = pc.utf8_trim_whitespace(cells)
    rows = sorted((int(pc.index(trimmed, text).as_py()), text) for text in odd[: 10 * _LISTED])[:_LISTED]
    listed = ", ".join(f"{show(text)} (row {row})" for row, text in rows)
    rest = f" and {len(odd) - _LISTED:,} other texts" if len(odd) > _LISTED else ""
    return ColumnError(
        "column-type", f"is to be {kind}, which these cells are not: {listed}{rest}.", rows[0][0]
    )


def _refuse_inexact(cells: pa.Array) -> None:
    whole = pc.if_else(_matches(cells, _INTEGER), cells, None)
    if whole.null_count == len(whole):
        return
    try:
        beyond = pc.greater(pc.abs_checked(pc.cast(whole, pa.int64())), EXACT_FLOAT)
    except pa.ArrowInvalid:
        raise ColumnError("integer-out-of-range", "holds an integer beyond 64 bits.") from None
    text = cells.filter(beyond)
    if len(text):
        message = f"mixes decimals with an integer that they cannot hold exactly, {show(text[0].as_py())}."
        raise ColumnError("mixed-types", message)
