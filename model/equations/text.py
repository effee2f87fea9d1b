"""Equations as plain text, one line to a statement: `b0_k = g00 + g01 w_k + u0_k`.

A product is written by juxtaposition; a column stands in backticks where its name could be read as something else.
"""

import re
from collections.abc import Sequence
from functools import partial

from model.distributions import format_number
from model.equations.data import indexed, one_line
from model.equations.expressions import (
    Above,
    Applied,
    Coded,
    Datum,
    Expression,
    Index,
    Listed,
    Over,
    Product,
    Statement,
    Sum,
    Symbol,
    Value,
    Weighted,
    symbols_of,
)
from model.language.spelling import backticked, quote
from model.language.syntax import POWER, PRECEDENCE, enclose

FACTOR = POWER
"""How tightly data must bind to stand in a product; in a sum, `TERM`."""
TERM = PRECEDENCE["*"]
_CODED = re.compile(r"\w+\([^`()]*\)[\w.]*")
"""A code of a factor that a function made: `factor(cyl)6`."""


def text(statements: Sequence[Statement], taken: frozenset[str]) -> tuple[str, ...]:
    """One line for each statement; a column's name in `taken` stands in backticks."""
    return tuple(_statement(statement, taken) for statement in statements)


def spelled(*statements: Statement) -> frozenset[str]:
    """The symbols of statements, as they are spelled without their index."""
    return frozenset(_base(symbol) for statement in statements for symbol in symbols_of(statement))


def text_of(expression: Expression, taken: frozenset[str] = frozenset(), level: int = 0) -> str:
    """An expression as text; a column's name in `taken` stands in backticks, `level` tells how tightly data must
    bind to need no parentheses.
    """
    within = partial(text_of, taken=taken)
    match expression:
        case Symbol(index=index):
            return _base(expression) + _suffix(index)
        case Datum(node, index, column):
            tree = indexed(node, lambda name: _name(name, taken) + _suffix(index))
            return enclose(tree, level) + (f"[{column}]" if column else "")
        case Coded(name, index):
            return (name if _CODED.fullmatch(name) else _name(name, taken)) + _suffix(index)
        case Value(value):
            return format_number(value)
        case Applied(function, arguments):
            return f"{function}({', '.join(map(within, arguments))})" if arguments else function
        case Product(factors):
            return " ".join(text_of(factor, taken, FACTOR) for factor in factors)
        case Sum(terms, part):
            summed = " + ".join(text_of(term, taken, TERM) for term in terms)
            return f"[{summed}]" if part else summed
        case Listed(items, vector):
            listed = ", ".join(map(within, items))
            return f"({listed})" if vector else listed


def _statement(statement: Statement, taken: frozenset[str]) -> str:
    within = partial(text_of, taken=taken)
    line = f"{within(statement.left)} {statement.relation} {within(statement.right)}"
    for remark in statement.remarks:
        match remark:
            case Over(count, index, ()):
                line += f" for the {count} rows {''.join(index)}"
            case Over(count, index, columns):
                names = ":".join(_name(name, frozenset()) for name in columns)
                line += f" for the {count} levels {''.join(index)} of {names}"
            case Above(items, bound):
                line += f", {within(items)} > {format_number(bound)}"
            case Weighted(weight):
                line += f", the log likelihood of each times {within(weight)}"
    if isinstance(statement.right, Sum):
        parts = [term.part for term in statement.right.terms if isinstance(term, Sum) and term.part]
        line += f"  ({' part + '.join(parts)} part)" if parts else ""
    return line


def _base(symbol: Symbol) -> str:
    return symbol.letter + ("_" + symbol.of if symbol.of else "") + numbered(symbol.numbers)


def _suffix(index: Index) -> str:
    return "_" + "".join(index) if index else ""


def _name(name: str, taken: frozenset[str]) -> str:
    name = one_line(name)
    return backticked(name) if name in taken else quote(name)


def numbered(numbers: Sequence[int]) -> str:
    """Digits side by side, but set apart where one number has two."""
    return ("" if all(number < 10 for number in numbers) else ",").join(map(str, numbers))
