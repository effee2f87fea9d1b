"""CSV as typed columns: a header, quotes as in RFC 4180, and an empty cell is a missing value.

What the file leaves open is found or asked for, and the answer says what was found: the separator, the decimal mark,
the texts that were read as missing, and a first column without a name, which R and pandas write for the row.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv

from model.errors import InvalidModel, Issue
from model.frame.column import ColumnError, Kind
from model.frame.table import Table
from service.caps import refuse_too_large
from service.csv_columns import Decimal, MissingTexts, ReadColumn, comma_evidence, read_cells
from service.csv_dialect import Dialect, find_dialect
from service.settings import Limits

_LISTED = 5
_TWICE = "rename one, and if the header has several lines (a MultiIndex of pandas), join them into one"
_WITHOUT_NAME = "leave it out (row.names = FALSE in R, index=False in pandas), or name it in the header"


@dataclass(frozen=True, slots=True)
class CsvOptions:
    """What is said of a CSV beside it; None is what shall be found.

    `types` are kinds of columns that must be there, `known` of columns that need not, and `kept` texts that are levels
    of a column, whatever they look like. `missing` replaces the texts that usually stand for a missing value.
    """

    types: Mapping[str, Kind] = field(default_factory=dict)
    known: Mapping[str, Kind] = field(default_factory=dict)
    kept: Mapping[str, frozenset[str]] = field(default_factory=dict)
    missing: frozenset[str] | None = None
    separator: str | None = None
    decimal: Decimal | None = None
    charset: str = "utf-8"


def read_csv(data: bytes, limits: Limits, options: CsvOptions) -> tuple[Table, dict[str, Any]]:
    """Read CSV in UTF-8, and say how it was read; raises InvalidModel with every problem."""
    _refuse_broken(data)
    dialect = find_dialect(data, options.separator)
    names = [name.strip() for name in dialect.names]
    issues = [
        Issue("invalid-csv", f"The header names column {name!r} more than once; {_TWICE}.", column=name)
        for name in dict.fromkeys(names)
        if name and names.count(name) > 1
    ]
    issues += [
        Issue("unknown-column", f"`types` names column {name!r}, which the CSV lacks.", column=name)
        for name in options.types
        if name not in names
    ]
    if issues:
        raise InvalidModel(issues)
    refuse_too_large(len(names), 0, limits)
    rows = _rows(data, dialect)
    if not rows.num_rows:
        raise InvalidModel(Issue("no-rows", "The CSV has a header and no rows."))
    refuse_too_large(len(names), rows.num_rows, limits)
    cells = {name: _whole(rows.column(place)) for place, name in enumerate(names) if name}
    indexed = _row_index(names, rows)
    if not cells:
        raise InvalidModel(Issue("invalid-csv", "The first line must name every column."))
    read, decimal = _columns(cells, options, dialect)
    found = {
        "charset": options.charset,
        "separator": dialect.name,
        "decimal": decimal,
        "row_index": indexed,
        "trimmed": sum(column.trimmed for column in read.values()),
        "missing": {name: dict(column.missing) for name, column in read.items() if column.missing},
    }
    return Table({name: column.column for name, column in read.items()}, rows.num_rows), found


def _refuse_broken(data: bytes) -> None:
    if b"\0" in data:
        advice = "name its charset, as in `Content-Type: text/csv; charset=utf-16le`"
        message = f"There are zero bytes in the text (the first: byte {data.index(0)}); {advice}."
        raise InvalidModel(Issue("invalid-csv", message))
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        advice = "name its charset, as in `Content-Type: text/csv; charset=windows-1252`"
        message = f"Byte {error.start} is not UTF-8; {advice}."
        raise InvalidModel(Issue("invalid-csv", message)) from None
    if text.count('"') % 2:
        raise InvalidModel(Issue("invalid-csv", "A quote is opened and not closed."))


def _rows(data: bytes, dialect: Dialect) -> pa.Table:
    wrong: list[pyarrow.csv.InvalidRow] = []
    names = dialect.names

    def note(row: pyarrow.csv.InvalidRow) -> str:
        wrong.append(row)
        return "skip"

    try:
        rows = pyarrow.csv.read_csv(
            pa.BufferReader(pa.py_buffer(data).slice(dialect.start)),
            # Only one thread knows the number of a row, and only one block may hold a cell.
            pyarrow.csv.ReadOptions(use_threads=False, block_size=max(1 << 20, len(data))),
            pyarrow.csv.ParseOptions(
                delimiter=dialect.separator,
                newlines_in_values=True,
                # Of one column an empty line is a row without its value; between the rows of several it is nothing.
                ignore_empty_lines=len(names) > 1,
                invalid_row_handler=note,
            ),
            pyarrow.csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=True, null_values=[""]
            ),
        )
    except pa.ArrowInvalid:
        if not data[dialect.start :].strip().count(b"\n") + data[dialect.start :].strip().count(b"\r"):
            raise InvalidModel(Issue("no-rows", "The CSV has a header and no rows.")) from None
        raise InvalidModel(Issue("invalid-csv", "The body cannot be read as CSV.")) from None
    if rows.column_names != list(names) and not wrong:
        message = "The header cannot be read for certain; quote the whole of a name or nothing of it."
        raise InvalidModel(Issue("invalid-csv", message))
    if wrong:
        listed = ", ".join(f"row {row.number} has {row.actual_columns}" for row in wrong[:_LISTED])
        message = (
            f"{len(wrong)} rows do not have the {len(names)} cells of the header (which is row 1): {listed}."
            f" Cells were read with a {dialect.name} between them; `sep` names another separator."
        )
        raise InvalidModel(Issue("invalid-csv", f"{message}{_advice(wrong, dialect, rows.num_rows)}"))
    return rows


def _advice(wrong: list[pyarrow.csv.InvalidRow], dialect: Dialect, right: int) -> str:
    """What may be the matter with rows of other lengths than the header."""
    some = wrong[:_LISTED]
    if dialect.names[0].startswith("#"):
        return " The header must be the first line; leave out lines of comment."
    if right or any(row.actual_columns != len(dialect.names) + 1 for row in some):
        return ""
    if len(dialect.names) == 1 and dialect.separator == ",":
        return " If the commas are decimal marks, say `sep=semicolon&decimal=comma`."
    if all(row.text.rstrip("\r\n").endswith(dialect.separator) for row in some):
        return f" They end with a {dialect.name}; the header must too, or no row may."
    return " If a row begins with its name, write it without: row.names = FALSE in R."


def _whole(cells: pa.ChunkedArray) -> pa.Array:
    return cells.chunk(0) if cells.num_chunks == 1 else cells.combine_chunks()


def _row_index(names: list[str], rows: pa.Table) -> bool:
    """Whether the first column has no name and numbers or names the rows; raises InvalidModel for others without name.

    A column that is empty from the header on, as spreadsheets leave them, is none.
    """
    indexed = False
    for place, name in enumerate(names):
        cells = rows.column(place)
        if name or cells.null_count == len(cells):
            continue
        if place == 0 and not cells.null_count and pc.count_distinct(cells).as_py() == len(cells):
            indexed = True
            continue
        message = f"Column {place + 1} has no name, and does not number the rows; {_WITHOUT_NAME}."
        raise InvalidModel(Issue("invalid-csv", message))
    return indexed


def _columns(
    cells: Mapping[str, pa.Array], options: CsvOptions, dialect: Dialect
) -> tuple[dict[str, ReadColumn], Decimal]:
    """Read all columns, and again those with a decimal comma where that is what the file has."""
    issues: list[Issue] = []
    read: dict[str, ReadColumn] = {}

    def read_all(names: list[str], decimal: Decimal) -> None:
        for name in names:
            forced = options.types.get(name) or options.known.get(name)
            try:
                read[name] = read_cells(cells[name], forced, _missing(options, name), decimal)
            except ColumnError as problem:
                issues.append(Issue(problem.code, f"Column {name!r} {problem}", column=name))

    read_all(list(cells), options.decimal or ".")
    decimal = options.decimal or "."
    if options.decimal is None and dialect.separator != ",":
        kinds = {column.column.kind for column in read.values()}
        free = [name for name in read if name not in options.types and name not in options.known]
        evidence = {name: shown for name in free if (shown := comma_evidence(read[name].column)) is not None}
        if any(evidence.values()):
            if "number" in kinds:
                written = next(name for name, sure in evidence.items() if sure)
                message = f"Column {written!r} has a decimal comma and others a point; say which it is by `decimal`."
                raise InvalidModel([*issues, Issue("invalid-csv", message, column=written)])
            decimal = ","
            read_all(list(evidence), decimal)
    if issues:
        raise InvalidModel(issues)
    return read, decimal


def _missing(options: CsvOptions, name: str) -> MissingTexts:
    if options.missing is not None:
        return MissingTexts(options.missing, frozenset())
    kept = options.kept.get(name)
    usual = MissingTexts()
    return usual if not kept else MissingTexts(usual.everywhere - kept, usual.beside_numbers - kept)
