"""Both notations of a model: `hierarchical`, where coefficients have equations of their own, and `expanded`, where
these are substituted into that of the mean, its fixed part before its random one.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

from model.equations.expressions import Expression, Index, Statement, Sum, Symbol, product
from model.equations.hierarchy import Coefficient, Hierarchy, hierarchy
from model.equations.latex import latex, latex_of
from model.equations.priors import priors, symbols_of
from model.equations.statements import deviations, likelihood, predictor
from model.equations.text import spelled, text, text_of
from model.spec import FitPlan


@dataclass(frozen=True, slots=True)
class Notation:
    """A whole model: a line of text for each statement, and LaTeX for math mode."""

    text: tuple[str, ...]
    latex: str


@dataclass(frozen=True, slots=True)
class ParameterSymbol:
    """What a parameter is called in the equations."""

    symbol: str
    latex: str
    class_: str
    coef: str | None
    group: str | None


@dataclass(frozen=True, slots=True)
class Equations:
    """Both notations, and whose symbols they use."""

    hierarchical: Notation
    expanded: Notation
    symbols: tuple[ParameterSymbol, ...]


def equations(plan: FitPlan) -> Equations:
    """Write a model out in both notations."""
    of = hierarchy(plan.encoding)
    shared = (*deviations(of), *priors(plan, of))
    long = (likelihood(plan, of), *hierarchical(plan, of), *shared)
    short = (likelihood(plan, of), expanded(plan, of), *shared)
    taken = spelled(*long, *short)
    return Equations(
        Notation(text(long, taken), latex(long)),
        Notation(text(short, taken), latex(short)),
        tuple(
            ParameterSymbol(text_of(symbol), latex_of(symbol), row.class_, row.coef, row.group)
            for row in plan.priors
            for symbol in symbols_of(row, of)
        ),
    )


def hierarchical(plan: FitPlan, of: Hierarchy) -> Iterator[Statement]:
    """The equation of a row, then those of its coefficients that vary between levels."""
    own = [list(_equations(c, of)) if c.varies else [] for c in of.coefficients]
    terms = (
        product(lines[0].left if lines else c.fixed[0].symbol, *c.covariates)
        for c, lines in zip(of.coefficients, own, strict=True)
    )
    yield predictor(plan, of, *terms)
    for lines in own:
        yield from lines


def expanded(plan: FitPlan, of: Hierarchy) -> Statement:
    """The equation of a row without equations below it."""
    fixed, random = (
        tuple(
            product(part.symbol, *c.covariates, *part.covariates)
            for c in of.coefficients
            for part in (c.random if chosen == "random" else c.fixed)
        )
        for chosen in ("fixed", "random")
    )
    if not random:
        return predictor(plan, of, *fixed)
    return predictor(plan, of, *([Sum(fixed, "fixed")] if fixed else []), Sum(random, "random"))


def _equations(coefficient: Coefficient, of: Hierarchy) -> Iterator[Statement]:
    """A coefficient's equation; one for each factor where the factors are nested, from the innermost out."""
    constant: list[Expression] = [part.symbol for part in coefficient.fixed if not part.index]
    stages: dict[Index, list[Expression]] = {}
    for part in (*coefficient.fixed, *coefficient.random):
        if part.index:
            stages.setdefault(part.index, []).append(part.expression)
    indices = sorted(stages, key=len, reverse=True)
    if not all(set(outer) < set(inner) for inner, outer in pairwise(indices)):
        within = {letter for index in indices for letter in index}
        everything = [term for terms in stages.values() for term in terms]
        indices = [tuple(letter for letter in of.rows if letter in within)]
        stages = {indices[0]: everything}
    names = [Symbol("b", (coefficient.number,), index) for index in indices]
    for place, (name, index) in enumerate(zip(names, indices, strict=True)):
        above = constant if name is names[-1] else [names[place + 1]]
        yield Statement(name, "=", Sum((*above, *stages[index])))
