"""The checks of data against a formula, before anything is learnt or encoded.

Each gives all the issues that it finds, so that a request is answered once with everything that is wrong.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from model import limits
from model.errors import Issue
from model.frame.column import Column, Kind
from model.frame.levels import Value, distinct, listing
from model.frame.table import Table, escape_pointer
from model.frame.variables import factor_column
from model.language import calls
from model.language.formula import Formula
from model.language.syntax import Name, walk
from model.language.terms import Structure

INTERCEPT = '; the intercept is written 1, and "center": false puts its prior on it as it is'
KIND_NAMES = {"number": "numbers", "integer": "whole numbers", "boolean": "booleans", "text": "text"}


def unknown_columns(formula: Formula, table: Table) -> list[Issue]:
    """The columns that the formula names and the data lack."""
    nodes = (formula.response.value, *formula.response.additions, formula.right)
    issues: dict[str, Issue] = {}
    for node in nodes:
        for name in walk(node):
            if isinstance(name, Name) and name.name not in table and name.name not in issues:
                looked_for = table.names if len(issues) < limits.SUGGESTIONS else ()
                hint = calls.suggest(name.name, looked_for) or INTERCEPT * (name.name == "Intercept")
                message = f"There is no column {name.name!r}{hint}"
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
            shown = listing((rows if table.numbers is None else table.numbers[rows]).tolist(), 5)
            message = f"Column {name!r} has missing values in {len(rows)} of {table.rows} rows ({shown})."
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
            looked_for = table.names if len(issues) < limits.SUGGESTIONS else ()
            message = f"The data lack column {name!r}{calls.suggest(name, looked_for)}"
            message += "" if message.endswith("?") else "."
            issues.append(Issue("unknown-column", message, "/data", column=name))
            continue
        kind, learnt = table[name].kind, kinds[name]
        numeric = {kind, learnt} <= {"number", "integer"}
        if kind != learnt and not numeric and not table[name].empty:
            message = f"Column {name!r} holds {KIND_NAMES[kind]}, where the fit had {KIND_NAMES[learnt]}."
            issues.append(Issue("column-type", message, table.pointer(name), column=name))
    return issues


def wrong_levels(
    structure: Structure, table: Table, levels: Mapping[str, Sequence[Value]], response: str | None = None
) -> list[Issue]:
    """What is wrong with the levels given: unknown or numeric columns, repeated or missing values.

    `response` is the column of a response that has levels.
    """
    columns = [response, *(factor_column(variable, table) for variable in structure.variables)]
    categorical = structure.group_names | {name for name in columns if name is not None}
    issues: list[Issue] = []
    for number, (name, given) in enumerate(levels.items()):
        if len(issues) >= limits.ISSUES:
            message = f"Levels are given for {len(levels) - number} more columns, which were not looked at."
            issues.append(Issue("invalid-levels", message, "/levels"))
            break
        issues += [
            Issue("invalid-levels", message, f"/levels/{escape_pointer(name)}", column=name)
            for message in _level_problems(name, given, table[name] if name in categorical else None)
        ]
    return issues


def _level_problems(name: str, given: Sequence[Value], column: Column | None) -> Iterator[str]:
    if column is None:
        yield f"Levels are given for {name!r}, which the formula uses in no categorical way."
    elif not all(_fits(value, column) for value in given):
        yield f"The levels given for {name!r} are not all of its kind: {KIND_NAMES[column.kind]}."
    else:
        counts = Counter(given)
        if repeated := [value for value, count in counts.items() if count > 1]:
            yield f"The levels given for {name!r} repeat {listing(repeated)}."
        if unseen := [value for value in distinct(column)[0] if value not in counts]:
            yield f"Column {name!r} has values that its given levels lack: {listing(unseen)}."


def _fits(value: Value, column: Column) -> bool:
    if column.kind == "text":
        return isinstance(value, str)
    if column.kind == "boolean":
        return isinstance(value, bool)
    return isinstance(value, int | float) and not isinstance(value, bool)
