"""The left-hand side as arrays: y, and the trials, weights and standard errors of its rows.

Only what the data alone can tell is checked here; what a family asks of y is the family's to check.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidModel, Issue
from model.formula import Response
from model.functions import evaluate
from model.syntax import Node
from model.table import Table
from model.variables import Variables

Float = NDArray[np.float64]


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


def encode_response(response: Response, table: Table, variables: Variables) -> ResponseArrays:
    """Evaluate the left-hand side in every row; raises InvalidModel with every issue."""
    issues: list[Issue] = []

    def value(node: Node | None) -> Float | None:
        return None if node is None else evaluate(node, table, variables.memory)

    def expect(holds: NDArray[np.bool_], node: Node, rule: str) -> None:
        if not holds.all():
            bad = np.flatnonzero(~holds)
            message = f"{node} must be {rule}, and is not in {len(bad)} rows (first: row {bad[0]})."
            issues.append(Issue("invalid-response", message, "/formula", node.position))

    weights_node, error_node = response.addition("weights"), response.addition("se")
    trials_node = response.addition("trials")
    weights, error, trials = value(weights_node), value(error_node), value(trials_node)
    if response.cbind is None:
        y = evaluate(response.value, table, variables.memory)
    else:
        successes, failures = response.cbind
        y, lost = (evaluate(node, table, variables.memory) for node in (successes, failures))
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
