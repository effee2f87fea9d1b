"""CSV as typed columns: UTF-8, a header, quotes as in RFC 4180, and an empty cell is a missing value.

A column is boolean, integer or number if all its cells are, else text; nothing else is guessed.
"""

import csv
import io
from collections.abc import Mapping

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from model.errors import InvalidModel, Issue
from model.frame.column import EXACT_FLOAT, Column, ColumnError, Kind
from model.frame.table import Table
from service.arrow_tables import column_of
from service.caps import refuse_too_large
from service.settings import Limits

# Digits that begin with 0 are a code, such as a postcode, and would not survive as a number.
_PATTERNS: Mapping[Kind, str] = {
    "boolean": "^(true|false|TRUE|FALSE|True|False)$",
    "integer": "^-?(0|[1-9][0-9]*)$",
    "number": r"^[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?$",
}
_ARROW = {"boolean": pa.bool_(), "integer": pa.int64(), "number": pa.float64()}
_LISTED = 5


def read_csv(
    data: bytes, limits: Limits, types: Mapping[str, Kind], missing: frozenset[str], known: Mapping[str, Kind]
) -> Table:
    """Read CSV; `types` and `known` force the kinds of columns, `missing` are texts that stand for a missing value.

    Raises InvalidModel with every problem.
    """
    names = _header(data, types)
    refuse_too_large(len(names), 0, limits)
    rows = _rows(data, names, missing)
    if not rows.num_rows:
        raise InvalidModel(Issue("no-rows", "The CSV has a header and no rows."))
    refuse_too_large(len(names), rows.num_rows, limits)
    issues, columns = [], {}
    for name in names:
        try:
            columns[name] = _typed(rows[name], types.get(name) or known.get(name))
        except ColumnError as problem:
            issues.append(Issue(problem.code, f"Column {name!r} {problem}", column=name))
    if issues:
        raise InvalidModel(issues)
    return Table(columns, rows.num_rows)


def _header(data: bytes, types: Mapping[str, Kind]) -> list[str]:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        advice = "name its charset, as in `Content-Type: text/csv; charset=windows-1252`"
        message = f"Byte {error.start} is not UTF-8; {advice}."
        raise InvalidModel(Issue("invalid-csv", message)) from None
    if "\0" in text:
        advice = "name its charset, as in `Content-Type: text/csv; charset=utf-16le`"
        message = f"There are zero bytes in the text; {advice}."
        raise InvalidModel(Issue("invalid-csv", message))
    if text.count('"') % 2:
        raise InvalidModel(Issue("invalid-csv", "A quote is opened and not closed."))
    try:
        names = next(csv.reader(io.StringIO(text, newline="")), [])
    except csv.Error:
        raise InvalidModel(Issue("invalid-csv", "The header cannot be read.")) from None
    issues = [
        Issue("invalid-csv", f"The header names column {name!r} more than once.", column=name)
        for name in dict.fromkeys(names)
        if names.count(name) > 1
    ]
    if not names or "" in names:
        issues.append(Issue("invalid-csv", "The first line must name every column."))
    issues += [
        Issue("unknown-column", f"`types` names column {name!r}, which the CSV lacks.", column=name)
        for name in types
        if name not in names
    ]
    if issues:
        raise InvalidModel(issues)
    return names


def _rows(data: bytes, names: list[str], missing: frozenset[str]) -> pa.Table:
    wrong: list[pyarrow.csv.InvalidRow] = []

    def note(row: pyarrow.csv.InvalidRow) -> str:
        wrong.append(row)
        return "skip"

    try:
        rows = pyarrow.csv.read_csv(
            pa.BufferReader(data),
            # Only one thread knows the number of a row, and only one block may hold a cell.
            pyarrow.csv.ReadOptions(use_threads=False, block_size=max(1 << 20, len(data))),
            pyarrow.csv.ParseOptions(newlines_in_values=True, invalid_row_handler=note),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()),
                strings_can_be_null=True,
                null_values=["", *missing],
            ),
        )
    except pa.ArrowInvalid:
        raise InvalidModel(Issue("invalid-csv", "The body cannot be read as CSV.")) from None
    if wrong:
        listed = ", ".join(f"row {row.number} has {row.actual_columns}" for row in wrong[:_LISTED])
        message = (
            f"{len(wrong)} rows do not have the {len(names)} cells of the header (which is row 1): {listed}."
        )
        raise InvalidModel(Issue("invalid-csv", message))
    return rows


def _typed(cells: pa.ChunkedArray, forced: Kind | None) -> Column:
    if cells.null_count == len(cells) and forced is None:
        return column_of(pa.chunked_array([pa.nulls(len(cells))]))
    kind: Kind = forced or _guess(cells)
    if kind == "text":
        return column_of(cells)
    if (row := _row_unlike(cells, kind)) is not None:
        raise ColumnError("column-type", f"is to be {kind}, which row {row} is not.", row)
    try:
        if kind == "number":
            _refuse_inexact(cells)
        return column_of(pc.cast(cells, _ARROW[kind]))
    except pa.ArrowInvalid:
        raise ColumnError("integer-out-of-range", "holds an integer beyond 64 bits.") from None


def _guess(cells: pa.ChunkedArray) -> Kind:
    for kind in _PATTERNS:
        if _row_unlike(cells, kind) is None:
            return kind
    return "text"


def _row_unlike(cells: pa.ChunkedArray, kind: Kind) -> int | None:
    """The first row, from 0, whose cell is not of a kind; None if all are."""
    row = int(pc.index(pc.match_substring_regex(cells, _PATTERNS[kind]), False).as_py())
    return None if row < 0 else row


def _refuse_inexact(cells: pa.ChunkedArray) -> None:
    whole = pc.if_else(pc.match_substring_regex(cells, _PATTERNS["integer"]), cells, None)
    beyond = pc.greater(pc.abs_checked(pc.cast(whole, pa.int64())), EXACT_FLOAT)
    row = pc.index(beyond, True).as_py()
    if row >= 0:
        raise ColumnError(
            "mixed-types", f"mixes decimals with an integer that they cannot hold exactly (row {row}).", row
        )
