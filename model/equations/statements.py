"""The statements that both notations share: the distributions of the response and of the deviations.

A family that has no row in the table is written with its name, its mean and its parameters.
"""

from collections.abc import Iterator

from model.equations.deviations import Block
from model.equations.expressions import (
    Applied,
    Coded,
    Covariate,
    Datum,
    Expression,
    Listed,
    Over,
    Product,
    Statement,
    Sum,
    Symbol,
    Value,
    Weighted,
)
from model.equations.hierarchy import Hierarchy
from model.language.syntax import Node, Number, label
from model.spec import FitPlan

_NAMES = {"gaussian": "Normal", "student": "Student_t", "negbinomial": "NegBinomial"}
_DEGREES_OF_FREEDOM = "nu"
"""The parameter that a distribution names before its mean."""


def mean(of: Hierarchy) -> Symbol:
    """The mean of a row's response."""
    return Symbol("mu", (), of.rows)


def likelihood(plan: FitPlan, of: Hierarchy) -> Statement:
    """The distribution of the response, with what each row says of its weight."""
    response, row = plan.encoding.parsed.response, of.rows[:1]
    family = plan.family
    before: list[Expression] = []
    after: list[Expression] = [Symbol(name) for name in family.parameters if name != _DEGREES_OF_FREEDOM]
    if _DEGREES_OF_FREEDOM in family.parameters:
        before.append(Symbol(_DEGREES_OF_FREEDOM))
    if (error := response.addition("se")) is not None:
        after = [_value(error, row)]
    outcome: Covariate = Datum(response.value if response.cbind is None else response.cbind[0], of.rows)
    if plan.encoding.outcomes:
        outcome = Coded(f"{label(response.value)}{plan.encoding.outcomes[1]}", of.rows)
    if response.trials is not None:
        # the successes of cbind() are the response itself, with its index
        before.append(_value(response.trials, row if response.cbind is None else of.rows))
    weights = response.addition("weights")
    return Statement(
        outcome,
        "~",
        Applied(_NAMES.get(family.name, family.name.capitalize()), (*before, mean(of), *after)),
        (Over(plan.rows, row), *([] if weights is None else [Weighted(_value(weights, row))])),
    )


def predictor(plan: FitPlan, of: Hierarchy, *parts: Expression) -> Statement:
    """The equation of the linear predictor: the offsets, then the parts."""
    offsets = [Datum(node, of.rows[:1]) for node in plan.encoding.structure.offsets]
    link = plan.family.link
    left = mean(of) if link == "identity" else Applied(link, (mean(of),))
    return Statement(left, "=", Sum((*offsets, *parts) or (Value(0.0),)))


def deviations(of: Hierarchy) -> Iterator[Statement]:
    """The distributions of the deviations, and what their covariance matrices are made of."""
    for block in of.blocks:
        yield from _block(block)


def _block(block: Block) -> Iterator[Statement]:
    if block.covariance is None or block.correlation is None:
        spread = Applied("Normal", (Value(0.0), *block.sds))
        yield Statement(block.deviations[0], "~", spread, (block.over,))
        return
    spread = Applied("MVNormal", (Symbol("0"), block.covariance))
    yield Statement(Listed(block.deviations, vector=True), "~", spread, (block.over,))
    scale = Applied("diag", block.sds)
    yield Statement(block.covariance, "=", Product((scale, block.correlation, scale)))


def _value(node: Node, index: tuple[str, ...]) -> Expression:
    return Value(node.value) if isinstance(node, Number) else Datum(node, index)
