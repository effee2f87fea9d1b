"""The tree of a formula, and its canonical text.

Operators of equal precedence make one flat `Chain`, so a tree is never deeper than its text is nested.
Every node prints as R deparses it; its `position` (0-based, in characters) plays no part in equality.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from model.language.spelling import backticked, number_text, quote

PRECEDENCE = {"+": 1, "-": 1, "*": 2, "/": 2, "%in%": 3, ":": 4}
NEGATION, POWER, ATOM = 5, 6, 7


@dataclass(frozen=True, slots=True)
class Name:
    """A column of the data."""

    name: str
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return quote(self.name)


@dataclass(frozen=True, slots=True)
class Number:
    """A finite number; below zero only as the argument of a call."""

    value: float
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return number_text(self.value)


@dataclass(frozen=True, slots=True)
class Text:
    """A string in quotes: a level, in `C(f, ref = "b")`."""

    value: str
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return '"' + self.value.replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True, slots=True)
class Word:
    """A bare word as an argument: `sum` in `C(f, sum)`."""

    word: str
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return self.word


@dataclass(frozen=True, slots=True)
class Dot:
    """`.`: every column that is neither on the response's side nor a grouping factor."""

    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return "."


@dataclass(frozen=True, slots=True)
class Chain:
    """Operands joined from left to right by operators of one precedence; use `chain` to make one."""

    operands: tuple["Node", ...]
    operators: tuple[str, ...]
    position: int = field(default=0, compare=False)

    @property
    def precedence(self) -> int:
        """How tightly the operators bind."""
        return PRECEDENCE[self.operators[0]]

    def __str__(self) -> str:
        level = self.precedence
        parts = [enclose(self.operands[0], level)]
        for operator, operand in zip(self.operators, self.operands[1:], strict=True):
            # R writes a:b and a/b closed up, everything else spaced
            parts.append(operator if operator in ":/" else f" {operator} ")
            parts.append(enclose(operand, level + 1))
        return "".join(parts)


@dataclass(frozen=True, slots=True)
class Negation:
    """A minus sign before an operand."""

    operand: "Node"
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return "-" + enclose(self.operand, NEGATION)


@dataclass(frozen=True, slots=True)
class Power:
    """`base ^ exponent`; binds more tightly than a minus sign before it, and from right to left."""

    base: "Node"
    exponent: "Node"
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{enclose(self.base, ATOM)}^{enclose(self.exponent, NEGATION)}"


@dataclass(frozen=True, slots=True)
class Argument:
    """One argument of a call, with its keyword where one was written."""

    value: "Node"
    keyword: str | None = None

    def __str__(self) -> str:
        return str(self.value) if self.keyword is None else f"{self.keyword} = {self.value}"


@dataclass(frozen=True, slots=True)
class Call:
    """A call of a function of the closed table (`model.language.calls`)."""

    function: str
    arguments: tuple[Argument, ...]
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"{self.function}({', '.join(map(str, self.arguments))})"


@dataclass(frozen=True, slots=True)
class Bar:
    """`(effects | group)`, or with `||` where not `correlated`."""

    effects: "Node"
    group: "Node"
    correlated: bool
    position: int = field(default=0, compare=False)

    def __str__(self) -> str:
        return f"({self.effects} {'|' if self.correlated else '||'} {self.group})"


Node: TypeAlias = Name | Number | Text | Word | Dot | Chain | Negation | Power | Call | Bar


def chain(operands: Sequence[Node], operators: Sequence[str]) -> Chain:
    """Join operands by operators of one precedence, from the left, lengthening a chain that stands first."""
    first = operands[0]
    if isinstance(first, Chain) and first.precedence == PRECEDENCE[operators[0]]:
        return Chain((*first.operands, *operands[1:]), (*first.operators, *operators), first.position)
    return Chain(tuple(operands), tuple(operators), first.position)


def enclose(node: Node, level: int) -> str:
    """The node's text, in parentheses where it binds less tightly than `level`."""
    match node:
        case Chain():
            bare = node.precedence >= level
        case Negation():
            bare = level <= NEGATION
        case Power():
            bare = level <= POWER
        case _:
            bare = True
    return str(node) if bare else f"({node})"


def children(node: Node) -> tuple[Node, ...]:
    """The nodes directly below a node, from left to right."""
    match node:
        case Chain():
            return node.operands
        case Negation():
            return (node.operand,)
        case Power():
            return (node.base, node.exponent)
        case Call():
            return tuple(argument.value for argument in node.arguments)
        case Bar():
            return (node.effects, node.group)
    return ()


def walk(node: Node) -> Iterator[Node]:
    """The node and all nodes below it, from left to right."""
    yield node
    for child in children(node):
        yield from walk(child)


def column_names(node: Node) -> tuple[str, ...]:
    """The columns that an expression names, each once, from left to right."""
    return tuple(dict.fromkeys(below.name for below in walk(node) if isinstance(below, Name)))


def first_column(node: Node) -> str | None:
    """The first column that an expression names: the one to show where the expression is wrong."""
    return next(iter(column_names(node)), None)


def label(node: Node) -> str:
    """What a variable is called in a coefficient: a column's own name, quoted where it would mislead."""
    if isinstance(node, Name) and node.name != "Intercept" and not set(":(`") & set(node.name):
        return node.name
    return backticked(node.name) if isinstance(node, Name) else enclose(node, PRECEDENCE[":"])
