"""Typed columns of data: what a user sent, checked once and frozen.

A column holds numbers, integers (exact to 64 bits), booleans or text; any cell may be missing.
"""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidModel, Issue
from model.frame.column import Column, ColumnError, read_column


def escape_pointer(name: str) -> str:
    """Escape a name for use in a JSON pointer (RFC 6901, section 3)."""
    return name.replace("~", "~0").replace("/", "~1")


@dataclass(frozen=True, slots=True)
class Table:
    """A data set: named columns of equal length, at least one row. `layout` is how the data were sent.

    `numbers` are those of the rows in the data that were sent, where some were left out since.
    """

    columns: Mapping[str, Column]
    rows: int
    layout: Literal["columns", "records"] = field(default="columns", compare=False)
    numbers: NDArray[np.int64] | None = field(default=None, compare=False)

    @classmethod
    def from_columns(cls, columns: Mapping[str, Sequence[object] | NDArray[Any]]) -> Self:
        """Read data sent column by column; None (or a masked cell of a NumPy array) is a missing value.

        Raises InvalidModel with every problem: unequal lengths, mixed types, NaN or Inf, no rows, no columns.
        """
        issues: list[Issue] = []
        read: dict[str, Column] = {}
        lengths = {name: len(values) for name, values in columns.items()}
        rows = next(iter(lengths.values()), 0)
        if rows == 0:
            raise InvalidModel(Issue("no-rows", "The data have no rows.", pointer="/data/columns"))
        for name, values in columns.items():
            pointer = f"/data/columns/{escape_pointer(name)}"
            if len(values) != rows:
                first = next(iter(lengths))
                message = f"Column {name!r} has {len(values)} rows where column {first!r} has {rows}."
                issues.append(Issue("unequal-lengths", message, pointer, column=name))
            try:
                read[name] = read_column(values)
            except ColumnError as problem:
                message = f"Column {name!r} {problem}"
                issues.append(Issue(problem.code, message, pointer, column=name))
        if issues:
            raise InvalidModel(issues)
        return cls(read, rows)

    @classmethod
    def from_records(cls, records: Sequence[Mapping[str, object]]) -> Self:
        """Read data sent row by row; a record that lacks a key has a missing value there.

        Raises InvalidModel with every problem; its pointer is the first cell concerned.
        """
        if not records:
            raise InvalidModel(Issue("no-rows", "The data have no rows.", pointer="/data/records"))
        names = tuple(dict.fromkeys(name for record in records for name in record))
        if not names:
            raise InvalidModel(Issue("no-rows", "The records have no columns.", pointer="/data/records"))
        issues: list[Issue] = []
        read: dict[str, Column] = {}
        for name in names:
            try:
                read[name] = read_column([record.get(name) for record in records])
            except ColumnError as problem:
                pointer = f"/data/records/{problem.row}/{escape_pointer(name)}"
                issues.append(Issue(problem.code, f"Column {name!r} {problem}", pointer, column=name))
        if issues:
            raise InvalidModel(issues)
        return cls(read, len(records), "records")

    @property
    def names(self) -> tuple[str, ...]:
        """The columns' names, in the order in which they were sent."""
        return tuple(self.columns)

    def __getitem__(self, name: str) -> Column:
        return self.columns[name]

    def __contains__(self, name: object) -> bool:
        return name in self.columns

    def select(self, names: Iterable[str]) -> Self:
        """Keep only the named columns, in the order given; raises KeyError for a name that is not there."""
        return type(self)({name: self.columns[name] for name in names}, self.rows, self.layout, self.numbers)

    def take(self, rows: NDArray[Any]) -> Self:
        """Keep only some rows: a boolean mask (row,) or row numbers."""
        columns = {name: column.take(rows) for name, column in self.columns.items()}
        count = int(np.count_nonzero(rows)) if rows.dtype == np.bool_ else len(rows)
        numbers = np.arange(self.rows, dtype=np.int64) if self.numbers is None else self.numbers
        return type(self)(columns, count, self.layout, numbers[rows])

    def pointer(self, name: str) -> str:
        """The JSON pointer of a column in the request that brought the data."""
        return f"/data/columns/{escape_pointer(name)}" if self.layout == "columns" else "/data/records"

    def to_parts(self) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
        """The table as JSON-able metadata and numeric arrays; `from_parts` is its inverse."""
        meta: list[dict[str, Any]] = []
        arrays: dict[str, NDArray[Any]] = {}
        for number, (name, column) in enumerate(self.columns.items()):
            meta.append({"name": name, "kind": column.kind, "dictionary": list(column.dictionary)})
            if column.kind == "number" and column.empty:
                continue  # a column of nothing says no more than its length
            arrays[f"{number}.values"] = column.values
            if column.missing is not None:
                arrays[f"{number}.missing"] = column.missing
        return {"rows": self.rows, "layout": self.layout, "columns": meta}, arrays

    @classmethod
    def from_parts(cls, meta: Mapping[str, Any], arrays: Mapping[str, NDArray[Any]]) -> Self:
        """Rebuild the table that `to_parts` took apart."""
        rows = meta["rows"]
        columns = {
            entry["name"]: Column(
                entry["kind"],
                arrays[f"{number}.values"],
                arrays.get(f"{number}.missing"),
                tuple(entry["dictionary"]),
            )
            if f"{number}.values" in arrays
            else Column("number", np.zeros(rows), np.ones(rows, dtype=np.bool_))
            for number, entry in enumerate(meta["columns"])
        }
        return cls(columns, meta["rows"], meta["layout"])

    def digest(self) -> dict[str, str]:
        """SHA-256 (hex) of every column's values: equal values have equal digests, 1 and 1.0 alike."""
        return {
            name: hashlib.sha256(b"\0".join(column.canonical())).hexdigest()
            for name, column in self.columns.items()
        }
