"""How a CSV is laid out: what separates its cells, and what its header names.

A separator is asked for, or found: it is the only one by which the first records have as many cells as the header.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

from model.errors import InvalidModel, Issue

SEPARATORS: Mapping[str, str] = {
    "comma": ",",
    "semicolon": ";",
    "tab": "\t",
    "pipe": "|",
    "space": " ",
}
"""What separates cells, by name."""
_FOUND = ("comma", "semicolon", "tab", "pipe")
_NAMES = {separator: name for name, separator in SEPARATORS.items()}
_LOOKED_AT = 50
_NUMBER = re.compile(r"[+-]?\d+(?:[.,]\d*)?|[+-]?[.,]\d+")
_SHEET_LINE = re.compile(rb'("?)sep=(.)\1(?:\r\n|\r|\n)', re.IGNORECASE)
"""A line for spreadsheet programs alone, which programs that write CSV may quote as they do a cell."""
_EMPTY_LINES = re.compile(rb"[\r\n]+")
_UNUSUAL = ("::", ":", "^", "~", "!", "\x01", "\x1f", "¦", "/", "\\", "#")
"""What separates the cells of some files, and is not read here."""


@dataclass(frozen=True, slots=True)
class Dialect:
    """The layout of a CSV; `names` are the header's cells as they stand, `start` the byte where it begins."""

    separator: str
    names: tuple[str, ...]
    start: int

    @property
    def name(self) -> str:
        """What the separator is called."""
        return _NAMES[self.separator]


def find_dialect(data: bytes, asked: str | None) -> Dialect:
    """Find the layout of text in UTF-8; `asked` is the separator if the sender says it. Raises InvalidModel."""
    start = 0
    if (line := _SHEET_LINE.match(data)) is not None:
        start = line.end()
        if asked is None:
            asked = line[2].decode("latin-1")
        if asked not in _NAMES:
            raise _invalid("The line `sep=` names a separator that is not known here.")
    if (empty := _EMPTY_LINES.match(data, start)) is not None:
        # The header is the first line that is not empty; later an empty line may be a row.
        start = empty.end()
    text = memoryview(data)[start:]
    separator = asked if asked is not None else _found(text)
    records = _records(text, separator)
    if not records:
        raise _invalid("The first line must name every column.")
    if len(records[0]) == 1:
        if asked is None:
            _refuse_blanks(records)
            _refuse_unusual(records)
        else:
            _refuse_another(text, asked)
    return Dialect(separator, tuple(records[0]), start)


def _found(text: memoryview) -> str:
    tried = {SEPARATORS[name]: _records(text, SEPARATORS[name]) for name in _FOUND}
    widths = {
        separator: [len(record) for record in records] for separator, records in tried.items() if records
    }
    fitting = [separator for separator, counts in widths.items() if counts[0] > 1 and len(set(counts)) == 1]
    if len(fitting) > 1:
        names = " or by ".join(f"`sep={_NAMES[separator]}`" for separator in fitting)
        raise _invalid(f"The cells may be separated in more than one way; say which, by {names}.")
    if fitting:
        return fitting[0]
    # Rows of other lengths are refused later, with their numbers.
    return max(widths, key=lambda separator: widths[separator][0], default=",")


def _records(text: memoryview, separator: str) -> list[list[str]]:
    """The first records that are not empty, the header included; as many as can be read."""
    lines = io.TextIOWrapper(io.BytesIO(text), encoding="utf-8", newline="")
    found: list[list[str]] = []
    try:
        for record in islice(
            (record for record in csv.reader(lines, delimiter=separator) if record), _LOOKED_AT
        ):
            found.append(record)
    except csv.Error:
        if not found:
            raise _invalid("The header cannot be read.") from None
    return found


def _refuse_another(text: memoryview, asked: str) -> None:
    """Refuse one column by the separator that is said where the first records have several by another."""
    for name in _FOUND:
        widths = {len(record) for record in _records(text, SEPARATORS[name])}
        if SEPARATORS[name] != asked and len(widths) == 1 and max(widths) > 1:
            raise _invalid(
                f"By a {_NAMES[asked]} there is one column, and by a {name} there are {max(widths)};"
                f" say `sep={name}`, or nothing, so that it is found."
            )


def _refuse_unusual(records: Sequence[Sequence[str]]) -> None:
    """Refuse one column that looks like several with a separator between them that is not read here."""
    for separator in _UNUSUAL:
        header, *rows = [record[0].split(separator) for record in records if len(record) == 1]
        if len(header) > 1 and rows and {len(row) for row in rows} == {len(header)} and _some_numeric(rows):
            known = ", ".join(SEPARATORS)
            raise _invalid(
                f"Cells seem to be separated by {separator!r}, which is not read here;"
                f" write the file with one of these: {known}."
            )


def _some_numeric(rows: Sequence[Sequence[str]]) -> bool:
    return any(
        all(_NUMBER.fullmatch(row[place].strip().strip('"')) for row in rows)
        for place in range(min(map(len, rows)))
    )


def _refuse_blanks(records: Sequence[Sequence[str]]) -> None:
    """Refuse one column that looks like several with blanks between them, of which some are numbers."""
    cells = [record[0].split() for record in records if len(record) == 1]
    header, rows = cells[0], cells[1:]
    if len(header) < 2 or not rows or len(rows) < len(records) - 1:
        return
    widths = {len(row) for row in rows}
    numeric = min(widths) > 0 and _some_numeric(rows)
    if numeric and widths == {len(header)}:
        raise _invalid(
            "Blanks seem to separate the cells; say `sep=space` if it is one blank each, or send CSV."
        )
    if numeric and widths == {len(header) + 1}:
        raise _invalid(
            "Blanks seem to separate the cells, and rows seem to begin with their names, as write.table of R"
            " leaves them; write.csv(data, row.names = FALSE) writes CSV."
        )


def _invalid(message: str) -> InvalidModel:
    return InvalidModel(Issue("invalid-csv", message))
