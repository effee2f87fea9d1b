"""The bars of a formula: on which grouping factors they stand, and what each of them lets vary.

With the terms outside of bars they make up the structure of a model.
"""

from model import limits
from model.errors import FormulaError
from model.language.expansion import Expansion
from model.language.syntax import Bar, Call, Chain, Dot, Name, Node, Number, walk
from model.language.terms import Effects, Grouping, Structure

Columns = tuple[str, ...]


def expand(right: Node, text: str, response: Node) -> Structure:
    """Resolve a right-hand side; `text` is where positions point. Raises FormulaError with every issue."""
    outside = Expansion(text)
    population = outside.terms(right)
    if len(outside.bars) > limits.BARS:
        outside.report(outside.bars[-1], f"A formula has at most {limits.BARS} bars", "formula-too-large")
        raise FormulaError(outside.issues)
    # a:b and b:a are the same factor
    factors: dict[frozenset[str], tuple[Columns, list[tuple[Bar, Effects]]]] = {}
    for bar in outside.bars:
        effects = _effects(bar, outside)
        for columns in _groups(bar, outside):
            _, bars = factors.setdefault(frozenset(columns), (columns, []))
            for other, earlier in bars:
                _check_distinct(bar, effects, other, earlier, columns, outside)
            bars.append((bar, effects))
    if twice := next((node for node in walk(right) if node == response), None):
        outside.report(twice, "The response is on both sides of ~")
    if outside.issues:
        raise FormulaError(outside.issues)
    groupings = (Grouping(columns, tuple(e for _, e in bars)) for columns, bars in factors.values())
    return Structure(population, tuple(outside.offsets), tuple(groupings), tuple(outside.notices))


def _effects(bar: Bar, outside: Expansion) -> Effects:
    """What a bar lets vary; its issues and its work count for the whole formula."""
    inside = Expansion(outside.text, inside_bar=True, steps=outside.steps)
    terms = inside.terms(bar.effects)
    outside.steps = inside.steps
    outside.issues.extend(inside.issues)
    outside.notices.extend(inside.notices)
    if not inside.issues and not terms.labels:
        outside.report(bar, "The bar has no effects; 1 is the intercept")
    return Effects(terms, bar.correlated)


def _groups(bar: Bar, outside: Expansion) -> list[Columns]:
    """The sets of columns that the right side of a bar stands for: `a/b` is `a` and `a:b`."""
    found = _nests(bar.group, bar, outside)
    for columns in found:
        if len(set(columns)) < len(columns):
            outside.report(bar.group, f"{':'.join(columns)} names a column twice")
    return [columns for columns in found if len(set(columns)) == len(columns)]


def _nests(node: Node, bar: Bar, outside: Expansion) -> list[Columns]:
    match node:
        case Name(name):
            return [(name,)]
        case Chain(operands, operators) if set(operators) <= {":", "/"}:
            nests = _nests(operands[0], bar, outside)
            for operator, operand in zip(operators, operands[1:], strict=True):
                inner = _nests(operand, bar, outside)
                widest = max(map(len, nests), default=0) + max(map(len, inner), default=0)
                if len(nests) * len(inner) > limits.BARS or widest > limits.GROUP_COLUMNS:
                    what = f"{limits.BARS} grouping factors, each of {limits.GROUP_COLUMNS} columns"
                    outside.report(node, f"A bar makes at most {what}", "formula-too-large")
                    return []
                if operator == ":":
                    nests = [columns + more for columns in nests for more in inner]
                elif nests:
                    nests = nests + [nests[-1] + more for more in inner]
            return nests
    outside.report(node, _group_advice(node, bar))
    return []


def _group_advice(node: Node, bar: Bar) -> str:
    mark = "|" if bar.correlated else "||"
    if isinstance(node, Chain) and set(node.operators) in ({"+"}, {"*"}):
        cells = ":".join(map(str, node.operands))
        product = node.operators[0] == "*"
        bars = " + ".join(f"({bar.effects} {mark} {g})" for g in (*node.operands, *([cells] * product)))
        alternative = "" if product else f", or {cells} for their cells"
        return f"{node.operators[0]} does not join grouping factors; write {bars}{alternative}"
    if isinstance(node, Call) and node.function in ("factor", "C"):
        return "A grouping column is categorical already; write its name alone"
    if isinstance(node, Dot | Number):
        return f"{node} is no grouping column"
    return "A grouping factor is a column, or columns joined by : or /"


def _check_distinct(
    bar: Bar, effects: Effects, other: Bar, earlier: Effects, columns: Columns, outside: Expansion
) -> None:
    shared = [label for label in effects.terms.labels if label in earlier.terms.labels]
    if not shared:
        return
    group, advice = ":".join(columns), ""
    slopes = [str(term) for e in (earlier, effects) for term in e.terms.terms]
    if shared == ["Intercept"] and slopes:
        terms = " + ".join(slopes)
        advice = (
            f"; write (0 + {terms} | {group}) + (1 | {group}) where the intercept is independent"
            f" of the slopes, or (1 + {terms} | {group}) where they are correlated"
        )
    outside.report(bar, f"{', '.join(shared)} of {group} is already in {other}{advice}")
