"""A design put together from an encoding and complete data; `model.frame.encoding` checks the data first."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from model.errors import InvalidModel, Issue, Notice
from model.frame.design import Design
from model.frame.functions import evaluate_one
from model.frame.learnt import Encoding
from model.frame.response import encode_response, encode_trials
from model.frame.table import Table


def assemble(encoding: Encoding, table: Table, *, response: bool) -> Design:
    """All arrays of a design; raises InvalidModel with every issue."""
    issues: list[Issue] = []
    for variable in encoding.variables.categoricals.values():
        with collecting(issues):
            variable.codes(table)
    if issues:
        raise InvalidModel(issues)
    x = encoding.matrix.build(table)
    if encoding.kept is not None:
        x = x[:, encoding.kept]
    offset = np.zeros(table.rows)
    for expression in encoding.structure.offsets:
        offset += evaluate_one(expression, table, encoding.variables.memory)
    design = Design(
        x=x,
        coefficients=encoding.coefficients,
        intercept=encoding.intercept,
        offset=offset,
        factors=tuple(factor.encode(table) for factor in encoding.factors),
        notices=tuple(_extrapolation(encoding, table)),
    )
    if not response:
        known = encoding.trial_names <= set(table.names)
        trials = encode_trials(encoding.parsed.response, table, encoding.variables) if known else None
        return replace(design, trials=trials)
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


def _extrapolation(encoding: Encoding, table: Table) -> Iterator[Notice]:
    for call, basis in encoding.bases:
        x = evaluate_one(call.arguments[0].value, table, encoding.variables.memory)
        outside = int(np.count_nonzero((x < basis.low) | (x > basis.high)))
        if outside:
            message = f"{call} is extrapolated in {outside} rows, outside {basis.low:g} to {basis.high:g}."
            yield Notice("extrapolation", message)
