"""A formula's right-hand side, resolved: terms, offsets, grouping factors, and how their variables are coded.

`model.language.expansion` makes it from a tree; here is what it is.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass, replace

from model.errors import Notice
from model.language.syntax import Node, column_names, label


@dataclass(frozen=True, slots=True)
class Term:
    """One product of variables, in the order in which the formula first names them."""

    variables: tuple[Node, ...]

    def __str__(self) -> str:
        return ":".join(map(label, self.variables))


@dataclass(frozen=True, slots=True)
class Terms:
    """A right-hand side: terms by degree, then by first appearance."""

    intercept: bool
    terms: tuple[Term, ...]

    @property
    def labels(self) -> tuple[str, ...]:
        """What the terms are called, the intercept first."""
        return ("Intercept",) * self.intercept + tuple(map(str, self.terms))


@dataclass(frozen=True, slots=True)
class Effects:
    """The effects of one bar; not correlated: every coefficient is a block of its own."""

    terms: Terms
    correlated: bool


@dataclass(frozen=True, slots=True)
class Grouping:
    """One grouping factor with the bars on it; more than one column: its levels are their observed cells."""

    columns: tuple[str, ...]
    bars: tuple[Effects, ...]

    @property
    def name(self) -> str:
        """The columns, joined by a colon."""
        return ":".join(self.columns)


@dataclass(frozen=True, slots=True)
class Structure:
    """A right-hand side, resolved: population-level terms, offsets, grouping factors."""

    population: Terms
    offsets: tuple[Node, ...]
    groupings: tuple[Grouping, ...]
    notices: tuple[Notice, ...]

    def only(self, factors: Collection[str]) -> "Structure":
        """The structure without the grouping factors that are not named."""
        return replace(self, groupings=tuple(g for g in self.groupings if g.name in factors))

    @property
    def variables(self) -> tuple[Node, ...]:
        """The variables of all terms, each once."""
        everything = [self.population, *(bar.terms for grouping in self.groupings for bar in grouping.bars)]
        found = (variable for terms in everything for term in terms.terms for variable in term.variables)
        return tuple(dict.fromkeys(found))

    @property
    def beside_intercept(self) -> frozenset[Node]:
        """The variables that stand beside an intercept, in a bar or outside of it."""
        everything = [self.population, *(bar.terms for grouping in self.groupings for bar in grouping.bars)]
        return frozenset(
            v for terms in everything if terms.intercept for term in terms.terms for v in term.variables
        )

    @property
    def predictor_names(self) -> frozenset[str]:
        """The columns that terms and offsets are made of."""
        nodes = (*self.variables, *self.offsets)
        return frozenset(name for node in nodes for name in column_names(node))

    @property
    def group_names(self) -> frozenset[str]:
        """The columns of the grouping factors."""
        return frozenset(name for grouping in self.groupings for name in grouping.columns)


def full_coding(terms: Terms, categorical: Callable[[Node], bool]) -> list[tuple[bool, ...]]:
    """Which variables of which terms get one column per level, by R's rule of marginality.

    A categorical variable is coded by contrasts where the term without it is contained in an earlier term
    or is the intercept; without an intercept the first categorical variable of all is coded in full.
    Source: `TermCode` and `modelmatrix` in R's src/library/stats/src/model.c.
    """
    coding: list[tuple[bool, ...]] = []
    preceding: list[frozenset[Node]] = []
    pending = not terms.intercept
    for term in terms.terms:
        full = []
        for variable in term.variables:
            rest = frozenset(term.variables) - {variable}
            marginal = not rest or any(rest <= earlier for earlier in preceding)
            if categorical(variable):
                full.append(pending or not marginal)
                pending = False
            else:
                full.append(False)
        coding.append(tuple(full))
        preceding.append(frozenset(term.variables))
    return coding


def same_factor(text: str, names: Collection[str]) -> str | None:
    """The factor of that name, or whose columns the text names in another order: `h:g` is `g:h`."""
    if text in names:
        return text
    columns = sorted(text.split(":"))
    found = [name for name in names if sorted(name.split(":")) == columns]
    return found[0] if len(found) == 1 else None
