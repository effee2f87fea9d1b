"""What equations are made of: symbols of the model, data, sums and products of them, and statements.

How they look is the matter of `text` and `latex`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal, TypeAlias

from model.language.syntax import Node

Index = tuple[str, ...]
"""What a quantity varies over, a letter each: `("i",)` rows, `("k",)` levels, `("k", "l")` cells."""


@dataclass(frozen=True, slots=True)
class Symbol:
    """A quantity of the model: b0_k is `Symbol("b", (0,), ("k",))`; `of` tells those of several factors apart."""

    letter: str
    numbers: tuple[int, ...] = ()
    index: Index = ()
    of: str = ""


@dataclass(frozen=True, slots=True)
class Datum:
    """An expression of columns, or the numbered `column` of its basis."""

    node: Node
    index: Index = ()
    column: int | None = None


@dataclass(frozen=True, slots=True)
class Coded:
    """A column that codes a factor, by its name: `MachineB`."""

    name: str
    index: Index = ()


@dataclass(frozen=True, slots=True)
class Value:
    """A number."""

    value: float


@dataclass(frozen=True, slots=True)
class Applied:
    """A function, a link or a distribution, with its arguments."""

    function: str
    arguments: tuple["Expression", ...] = ()


@dataclass(frozen=True, slots=True)
class Product:
    """Factors, of which there is at least one."""

    factors: tuple["Expression", ...]


@dataclass(frozen=True, slots=True)
class Sum:
    """Terms, of which there is at least one; `part` names what they are in a larger sum."""

    terms: tuple["Expression", ...]
    part: Literal["fixed", "random"] | None = None


@dataclass(frozen=True, slots=True)
class Listed:
    """Several quantities; `vector`: as the elements of one."""

    items: tuple["Expression", ...]
    vector: bool = False


Expression: TypeAlias = Symbol | Datum | Coded | Value | Applied | Product | Sum | Listed
Covariate: TypeAlias = Datum | Coded


@dataclass(frozen=True, slots=True)
class Over:
    """A statement holds for all of `count` rows or levels of a factor, which `index` runs over."""

    count: int
    index: Index
    columns: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Above:
    """The quantities of a statement are greater than a bound that their prior alone does not set."""

    items: Listed
    bound: float


@dataclass(frozen=True, slots=True)
class Weighted:
    """The log likelihood of each row is multiplied by a weight."""

    weight: Expression


@dataclass(frozen=True, slots=True)
class Statement:
    """One line of a model."""

    left: Expression
    relation: Literal["~", "="]
    right: Expression
    remarks: tuple[Over | Above | Weighted, ...] = ()


def product(*factors: Expression) -> Expression:
    """The product of some factors."""
    return factors[0] if len(factors) == 1 else Product(factors)


def symbols_of(statement: Statement) -> Iterator[Symbol]:
    """The symbols of a statement."""
    pending: list[Expression] = [statement.left, statement.right]
    while pending:
        match pending.pop():
            case Symbol() as symbol:
                yield symbol
            case Applied(_, below) | Product(below) | Sum(below) | Listed(below):
                pending.extend(below)
