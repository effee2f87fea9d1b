"""The priors of a model as statements, those of equal parameters in one."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import groupby

from model.distributions import Distribution, Kind
from model.equations.expressions import (
    Above,
    Applied,
    Expression,
    Listed,
    Statement,
    Sum,
    Symbol,
    Value,
    product,
)
from model.equations.hierarchy import Hierarchy
from model.priors import ResolvedPrior
from model.spec import FitPlan

_TOGETHER = 10
"""Parameters that one statement names at most."""


def priors(plan: FitPlan, of: Hierarchy) -> Iterator[Statement]:
    """A statement for parameters of a class that have the same prior."""
    for (class_, distribution, bounds), rows in groupby(
        plan.priors, key=lambda row: (row.class_, row.distribution, row.bounds)
    ):
        symbols = [symbol for row in rows for symbol in symbols_of(row, of)]
        means = _at_the_means(of) if class_ == "Intercept" and plan.center else None
        if means is not None and len(means.terms) > 1:
            symbols = [Symbol("alpha")]
            yield Statement(symbols[0], "=", means)
        cut = class_ != "cor" and bounds[0] > distribution.support[0]
        for first in range(0, len(symbols), _TOGETHER):
            listed = Listed(tuple(symbols[first : first + _TOGETHER]))
            if distribution.kind is Kind.CONSTANT:
                yield Statement(listed, "=", Value(distribution.arguments[0]))
            else:
                remarks = (Above(listed, bounds[0]),) if cut else ()
                yield Statement(listed, "~", _distribution(distribution), remarks)


def symbols_of(row: ResolvedPrior, of: Hierarchy) -> tuple[Symbol, ...]:
    """The symbols of a parameter."""
    target = (row.class_, row.coef, row.group)
    return of.parameters[target] if target in of.parameters else (Symbol(row.class_),)


def _distribution(distribution: Distribution) -> Applied:
    if distribution.kind is Kind.FLAT:
        return Applied("flat")
    name, _, _ = str(distribution).partition("(")
    return Applied(name, tuple(map(Value, distribution.arguments)))


def _at_the_means(of: Hierarchy) -> Sum:
    """The intercept where every column of X has its mean: what the prior is of, unless told not to center."""
    terms: list[Expression] = []
    for coefficient in of.coefficients:
        for part in coefficient.fixed:
            columns = [replace(c, index=()) for c in (*coefficient.covariates, *part.covariates)]
            terms.append(product(part.symbol, *([Applied("mean", (product(*columns),))] if columns else [])))
    return Sum(tuple(terms))
