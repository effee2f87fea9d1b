"""A formula: text from the network, read without evaluating anything.

`parse` gives a `Formula`, whose text is canonical: `parse(str(formula)) == formula`.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

from model import limits
from model.errors import FormulaError
from model.language.bars import expand
from model.language.grammar import Reader
from model.language.syntax import (
    Argument,
    Bar,
    Call,
    Chain,
    Dot,
    Name,
    Negation,
    Node,
    Power,
    chain,
    column_names,
    walk,
)
from model.language.terms import Structure
from model.language.tokens import problem


@dataclass(frozen=True)
class Response:
    """The left-hand side: what is modeled, and what is known about each row of it."""

    value: Node
    additions: tuple[Call, ...] = ()

    def __str__(self) -> str:
        return str(self.value) + " | " * bool(self.additions) + " + ".join(map(str, self.additions))

    @property
    def cbind(self) -> tuple[Node, Node] | None:
        """Successes and failures, where the response is `cbind(successes, failures)`."""
        match self.value:
            case Call("cbind", (Argument(successes), Argument(failures))):
                return successes, failures
        return None

    def addition(self, function: str) -> Node | None:
        """The argument of `trials`, `weights` or `se`, where there is one."""
        for call in self.additions:
            if call.function == function:
                return call.arguments[0].value
        return None

    @property
    def trials(self) -> Node | None:
        """The number of trials, where the response says it: of `trials(n)`, or all that `cbind` counts."""
        return self.addition("trials") if self.cbind is None else chain(self.cbind, ["+"])

    @property
    def names(self) -> tuple[str, ...]:
        """The columns used, each once."""
        nodes = (self.value, *self.additions)
        return tuple(dict.fromkeys(name for node in nodes for name in column_names(node)))


@dataclass(frozen=True)
class Formula:
    """A response and a right-hand side; `source` is the text as given, to which positions refer."""

    response: Response
    right: Node
    source: str = field(default="", compare=False)

    def __str__(self) -> str:
        return f"{self.response} ~ {self.right}"

    @cached_property
    def names(self) -> frozenset[str]:
        """The columns that the formula names."""
        return frozenset((*self.response.names, *column_names(self.right)))

    @property
    def dotted(self) -> bool:
        """Whether `.` stands in the formula, so that its meaning depends on the columns of the data."""
        return any(isinstance(node, Dot) for node in walk(self.right))

    @cached_property
    def structure(self) -> Structure:
        """The terms, offsets and grouping factors; raises FormulaError with every issue."""
        return expand(self.right, self.source, self.response.value)

    def resolve(self, names: Sequence[str]) -> "Formula":
        """The formula with `.` replaced by the columns that are neither in the response nor grouping factors.

        Raises FormulaError where nothing is left for `.`, or what it makes of the formula cannot be.
        """
        if not self.dotted:
            return self
        bars = [node for node in walk(self.right) if isinstance(node, Bar)]
        taken = {*self.response.names, *(name for bar in bars for name in column_names(bar.group))}
        dot = next(node for node in walk(self.right) if isinstance(node, Dot))
        left = [Name(name, dot.position) for name in names if name not in taken]
        if not left:
            raise FormulaError(
                problem(self.source, dot.position, "No column is left for .", "unknown-column")
            )
        everything = left[0] if len(left) == 1 else chain(left, ["+"] * (len(left) - 1))
        resolved = Formula(self.response, _substitute(self.right, everything))
        return Formula(resolved.response, resolved.right, str(resolved))


def parse(text: str, *, characters: int | None = limits.FORMULA_CHARACTERS) -> Formula:
    """Read a formula; raises FormulaError with every issue found, each with its position and a caret line.

    `characters` limits the text of a user; canonical text, which may be longer, is read with None.
    """
    reader = Reader(text, characters)
    response, additions, right = reader.formula()
    issues = reader.issues
    formula = Formula(Response(response, additions), right, text)
    try:
        # without data `.` is a variable like any other
        _ = formula.structure
    except FormulaError as error:
        issues += error.issues
    if issues:
        raise FormulaError(issues)
    return formula


def _substitute(node: Node, everything: Node) -> Node:
    match node:
        case Dot():
            return everything
        case Chain():
            operands = [_substitute(node.operands[0], everything)]
            operators: list[str] = []
            for operator, operand in zip(node.operators, node.operands[1:], strict=True):
                summand = _substitute(operand, everything)
                operators.append(operator)
                if operator == "+" and isinstance(summand, Chain) and set(summand.operators) == {"+"}:
                    operands.extend(summand.operands)
                    operators.extend(summand.operators)
                else:
                    operands.append(summand)
            return chain(operands, operators)
        case Negation():
            return Negation(_substitute(node.operand, everything), node.position)
        case Power():
            return Power(_substitute(node.base, everything), node.exponent, node.position)
        case Bar():
            return Bar(_substitute(node.effects, everything), node.group, node.correlated, node.position)
    return node
