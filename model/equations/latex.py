"""Equations as LaTeX for math mode, for amsmath and for KaTeX: one `aligned` environment, a row to a statement.

Names of columns are upright and escaped; quantities of the model are italic.
"""

from collections.abc import Sequence

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
)
from model.equations.text import FACTOR, TERM, numbered, text_of
from model.language.syntax import ATOM, NEGATION, POWER, Call, Chain, Negation, Node, Number, Power, Word

_WIDTH = 90
"""Characters of its text after which a sum goes on in another row."""
_GREEK = {
    "b": r"\beta",
    "g": r"\gamma",
    "alpha": r"\alpha",
    "mu": r"\mu",
    "nu": r"\nu",
    "sigma": r"\sigma",
    "phi": r"\phi",
    "0": r"\mathbf{0}",
    "Phi": r"\boldsymbol{\Phi}",
    "R": r"\mathbf{R}",
}
_OPERATORS = {
    "Student_t": r"Student\text{-}t",
    "student_t": r"Student\text{-}t",
    "inv_gamma": r"Inv\text{-}Gamma",
    "lognormal": "LogNormal",
    "lkj": "LKJ",
}
_FUNCTIONS = {"log": r"\log", "exp": r"\exp", "log2": r"\log_{2}", "log10": r"\log_{10}"}
_DISTRIBUTIONS = ("normal", "cauchy", "laplace", "uniform", "exponential", "gamma", "beta")
_ESCAPES = {
    **{character: "\\" + character for character in "_%$&#{}"},
    "\\": r"\textbackslash{}",
    "^": r"\textasciicircum{}",
    "~": r"\textasciitilde{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    '"': r"\textquotedblright{}",
}
_PLAIN = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.")


def latex(statements: Sequence[Statement]) -> str:
    """One environment for all statements."""
    rows = " \\\\\n".join(map(_statement, statements))
    return f"\\begin{{aligned}}\n{rows}\n\\end{{aligned}}"


def latex_of(expression: Expression, level: int = 0) -> str:
    """An expression as LaTeX; `level` tells how tightly data must bind to need no parentheses."""
    match expression:
        case Symbol(letter, numbers, index, of):
            return _symbol(letter, numbers, index, of)
        case Datum(node, index, column):
            return _datum(node, index, column, level)
        case Coded(name, index):
            return _upright(name) + _subscript("".join(index))
        case Value(value):
            return _number(format_number(value))
        case Applied("mean", (argument,)):
            return rf"\overline{{{latex_of(argument)}}}"
        case Applied(function, arguments):
            listed = ", ".join(map(latex_of, arguments))
            return _function(function) + (rf"\left({listed}\right)" if arguments else "")
        case Product(factors):
            return r" \, ".join(latex_of(factor, FACTOR) for factor in factors)
        case Sum(terms, None):
            return " + ".join(latex_of(term, TERM) for term in terms)
        case Sum(terms, part):
            return rf"\underbrace{{{latex_of(Sum(terms))}}}_{{\text{{{part} part}}}}"
        case Listed(items, vector):
            listed = ", ".join(map(latex_of, items))
            return rf"\left({listed}\right)" if vector else listed


def _statement(statement: Statement) -> str:
    relation = r"\sim" if statement.relation == "~" else "="
    right = statement.right
    rows = [latex_of(right)] if not isinstance(right, Sum) else _broken(right)
    line = f"{latex_of(statement.left)} &{relation} " + " \\\\\n&\\quad {}+ ".join(rows)
    for remark in statement.remarks:
        match remark:
            case Over(count, index, columns):
                what = "levels" if columns else "rows"
                line += rf" \quad \text{{for the {count} {what} }} {''.join(index)}"
                line += r" \text{ of } " * bool(columns) + r"{:}".join(map(_upright, columns))
            case Above(items, bound):
                line += rf", \quad {latex_of(items)} > {_number(format_number(bound))}"
            case Weighted(weight):
                line += rf"\text{{, the log likelihood of each times }} {latex_of(weight)}"
    return line


def _broken(right: Sum) -> list[str]:
    """The rows of a sum, those of a part each under a brace of its own."""
    rows: list[list[Expression]] = [[]]
    width = 0
    for term in right.terms:
        for piece in _pieces(term):
            length = len(text_of(piece))
            if rows[-1] and width + length > _WIDTH:
                rows.append([])
                width = 0
            rows[-1].append(piece)
            width += length
    return [latex_of(Sum(tuple(row))) for row in rows]


def _pieces(term: Expression) -> list[Expression]:
    """The term, cut up where it is a sum that is too wide for a row."""
    if not isinstance(term, Sum):
        return [term]
    pieces: list[list[Expression]] = [[]]
    for inner in term.terms:
        if pieces[-1] and len(text_of(Sum((*pieces[-1], inner)))) > _WIDTH:
            pieces.append([])
        pieces[-1].append(inner)
    return [Sum(tuple(piece), term.part) for piece in pieces]


def _symbol(letter: str, numbers: Sequence[int], index: Index, of: str) -> str:
    name = _GREEK.get(letter) or (letter if len(letter) == 1 else rf"\mathit{{{letter}}}")
    apart = "," if index and any(number > 9 for number in numbers) else ""
    return name + _subscript(of + numbered(numbers) + apart + "".join(index))


def _subscript(subscript: str) -> str:
    return f"_{{{subscript}}}" if subscript else ""


def _function(name: str) -> str:
    if name in _FUNCTIONS:
        return _FUNCTIONS[name]
    if name == "flat":
        return r"\text{flat}"
    shown = _OPERATORS.get(name) or (name.capitalize() if name in _DISTRIBUTIONS else _escaped(name))
    return rf"\operatorname{{{shown}}}"


def _datum(node: Node, index: Index, column: int | None, level: int) -> str:
    tree = indexed(node, lambda name: _upright(name) + _subscript("".join(index)))
    if column is None or not isinstance(tree, Call):
        return _node(tree, level)
    return rf"\operatorname{{{tree.function}}}_{{{column}}}\left({_arguments(tree)}\right)"


def _node(node: Node, level: int = 0) -> str:
    """An expression of columns, in parentheses where it binds less tightly than `level`."""
    match node:
        case Word(word):
            return word
        case Number():
            return _number(str(node))
        case Chain(operands, operators):
            binding = node.precedence
            shown = _node(operands[0], binding)
            for operator, operand in zip(operators, operands[1:], strict=True):
                shown += {"*": r" \cdot "}.get(operator, f" {operator} ") + _node(operand, binding + 1)
        case Negation(operand):
            binding, shown = NEGATION, "-" + _node(operand, NEGATION)
        case Power(base, exponent):
            binding, shown = POWER, f"{{{_node(base, ATOM)}}}^{{{_node(exponent)}}}"
        case Call("sqrt", (argument,)):
            return rf"\sqrt{{{_node(argument.value)}}}"
        case Call("abs", (argument,)):
            return rf"\left|{_node(argument.value)}\right|"
        case Call(function):
            return rf"{_function(function)}\left({_arguments(node)}\right)"
        case _:
            return rf"\text{{{_escaped(str(node))}}}"
    return shown if binding >= level else rf"\left({shown}\right)"


def _arguments(call: Call) -> str:
    return ", ".join(
        (rf"\text{{{_escaped(argument.keyword)} = }}" if argument.keyword else "") + _node(argument.value)
        for argument in call.arguments
    )


def _number(number: str) -> str:
    mantissa, exponential, exponent = number.partition("e")
    return rf"{mantissa} \times 10^{{{int(exponent)}}}" if exponential else mantissa


def _upright(name: str) -> str:
    shape = "mathrm" if name and _PLAIN.issuperset(name) else "text"
    return rf"\{shape}{{{_escaped(one_line(name))}}}"


def _escaped(name: str) -> str:
    return "".join(_ESCAPES.get(character, character) for character in name)
