"""Learn from training data, and encode any data by what was learnt.

`learn` does every check that needs the data, so that a bad request fails before it costs anything.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from model import checks, limits
from model.bases import Learnt
from model.design import Design, FactorDesign, Level
from model.errors import InvalidModel, Issue, Notice
from model.formula import Formula
from model.functions import evaluate, learn_functions
from model.grouping import learn_levels
from model.identifiability import aliased_columns, constant_slopes
from model.learnt import Aliased, ColumnNeed, Encoding, Missing
from model.levels import Value, distinct, listing
from model.response import encode_response, response_nodes
from model.table import Table
from model.variables import learn_variables

__all__ = ["ColumnNeed", "Encoding", "encode", "learn"]


def learn(
    formula: Formula,
    table: Table,
    *,
    levels: Mapping[str, Sequence[Value]] | None = None,
    missing: Missing = "error",
    aliased: Aliased = "error",
) -> Encoding:
    """Learn from training data all that is needed to encode any data; raises InvalidModel with every issue.

    `levels` orders the values of categorical columns (and names grouping levels that have no rows), `missing`
    says what becomes of rows with missing values, `aliased` of columns of X that are combinations of others.
    """
    levels = levels or {}
    formula = formula.resolve(table.names)
    if unknown := checks.unknown_columns(formula, table):
        raise InvalidModel(unknown)
    structure = formula.structure
    names = structure.predictor_names | structure.group_names | set(formula.response.names)
    table = table.select(name for name in table.names if name in names)
    used, dropped, issues = checks.complete_rows(table, missing)
    if not used.rows:
        raise InvalidModel(issues)
    issues += checks.wrong_levels(structure, used, levels)
    memory: dict[str, Learnt] = {}
    for node in (*response_nodes(formula.response), *structure.offsets):
        with _collecting(issues):
            learn_functions(node, used, memory)
            evaluate(node, used, memory)
    variables, found = learn_variables(structure.variables, used, levels, memory)
    issues += found
    group_levels: list[tuple[Level, ...]] = []
    for grouping in structure.groupings:
        with _collecting(issues):
            group_levels.append(learn_levels(grouping, used, levels))
    if not issues:
        with _collecting(issues):
            encode_response(formula.response, used, variables)
    if issues:
        raise InvalidModel(issues)
    encoding = Encoding(
        formula=str(formula),
        kinds={name: used[name].kind for name in used.names},
        variables=variables,
        levels=tuple(group_levels),
        rows=used.rows,
        dropped=tuple(dropped.tolist()),
        missing=missing,
    )
    if issues := _too_large(encoding):
        raise InvalidModel(issues)
    design = _design(encoding, used, response=True)
    names_x = encoding.matrix.names
    lost, notices = aliased_columns(design.x, names_x, encoding.intercept, aliased)
    means = zip(names_x, design.x.mean(axis=0).tolist(), strict=True)
    warnings = (
        *structure.notices,
        *_dropped_rows(encoding, table.rows),
        *_unused_levels(encoding, used, levels),
        *notices,
        *(notice for factor in design.factors for notice in constant_slopes(factor)),
    )
    return replace(
        encoding,
        x_means=tuple(mean for name, mean in means if name not in lost),
        singletons=tuple(factor.name for factor in design.factors if _all_alone(factor)),
        aliased=lost,
        warnings=warnings,
    )


def encode(encoding: Encoding, table: Table, *, response: bool = True) -> Design:
    """The arrays of a data set, by what was learnt; raises InvalidModel with every issue.

    With `response` the data are complete like the training data, whose design is reproduced, with the same
    rows dropped. Without it they are rows to be predicted: columns of the response's side are not needed, a
    missing grouping value has index -1, and levels that were not learnt are `new_levels`.
    """
    predictors = encoding.structure.predictor_names
    names = predictors | encoding.structure.group_names
    if response:
        names = names | set(encoding.parsed.response.names)
    needed = [name for name in encoding.kinds if name in names]
    if issues := checks.changed_columns(needed, encoding.kinds, table):
        raise InvalidModel(issues)
    used = table.select(needed)
    if response:
        used, _, issues = checks.complete_rows(used, encoding.missing)
    else:
        complete = table.select(name for name in needed if name in predictors)
        _, _, issues = checks.complete_rows(complete, "error")
    if issues:
        raise InvalidModel(issues)
    return _design(encoding, used, response=response)


def _design(encoding: Encoding, table: Table, *, response: bool) -> Design:
    issues: list[Issue] = []
    for variable in encoding.variables.categoricals.values():
        with _collecting(issues):
            variable.codes(table)
    if issues:
        raise InvalidModel(issues)
    x = encoding.matrix.build(table)
    if encoding.kept is not None:
        x = x[:, encoding.kept]
    offset = np.zeros(table.rows)
    for expression in encoding.structure.offsets:
        offset += evaluate(expression, table, encoding.variables.memory)
    design = Design(
        x,
        encoding.coefficients,
        encoding.intercept,
        offset,
        tuple(factor.encode(table) for factor in encoding.factors),
        notices=tuple(_extrapolation(encoding, table)),
    )
    if not response:
        return design
    left = encode_response(encoding.parsed.response, table, encoding.variables)
    return replace(
        design, y=left.y, trials=left.trials, weights=left.weights, standard_error=left.standard_error
    )


@contextmanager
def _collecting(issues: list[Issue]) -> Iterator[None]:
    """Add the issues of an InvalidModel to others, each once, and go on."""
    try:
        yield
    except InvalidModel as error:
        issues.extend(issue for issue in error.issues if issue not in issues)


def _extrapolation(encoding: Encoding, table: Table) -> list[Notice]:
    notices: list[Notice] = []
    for call, basis in encoding.bases:
        x = evaluate(call.arguments[0].value, table, encoding.variables.memory)
        outside = int(np.count_nonzero((x < basis.low) | (x > basis.high)))
        if outside:
            message = f"{call} is extrapolated in {outside} rows, outside {basis.low:g} to {basis.high:g}."
            notices.append(Notice("extrapolation", message))
    return notices


def _all_alone(factor: FactorDesign) -> bool:
    return bool(np.bincount(factor.index).max() == 1)


def _too_large(encoding: Encoding) -> list[Issue]:
    issues: list[Issue] = []
    if (width := encoding.matrix.width) > limits.COLUMNS:
        message = f"X would have {width} columns; the limit is {limits.COLUMNS}."
        issues.append(Issue("design-too-large", message, "/formula"))
    limit = limits.FACTOR_COEFFICIENTS
    for factor in encoding.factors:
        if (width := sum(matrix.width for matrix in factor.matrices)) > limit:
            message = (
                f"The grouping factor {factor.name} would have {width} coefficients; the limit is {limit}."
            )
            issues.append(Issue("design-too-large", message, "/formula"))
    if issues:
        return issues
    named = [("X", encoding.matrix.names), *((f.name, f.coefficients) for f in encoding.factors)]
    for owner, names in [*named, ("the model", tuple(factor.name for factor in encoding.factors))]:
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            message = (
                f"Two columns of {owner} would both be called {repeated[0]}; rename a column or a level."
            )
            issues.append(Issue("ambiguous-name", message, "/formula"))
    return issues


def _dropped_rows(encoding: Encoding, rows: int) -> list[Notice]:
    if not encoding.dropped:
        return []
    count = len(encoding.dropped)
    message = f"{count} of {rows} rows have missing values and are left out: {listing(encoding.dropped)}."
    return [Notice("rows_dropped", message, "info")]


def _unused_levels(encoding: Encoding, table: Table, levels: Mapping[str, Sequence[Value]]) -> list[Notice]:
    notices: list[Notice] = []
    for name in dict.fromkeys(known.column for known in encoding.variables.categoricals.values()):
        present = set(distinct(table[name])[0])
        if unused := [value for value in levels.get(name, ()) if value not in present]:
            message = f"No row has these levels of {name!r}, which get no coefficient: {listing(unused)}."
            notices.append(Notice("unused_levels", message, "info"))
    return notices
