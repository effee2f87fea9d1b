"""The grammar of formulas: tokens to a tree, by recursive descent with precedence climbing.

Every token is consumed or the formula is refused. What is wrong with a call is collected on the way,
so that one reading finds as much as it can.
"""

from collections.abc import Callable, Mapping

from model import limits
from model.errors import FormulaError, Issue
from model.language import calls
from model.language.syntax import (
    PRECEDENCE,
    Argument,
    Bar,
    Call,
    Dot,
    Name,
    Negation,
    Node,
    Number,
    Power,
    Text,
    Word,
    chain,
)
from model.language.tokens import Token, problem, tokenize

ADDITIONS = ("trials", "weights", "se")
ARITHMETIC = {operator: PRECEDENCE[operator] for operator in "+-*/"}


class Reader:
    """Reads one formula; `issues` holds what is wrong but does not stop the reading."""

    def __init__(self, text: str, characters: int | None) -> None:
        if characters is not None and len(text) > characters:
            message = f"A formula has at most {characters} characters, and this has {len(text)}."
            raise FormulaError(Issue("formula-too-large", message, "/formula"))
        self.text = text
        self.tokens, self.issues = tokenize(text)
        if self.issues:
            raise FormulaError(self.issues)
        self.index = 0
        self.depth = 0

    def formula(self) -> tuple[Node, tuple[Call, ...], Node]:
        """Read the whole formula: the response, its additions, the right-hand side."""
        if self.sees("~"):
            raise self.stop("A formula has a response before ~")
        if self.token.text in ("bf", "brmsformula") and self.called():
            raise self.stop(f"Write the formula alone, without {self.token.text}(); only the mean is modeled")
        response = self.response()
        additions = self.additions() if self.accept("|") else ()
        if not self.accept("~"):
            raise self.unexpected("~ and the terms")
        right = self.terms()
        if self.sees("|") or self.sees("||"):
            raise self.stop("A bar stands in parentheses, as in (1 + x | g)")
        if self.token.kind != "end":
            raise self.unexpected("an operator or the end")
        return response, additions, right

    # The left-hand side

    def response(self) -> Node:
        """`name`, `fn(expr)`, or `cbind(expr, expr)`."""
        start = self.token
        if start.text == "cbind" and self.called():
            pair = self.special(data=2)
            if len(pair.arguments) != 2 or any(argument.keyword for argument in pair.arguments):
                self.report(start.position, "cbind(successes, failures) takes two arguments")
            return pair
        node = self.arithmetic()
        if not isinstance(node, Name | Call):
            self.report(start.position, "A response that is computed goes in I(), as in I(y / 100)")
        elif isinstance(node, Call) and node.function in calls.FUNCTIONS:
            kind = calls.FUNCTIONS[node.function].kind
            if kind in ("basis", "categorical"):
                hint = "; text of two levels can stand as it is" if kind == "categorical" else ""
                self.report(start.position, f"{node.function}() cannot make a response{hint}")
        return node

    def additions(self) -> tuple[Call, ...]:
        """`trials(n)`, `weights(w)` and `se(s)`, joined by +."""
        found: list[Call] = []
        while True:
            token = self.token
            if token.text not in ADDITIONS and token.text in calls.ELSEWHERE and self.called():
                raise self.stop(f"There is no {token.text}() here; {calls.ELSEWHERE[token.text]}")
            if token.text not in ADDITIONS or not self.called():
                raise self.unexpected("trials(n), weights(w) or se(s)")
            call = self.special()
            if len(call.arguments) != 1 or call.arguments[0].keyword:
                self.report(token.position, f"{token.text}() takes one argument")
            if any(call.function == earlier.function for earlier in found):
                self.report(token.position, f"{token.text}() is given twice")
            found.append(call)
            if not self.accept("+"):
                return tuple(found)

    # Terms

    def terms(self) -> Node:
        """Operands joined by the operators of formulas; a minus sign may precede the first."""
        start = self.token
        if not self.accept("-"):
            return self.chained(self.operand, PRECEDENCE)
        first = Negation(self.chained(self.operand, PRECEDENCE, 2), start.position)
        return self.chained(self.operand, PRECEDENCE, first=first)

    def operand(self) -> Node:
        """One operand of a formula, with the power that may follow it."""
        node = self.atom()
        while self.sees("^"):
            position = self.take().position
            exponent = self.token
            if exponent.kind != "number" or exponent.value not in range(1, limits.POWER + 1):
                raise self.stop(f"The power of a term is a whole number from 1 to {limits.POWER}")
            self.take()
            if isinstance(node, Power):
                raise self.stop("A power of a power is not allowed", exponent)
            node = Power(node, Number(exponent.value, exponent.position), position)
        return node

    def atom(self) -> Node:
        """A name, 0, 1, `.`, a call, or something in parentheses, which may be a bar."""
        token = self.token
        if token.kind == "number":
            if token.value not in (0.0, 1.0):
                raise self.stop(
                    f"As a term a number is 0 or 1; arithmetic goes in I(), as in I({token.text} * x)"
                )
            return Number(self.take().value, token.position)
        if token.kind == "name" and token.text == ".":
            self.take()
            return Dot(token.position)
        if token.kind in ("name", "quoted"):
            if token.text == "offset" and self.called():
                call = self.special()
                if len(call.arguments) != 1 or call.arguments[0].keyword:
                    self.report(token.position, "offset() takes one argument")
                return call
            return self.name_or_call()
        if self.sees("("):
            self.enter()
            node = self.terms()
            if self.sees("|") or self.sees("||"):
                correlated = self.take().text == "|"
                node = Bar(node, self.terms(), correlated, token.position)
                if self.sees("|") or self.sees("||"):
                    raise self.stop("A bar has two sides, (effects | g); identifiers join several formulas")
            self.leave()
            return node
        raise self.unexpected("a term")

    # Arithmetic

    def arithmetic(self) -> Node:
        """An expression of numbers and columns, as in I()."""
        return self.chained(self.signed, ARITHMETIC)

    def signed(self) -> Node:
        """An operand with its minus sign and its power; the sign binds less tightly than the power."""
        token = self.token
        if self.sees("-"):
            self.enter()
            node: Node = Negation(self.signed(), token.position)
            self.depth -= 1
            return node
        base = self.value()
        if not self.sees("^"):
            return base
        self.enter()
        node = Power(base, self.signed(), token.position)
        self.depth -= 1
        return node

    def value(self) -> Node:
        """A number, a column, a call, or an expression in parentheses."""
        token = self.token
        if token.kind == "number":
            return Number(self.take().value, token.position)
        if token.kind in ("name", "quoted") and not (token.kind == "name" and token.text == "."):
            return self.name_or_call()
        if self.sees("("):
            self.enter()
            node = self.arithmetic()
            self.leave()
            return node
        raise self.unexpected("a number or the name of a column")

    def name_or_call(self) -> Node:
        """A column; a function of the table where "(" follows."""
        token = self.token
        if token.kind == "quoted" or not self.called():
            self.take()
            if self.sees("("):
                raise self.stop("A name in backticks is a column, which cannot be called")
            return Name(token.text, token.position)
        call = self.call(data=1)
        for position, sentence in calls.check(call):
            code = "unknown-function" if call.function not in calls.FUNCTIONS else "formula-syntax"
            self.report(position, sentence, code)
        return call

    def called(self) -> bool:
        """Whether "(" follows the token at hand, a bare name."""
        following = self.tokens[min(self.index + 1, len(self.tokens) - 1)]
        return self.token.kind == "name" and following.kind == "operator" and following.text == "("

    def special(self, data: int = 1) -> Call:
        """A call of what is no function of the table, `offset`, `cbind` or an addition: its arguments are numbers."""
        call = self.call(data)
        for position, sentence in calls.factors_within(call):
            self.report(position, sentence)
        return call

    def call(self, data: int) -> Call:
        """A call; its first `data` arguments are expressions, the others literals."""
        name = self.take()
        self.enter()
        arguments: list[Argument] = []
        more = not self.sees(")")
        while more:
            arguments.append(self.argument(data=len(arguments) < data))
            more = self.accept(",")
            if not more and not self.sees(")"):
                raise self.unexpected("an operator, a comma or )")
        self.leave()
        return Call(name.text, tuple(arguments), name.position)

    def argument(self, *, data: bool) -> Argument:
        """One argument of a call, an expression where it is data and has no keyword."""
        following = self.tokens[min(self.index + 1, len(self.tokens) - 1)]
        if self.token.kind == "name" and following.kind == "operator" and following.text == "=":
            keyword = self.take().text
            self.take()
            return Argument(self.literal(), keyword)
        return Argument(self.arithmetic() if data else self.literal())

    def literal(self) -> Node:
        """A number, a string in quotes, or a bare word."""
        token = self.token
        sign = -1.0 if self.accept("-") else 1.0
        if self.token.kind == "number":
            return Number(sign * self.take().value, token.position)
        if self.token.kind == "text" and sign > 0:
            return Text(self.take().text, token.position)
        if self.token.kind == "name" and sign > 0 and not self.called():
            return Word(self.take().text, token.position)
        raise self.unexpected("a number, a word, or a string in quotes")

    # Operators

    def chained(
        self,
        operand: Callable[[], Node],
        precedence: Mapping[str, int],
        level: int = 1,
        first: Node | None = None,
    ) -> Node:
        """Operands joined by left-associative operators that bind at least as tightly as `level`."""
        left = operand() if first is None else first
        while (binding := self.binding(precedence)) >= level:
            operands, operators = [left], []
            while self.binding(precedence) == binding:
                operators.append(self.take().text)
                operands.append(self.chained(operand, precedence, binding + 1))
            left = chain(operands, operators)
        return left

    def binding(self, precedence: Mapping[str, int]) -> int:
        """How tightly the operator at hand binds; 0: it is not one of these."""
        return precedence.get(self.token.text, 0) if self.token.kind == "operator" else 0

    # Tokens

    @property
    def token(self) -> Token:
        """The token at hand."""
        return self.tokens[self.index]

    def take(self) -> Token:
        """Consume the token at hand."""
        token = self.tokens[self.index]
        self.index += 1
        return token

    def sees(self, operator: str) -> bool:
        """Whether the token at hand is this operator."""
        return self.token.kind == "operator" and self.token.text == operator

    def accept(self, operator: str) -> bool:
        """Consume the operator if it is at hand."""
        if self.sees(operator):
            self.index += 1
            return True
        return False

    def enter(self) -> None:
        """Consume what opens one level of nesting."""
        self.depth += 1
        if self.depth > limits.NESTING_DEPTH:
            message = f"A formula is nested at most {limits.NESTING_DEPTH} deep"
            raise self.stop(message, code="formula-too-large")
        self.take()

    def leave(self) -> None:
        """Consume the parenthesis that closes one level of nesting."""
        if not self.accept(")"):
            raise self.unexpected("an operator or )")
        self.depth -= 1

    def report(self, position: int, sentence: str, code: str = "formula-syntax") -> None:
        """Note an issue and read on, unless there are too many."""
        self.issues.append(problem(self.text, position, sentence, code))
        if len(self.issues) >= limits.FORMULA_ISSUES:
            raise FormulaError(self.issues)

    def unexpected(self, expected: str) -> FormulaError:
        """The refusal of the token at hand."""
        token = self.token
        found = token.text if token.kind in ("end", "operator") else f"{token.kind} {token.text[:40]}"
        return self.stop(f"Expected {expected}, found {found}")

    def stop(self, sentence: str, token: Token | None = None, code: str = "formula-syntax") -> FormulaError:
        """All issues so far and one at a token (the one at hand), which ends the reading."""
        self.report((token or self.token).position, sentence, code)
        return FormulaError(self.issues)
