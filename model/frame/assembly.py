"""A design put together from an encoding and complete data; `model.frame.encoding` checks the data first."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from model.errors import InvalidModel, Issue, Notice
from model.frame.design import Design
from model.frame.estimability import Estimability
from model.frame.functions import evaluate_one
from model.frame.learnt import Encoding
from model.frame.response import encode_errors, encode_response, encode_trials
from model.frame.table import Table
from model.language.terms import Structure


def assemble(
    encoding: Encoding,
    table: Table,
    structure: Structure,
    *,
    response: bool,
    trials: bool = True,
    errors: bool = False,
) -> Design:
    """The arrays of a design, with the grouping factors of `structure`; raises InvalidModel with every issue."""
    issues: list[Issue] = []
    categoricals = encoding.variables.categoricals
    for known in (categoricals.get(str(variable)) for variable in structure.variables):
        if known is not None:
            with collecting(issues):
                known.codes(table)
    if issues:
        raise InvalidModel(issues)
    x = encoding.matrix.build(table)
    estimability = None
    if encoding.combinations and not response:
        estimability = Estimability.of_rows(encoding.combinations, x)
    if encoding.kept is not None:
        x = x[:, encoding.kept]
    offset = np.zeros(table.rows)
    for expression in encoding.structure.offsets:
        offset += evaluate_one(expression, table, encoding.variables.memory)
    names = {grouping.name for grouping in structure.groupings}
    design = Design(
        x=x,
        coefficients=encoding.coefficients,
        intercept=encoding.intercept,
        offset=offset,
        factors=tuple(factor.encode(table) for factor in encoding.factors if factor.name in names),
        notices=tuple(_extrapolation(encoding, table, structure)),
        estimability=estimability,
    )
    if not response:
        told = trials and encoding.trial_names <= set(table.names)
        counts = encode_trials(encoding.parsed.response, table, encoding.variables) if told else None
        told = errors and encoding.error_names <= set(table.names)
        error = encode_errors(encoding.parsed.response, table, encoding.variables) if told else None
        return replace(design, trials=counts, standard_error=error)
    left = encode_response(encoding.parsed.response, table, encoding.variables, encoding.outcomes)
    return replace(
        design,
        y=left.y,
        trials=left.trials,
        weights=left.weights,
        standard_error=left.standard_error,
        outcomes=encoding.outcomes,
    )


@contextmanager
def collecting(issues: list[Issue]) -> Iterator[None]:
    """Add the issues of an InvalidModel to others, each once, and go on."""
    try:
        yield
    except InvalidModel as error:
        issues.extend(issue for issue in error.issues if issue not in issues)


def _extrapolation(encoding: Encoding, table: Table, structure: Structure) -> Iterator[Notice]:
    for call, basis in encoding.bases(structure):
        x = evaluate_one(call.arguments[0].value, table, encoding.variables.memory)
        outside = int(np.count_nonzero((x < basis.low) | (x > basis.high)))
        if outside:
            message = f"{call} is extrapolated in {outside} rows, outside {basis.low:g} to {basis.high:g}."
            yield Notice("extrapolation", message)
