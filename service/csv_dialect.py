"""How a CSV is laid out: what separates its cells, and what its header names.

A separator is asked for, or found: it is the only one by which the first records have as many cells as the header.
"""

import csv
import io
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
_NUMBER = frozenset("0123456789")


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
    if asked is None and data[:4].lower() == b"sep=" and data[5:6] in (b"\r", b"\n"):
        # A line for spreadsheet programs alone.
        asked = chr(data[4])
        start = 7 if data[5:7] == b"\r\n" else 6
        if asked not in _NAMES:
            raise _invalid("The line `sep=` names a separator that is not known here.")
    text = memoryview(data)[start:]
    separator = asked if asked is not None else _found(text)
    records = _records(text, separator)
    if not records:
        raise _invalid("The first line must name every column.")
    if asked is None and len(records[0]) == 1:
        _refuse_blanks(records)
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


def _refuse_blanks(records: Sequence[Sequence[str]]) -> None:
    """Refuse one column that looks like several with blanks between them, of which some are numbers."""
    cells = [record[0].split() for record in records if len(record) == 1]
    header, rows = cells[0], cells[1:]
    if len(header) < 2 or not rows or len(rows) < len(records) - 1:
        return
    widths = {len(row) for row in rows}
    numeric = any(
        all(_NUMBER.issuperset(row[place].strip("+-.")) for row in rows) for place in range(min(widths))
    )
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
