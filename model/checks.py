"""The checks of data against a formula, before anything is learnt or encoded.

Each gives all the issues that it finds, so that a request is answered once with everything that is wrong.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model import calls
from model.column import Column, Kind
from model.errors import Issue
from model.formula import Formula
from model.levels import Value, distinct, listing
from model.syntax import Name, walk
from model.table import Table, escape_pointer
from model.terms import Structure
from model.variables import factor_column

KIND_NAMES = {"number": "numbers", "integer": "whole numbers", "boolean": "booleans", "text": "text"}


def unknown_columns(formula: Formula, table: Table) -> list[Issue]:
    """The columns that the formula names and the data lack."""
    nodes = (formula.response.value, *formula.response.additions, formula.right)
    issues: dict[str, Issue] = {}
    for node in nodes:
        for name in walk(node):
            if isinstance(name, Name) and name.name not in table and name.name not in issues:
                message = f"There is no column {name.name!r}{calls.suggest(name.name, table.names)}"
                message += "" if message.endswith("?") else "."
                position = name.position
                issues[name.name] = Issue("unknown-column", message, "/formula", position, name.name)
    return list(issues.values())


def complete_rows(
    table: Table, missing: Literal["error", "drop"]
) -> tuple[Table, NDArray[np.int64], list[Issue]]:
    """The rows without missing values, the numbers of the others, and, where those are errors, the issues."""
    gone = np.zeros(table.rows, dtype=np.bool_)
    issues: list[Issue] = []
    for name in table.names:
        mask = table[name].missing
        if mask is None:
            continue
        gone |= mask
        if missing == "error":
            rows = np.flatnonzero(mask)
            message = f"Column {name!r} has missing values in {len(rows)} rows ({listing(rows.tolist(), 5)})."
            issues.append(Issue("missing-values", message, table.pointer(name), column=name))
    dropped = np.flatnonzero(gone)
    if not len(dropped):
        return table, dropped, []
    if len(dropped) == table.rows and missing == "drop":
        message = "Every row has a missing value in a column that the formula uses."
        issues.append(Issue("no-rows", message, "/data"))
    return table.take(~gone), dropped, issues


def changed_columns(needed: Sequence[str], kinds: Mapping[str, Kind], table: Table) -> list[Issue]:
    """The columns of new data that are absent, or of another kind than in the training data."""
    issues: list[Issue] = []
    for name in needed:
        if name not in table:
            message = f"The data lack column {name!r}{calls.suggest(name, table.names)}"
            message += "" if message.endswith("?") else "."
            issues.append(Issue("unknown-column", message, "/data", column=name))
            continue
        kind, learnt = table[name].kind, kinds[name]
        numeric = {kind, learnt} <= {"number", "integer"}
        if kind != learnt and not numeric and not table[name].empty:
            message = f"Column {name!r} holds {KIND_NAMES[kind]}, where the fit had {KIND_NAMES[learnt]}."
            issues.append(Issue("column-type", message, table.pointer(name), column=name))
    return issues


def wrong_levels(structure: Structure, table: Table, levels: Mapping[str, Sequence[Value]]) -> list[Issue]:
    """What is wrong with the levels given: unknown or numeric columns, repeated or missing values."""
    issues: list[Issue] = []
    categorical = structure.group_names | {
        name for variable in structure.variables if (name := factor_column(variable, table)) is not None
    }
    for name, given in levels.items():
        pointer = f"/levels/{escape_pointer(name)}"

        def report(message: str, code: str = "invalid-levels", name: str = name, at: str = pointer) -> None:
            issues.append(Issue(code, message, at, column=name))

        if name not in categorical:
            report(f"Levels are given for {name!r}, which the formula uses in no categorical way.")
            continue
        column = table[name]
        if not all(_fits(value, column) for value in given):
            report(f"The levels given for {name!r} are not all of its kind: {KIND_NAMES[column.kind]}.")
            continue
        if len(set(given)) < len(given):
            repeated = [value for value, count in Counter(given).items() if count > 1]
            report(f"The levels given for {name!r} repeat {listing(repeated)}.")
        values, _ = distinct(column)
        known = set(given)
        if unseen := [value for value in values if value not in known]:
            report(f"Column {name!r} has values that its given levels lack: {listing(unseen)}.")
    return issues


def _fits(value: Value, column: Column) -> bool:
    if column.kind == "text":
        return isinstance(value, str)
    if column.kind == "boolean":
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool)
