"""The left-hand side as arrays: y, and the trials, weights and standard errors of its rows.

Of text the second level counts as 1, as in R. Only what the data alone can tell is checked here; what a family asks of
y is the family's to check.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidModel, Issue
from model.frame.functions import evaluate_one
from model.frame.levels import Value, distinct, listing
from model.frame.lookalikes import doubt_of
from model.frame.table import Table
from model.frame.variables import Variables
from model.language.formula import Response
from model.language.syntax import Name, Node, first_column

Float = NDArray[np.float64]
MOST_TRIALS = 1e15
"""Whole numbers beyond have no neighbors among doubles, and new counts are drawn as integers."""


@dataclass(frozen=True, slots=True)
class ResponseArrays:
    """The response of each row: (row,) each; see `Design`."""

    y: Float
    trials: Float | None
    weights: Float | None
    standard_error: Float | None


def response_nodes(response: Response) -> tuple[Node, ...]:
    """The expressions of the left-hand side."""
    values = response.cbind or (response.value,)
    return (*values, *(call.arguments[0].value for call in response.additions))


def text_response(response: Response, table: Table) -> str | None:
    """The column of a response that holds text."""
    node = response.value
    return node.name if isinstance(node, Name) and table[node.name].kind == "text" else None


def learn_outcomes(
    response: Response, table: Table, given: Mapping[str, Sequence[Value]]
) -> tuple[Value, ...]:
    """The two levels of a response that holds text, in the order `given` or by code point; otherwise none.

    Raises InvalidModel for text of another number of levels.
    """
    name = text_response(response, table)
    if name is None:
        return ()
    values, _ = distinct(table[name])
    present = set(values)
    levels = tuple(value for value in given.get(name, values) if value in present)
    if len(levels) != 2:
        doubt = doubt_of(table[name], table.numbers)
        if doubt is not None and doubt.code == "column-type":
            message = f"Column {name!r} {doubt.predicate}"
        else:
            message = (
                f"Column {name!r} holds text of {len(levels)} levels, {listing(levels)};"
                " a response is a number, a boolean or text of two levels."
            )
        raise InvalidModel(Issue("column-type", message, "/formula", response.value.position, name))
    return levels


def encode_response(
    response: Response, table: Table, variables: Variables, outcomes: Sequence[Value] = ()
) -> ResponseArrays:
    """Evaluate the left-hand side in every row; raises InvalidModel with every issue.

    `outcomes` are the levels of a response that holds text: y is the place of each row's level.
    """
    issues: list[Issue] = []

    def value(node: Node | None) -> Float | None:
        return None if node is None else evaluate_one(node, table, variables.memory)

    def expect(holds: NDArray[np.bool_], node: Node, rule: str) -> None:
        if not holds.all():
            bad = np.flatnonzero(~holds)
            message = f"{node} must be {rule}, and is not in {len(bad)} rows (first: row {bad[0]})."
            issues.append(Issue("invalid-response", message, "/formula", node.position))

    weights_node, error_node = response.addition("weights"), response.addition("se")
    trials_node = response.addition("trials")
    weights, error, trials = value(weights_node), value(error_node), value(trials_node)
    if outcomes:
        y = _places(response, table, outcomes)
    elif response.cbind is None:
        y = evaluate_one(response.value, table, variables.memory)
    else:
        successes, failures = response.cbind
        y, lost = (evaluate_one(node, table, variables.memory) for node in (successes, failures))
        for node, count in ((successes, y), (failures, lost)):
            expect((count >= 0) & (count == np.floor(count)), node, "a count (0, 1, 2, …)")
        if trials_node is not None:
            message = "cbind(successes, failures) has its trials already; leave trials() out."
            issues.append(Issue("invalid-response", message, "/formula", trials_node.position))
        trials = y + lost
    if trials_node is not None and trials is not None and response.cbind is None:
        expect((trials >= 0) & (trials == np.floor(trials)), trials_node, "a count (0, 1, 2, …)")
        expect((y >= 0) & (y == np.floor(y)), response.value, "a count (0, 1, 2, …)")
        expect(y <= trials, response.value, "at most the number of trials")
    if weights_node is not None and weights is not None:
        expect(weights >= 0, weights_node, "zero or more")
        if not weights.any():
            message = f"{weights_node} is zero in every row."
            issues.append(Issue("invalid-response", message, "/formula", weights_node.position))
    if error_node is not None and error is not None:
        expect(error > 0, error_node, "above zero")
    if issues:
        raise InvalidModel(issues)
    return ResponseArrays(y, trials, weights, error)


def encode_trials(response: Response, table: Table, variables: Variables) -> Float | None:
    """The trials of rows to be predicted: (row,). Raises InvalidModel where they are no counts."""
    if response.trials is None:
        return None
    trials = evaluate_one(response.trials, table, variables.memory)
    bad = np.flatnonzero((trials < 0) | (trials != np.floor(trials)) | (trials > MOST_TRIALS))
    if len(bad):
        name = first_column(response.trials)
        message = (
            f"The trials {response.trials} must be counts (0, 1, 2, …) of at most {MOST_TRIALS:g},"
            f" and are not in {len(bad)} rows (first: row {bad[0]})."
        )
        pointer = "/data" if name is None else table.pointer(name)
        raise InvalidModel(Issue("invalid-response", message, pointer, column=name))
    return trials


def encode_errors(response: Response, table: Table, variables: Variables) -> Float | None:
    """The standard errors of rows to be predicted: (row,). Raises InvalidModel where they are not above zero."""
    node = response.addition("se")
    if node is None:
        return None
    error = evaluate_one(node, table, variables.memory)
    bad = np.flatnonzero(~(error > 0))
    if len(bad):
        name = first_column(node)
        message = f"se({node}) must be above zero, and is not in {len(bad)} rows (first: row {bad[0]})."
        pointer = "/data" if name is None else table.pointer(name)
        raise InvalidModel(Issue("invalid-response", message, pointer, column=name))
    return error


def _places(response: Response, table: Table, outcomes: Sequence[Value]) -> Float:
    assert isinstance(response.value, Name)
    present, index = distinct(table[response.value.name])
    if unknown := [value for value in present if value not in outcomes]:
        message = f"{response.value} has values that the fit does not know: {listing(unknown)}."
        raise InvalidModel(Issue("unknown-level", message, "/formula", response.value.position))
    return np.array([outcomes.index(value) for value in present], dtype=np.float64)[index]
