"""The value of an expression: arithmetic, the elementwise functions, and the functions with a memory.

Nothing is evaluated but the nodes of a tree that the grammar has made. A basis has several columns, and what is made
of it has as many, as in R: functions go elementwise, `center` and `scale` column by column.
"""

from collections.abc import Callable, Mapping, MutableMapping

import numpy as np
from numpy.typing import NDArray

from model.errors import InvalidModel, Issue
from model.frame.bases import Affine, Learnt, NaturalSpline, Polynomial, Spline
from model.frame.lookalikes import doubt_of
from model.frame.table import Table
from model.language import calls
from model.language.syntax import Call, Chain, Name, Negation, Node, Number, Power, children, first_column

Float = NDArray[np.float64]
ELEMENTWISE: dict[str, Callable[[Float], Float]] = {
    "log": np.log,
    "log2": np.log2,
    "log10": np.log10,
    "log1p": np.log1p,
    "exp": np.exp,
    "expm1": np.expm1,
    "sqrt": np.sqrt,
    "abs": np.abs,
}
LARGEST, SMALLEST = 1e75, 1e-75
ARITHMETIC: dict[str, Callable[[Float, Float], Float]] = {
    "+": np.add,
    "-": np.subtract,
    "*": np.multiply,
    "/": np.divide,
}


def evaluate(node: Node, table: Table, memory: Mapping[str, Learnt]) -> Float:
    """The value of an expression in every row: (row,), or (row, column) where it has several columns.

    `memory` holds what the functions have learnt, by the text of the call. Raises InvalidModel where a column
    is not numeric, a value is not finite, or numbers of columns do not go together.
    """
    with np.errstate(all="ignore"):
        values = _value(node, table, memory)
    if not np.isfinite(values).all():
        bad = ~np.isfinite(np.broadcast_to(values, (table.rows,)) if values.ndim == 0 else values)
        rows = np.flatnonzero(bad if bad.ndim == 1 else bad.any(axis=1))
        message = f"{node} is not a finite number in {len(rows)} rows (first: row {rows[0]})."
        raise InvalidModel(Issue("not-finite", message, "/formula", node.position, first_column(node)))
    return np.broadcast_to(values, (table.rows,)) if values.ndim == 0 else values


def evaluate_one(node: Node, table: Table, memory: Mapping[str, Learnt]) -> Float:
    """The value of an expression that is one number in every row: (row,). Raises InvalidModel as `evaluate` does."""
    values = evaluate(node, table, memory)
    _refuse_columns(node, values, "there can be one only here")
    return values


def learn_one(node: Node, table: Table, memory: MutableMapping[str, Learnt]) -> None:
    """Teach what is below a node that is to be one number in every row; raises InvalidModel as `learn_value` does."""
    _refuse_columns(node, learn_value(node, table, memory), "there can be one only here")


def columns_of(node: Node, memory: Mapping[str, Learnt]) -> int:
    """The number of columns of an expression whose functions have learnt."""
    if isinstance(node, Call):
        learnt = memory.get(str(node))
        return columns_of(node.arguments[0].value, memory) if learnt is None else learnt.width
    return max((columns_of(child, memory) for child in children(node)), default=1)


def learn_value(node: Node, table: Table, memory: MutableMapping[str, Learnt]) -> Float:
    """Teach what is below a node and evaluate it; raises InvalidModel also where the unit is absurd."""
    learn_functions(node, table, memory)
    values = evaluate(node, table, memory)
    _check_unit(node, values)
    return values


def learn_functions(node: Node, table: Table, memory: MutableMapping[str, Learnt]) -> None:
    """Teach every function with a memory below a node; raises InvalidModel where one cannot learn."""
    if not isinstance(node, Call):
        for child in children(node):
            learn_functions(child, table, memory)
        return
    inner = node.arguments[0].value
    if calls.FUNCTIONS[node.function].kind not in ("stateful", "basis") or str(node) in memory:
        learn_functions(inner, table, memory)
        return
    x = learn_value(inner, table, memory)
    if calls.FUNCTIONS[node.function].kind == "basis":
        _refuse_columns(inner, x, f"{node.function}() takes one")
    distinct = min(len(np.unique(column)) for column in x.reshape(len(x), -1).T)
    memory[str(node)] = _learn(node, x, distinct)


def _refuse_columns(node: Node, values: Float, rule: str) -> None:
    if values.ndim > 1:
        message = f"{node} has {values.shape[1]} columns, and {rule}."
        raise InvalidModel(Issue("several-columns", message, "/formula", node.position, first_column(node)))


def _check_unit(node: Node, values: Float) -> None:
    # sums of squares and of their products are to stay within the range of floating point
    peak = float(np.abs(values).max())
    if peak > LARGEST or 0 < peak < SMALLEST:
        message = f"{node} is of the order of {peak:.0e}, beyond what can be computed with; change its unit."
        raise InvalidModel(Issue("not-finite", message, "/formula", node.position, first_column(node)))


def _learn(call: Call, x: Float, distinct: int) -> Learnt:
    needed = calls.integer(call, "degree", 1) + 1 if call.function == "poly" else 2
    if distinct < needed and call.function != "center":
        message = f"{call} needs {needed} distinct values, and the data have {distinct}."
        raise InvalidModel(
            Issue("constant-predictor", message, "/formula", call.position, first_column(call))
        )
    match call.function:
        case "center":
            return Affine.center(x)
        case "scale":
            return Affine.scale(x)
        case "poly":
            return Polynomial.learn(x, calls.integer(call, "degree", 1))
        case "bs":
            degree = calls.integer(call, "degree", 3)
            return Spline.learn(x, calls.integer(call, "df", degree), degree)
        case _:
            return NaturalSpline.learn(x, calls.integer(call, "df", 1))


def _value(node: Node, table: Table, memory: Mapping[str, Learnt]) -> Float:
    match node:
        case Number(value):
            return np.array(value)
        case Name(name):
            return _column(name, node, table)
        case Negation(operand):
            return -_value(operand, table, memory)
        case Power(base, exponent):
            left, right = _alongside(
                node, _value(base, table, memory), exponent, _value(exponent, table, memory)
            )
            return np.power(left, right)
        case Chain(operands, operators):
            result = _value(operands[0], table, memory)
            for operator, operand in zip(operators, operands[1:], strict=True):
                left, right = _alongside(node, result, operand, _value(operand, table, memory))
                result = ARITHMETIC[operator](left, right)
            return result
        case Call(function, arguments):
            inner = _value(arguments[0].value, table, memory)
            if function == "I":
                return inner
            if function in ELEMENTWISE:
                return ELEMENTWISE[function](inner)
            made = memory[str(node)](np.broadcast_to(inner, (table.rows,)) if inner.ndim == 0 else inner)
            return made[:, 0] if made.ndim == 2 and made.shape[1] == 1 else made
    raise AssertionError(f"the grammar makes no expression of {node}")


def _alongside(whole: Node, left: Float, operand: Node, right: Float) -> tuple[Float, Float]:
    """Both sides of an operator, one number in each row standing beside each of several columns."""
    if left.ndim == 2 and right.ndim == 2 and left.shape != right.shape:
        message = f"{operand} has {right.shape[1]} columns, and what stands before it in {whole} has {left.shape[1]}."
        raise InvalidModel(
            Issue("several-columns", message, "/formula", operand.position, first_column(operand))
        )
    if left.ndim == 1 and right.ndim == 2:
        return left[:, None], right
    return left, right[:, None] if left.ndim == 2 and right.ndim == 1 else right


def _column(name: str, node: Node, table: Table) -> Float:
    column = table[name]
    if column.kind == "text":
        doubt = doubt_of(column, table.numbers)
        what = doubt.predicate if doubt is not None and doubt.code == "column-type" else "holds text."
        message = f"Column {name!r}, which {node} uses as a number, {what}"
        raise InvalidModel(Issue("column-type", message, "/formula", node.position, name))
    values: Float = column.values.astype(np.float64)
    return values
