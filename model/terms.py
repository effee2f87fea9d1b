"""R's expansion of a formula's operators into terms, and of its bars into grouping factors and blocks.

A set of terms is an ordered set of bit masks over variables, as in R's src/library/stats/src/model.c.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from model import limits
from model.errors import FormulaError, Issue, Notice
from model.syntax import Bar, Call, Chain, Dot, Name, Negation, Node, Number, Power, column_names, label, walk
from model.tokens import problem

Masks = dict[int, None]
"""An ordered set."""


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

    @property
    def variables(self) -> tuple[Node, ...]:
        """The variables of all terms, each once."""
        everything = [self.population, *(bar.terms for grouping in self.groupings for bar in grouping.bars)]
        found = (variable for terms in everything for term in terms.terms for variable in term.variables)
        return tuple(dict.fromkeys(found))

    @property
    def predictor_names(self) -> frozenset[str]:
        """The columns that terms and offsets are made of."""
        nodes = (*self.variables, *self.offsets)
        return frozenset(name for node in nodes for name in column_names(node))

    @property
    def group_names(self) -> frozenset[str]:
        """The columns of the grouping factors."""
        return frozenset(name for grouping in self.groupings for name in grouping.columns)


def expand(right: Node, text: str, response: Node) -> Structure:
    """Resolve a right-hand side; `text` is where positions point. Raises FormulaError with every issue."""
    expansion = _Expansion(text)
    population = expansion.terms(right)
    if len(expansion.bars) > limits.BARS:
        expansion.report(expansion.bars[-1], f"A formula has at most {limits.BARS} bars", "formula-too-large")
        raise FormulaError(expansion.issues)
    groupings: dict[frozenset[str], tuple[tuple[str, ...], list[tuple[Bar, Effects]]]] = {}
    for bar in expansion.bars:
        inner = _Expansion(text, inside_bar=True, steps=expansion.steps)
        effects = Effects(inner.terms(bar.effects), bar.correlated)
        expansion.steps = inner.steps
        expansion.issues.extend(inner.issues)
        expansion.notices.extend(inner.notices)
        if not inner.issues and not effects.terms.labels:
            expansion.report(bar, "The bar has no effects; 1 is the intercept")
        for columns in expansion.group(bar.group, bar):
            entry = groupings.setdefault(frozenset(columns), (columns, []))
            for other, earlier in entry[1]:
                expansion.check_distinct(bar, effects, other, earlier, columns)
            entry[1].append((bar, effects))
    if twice := next((node for node in walk(right) if node == response), None):
        expansion.report(twice, "The response is on both sides of ~")
    if expansion.issues:
        raise FormulaError(expansion.issues)
    resolved = tuple(Grouping(columns, tuple(e for _, e in bars)) for columns, bars in groupings.values())
    return Structure(population, tuple(expansion.offsets), resolved, tuple(expansion.notices))


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


class _Expansion:
    """The expansion of one right-hand side."""

    def __init__(self, text: str, *, inside_bar: bool = False, steps: int = 0) -> None:
        self.text = text
        self.inside_bar = inside_bar
        self.intercept = True
        self.variables: dict[Node, int] = {}
        self.offsets: list[Node] = []
        self.bars: list[Bar] = []
        self.issues: list[Issue] = []
        self.notices: list[Notice] = []
        self.steps = steps

    def terms(self, node: Node) -> Terms:
        """The terms of a node, sorted by degree."""
        masks: Masks = {}
        self.add(masks, node)
        ordered = sorted(masks, key=int.bit_count)
        names = list(self.variables)
        terms = tuple(Term(tuple(_members(mask, names))) for mask in ordered)
        if len(terms) > limits.TERMS:
            self.too_large(node)
        return Terms(self.intercept, terms)

    def add(self, masks: Masks, node: Node) -> None:
        """Add a summand, which may be 0, 1, a bar, an offset, or again a sum."""
        match node:
            case Number(value):
                self.intercept = value == 1.0
            case Bar():
                if self.inside_bar:
                    self.report(node, "A bar stands inside a bar")
                else:
                    self.bars.append(node)
            case Call("offset", (argument,)):
                if self.inside_bar:
                    self.report(node, "An offset stands inside a bar")
                else:
                    self.offsets.append(argument.value)
            case Chain() if node.precedence == 1:
                self.add(masks, node.operands[0])
                for operator, operand in zip(node.operators, node.operands[1:], strict=True):
                    if operator == "+":
                        self.add(masks, operand)
                    else:
                        self.remove(masks, operand)
            case Negation(operand):
                self.remove(masks, operand)
            case _:
                masks.update(self.masks(node))

    def remove(self, masks: Masks, node: Node) -> None:
        """Take a summand away."""
        if isinstance(node, Number):
            self.intercept = node.value == 0.0
            return
        gone = self.masks(node)
        if gone and not gone.keys() & masks.keys() and not self.issues:
            message = f"{node} is taken away from the formula, which does not contain it."
            self.notices.append(Notice("nothing_removed", message, "info"))
        for mask in gone:
            masks.pop(mask, None)

    def masks(self, node: Node) -> Masks:
        """The terms of an operand."""
        match node:
            case Chain() if node.precedence == 1:
                masks = dict(self.masks(node.operands[0]))
                for operator, operand in zip(node.operators, node.operands[1:], strict=True):
                    if operator == "+":
                        masks.update(self.masks(operand))
                    else:
                        self.remove(masks, operand)
                return masks
            case Chain():
                masks = self.masks(node.operands[0])
                for operator, operand in zip(node.operators, node.operands[1:], strict=True):
                    masks = self.combine(operator, masks, self.masks(operand), operand)
                return masks
            case Power(base, Number(exponent)):
                return self.power(node, self.masks(base), int(exponent))
            case Number() | Bar() | Negation() | Call("offset"):
                what = "A bar" if isinstance(node, Bar) else str(node)
                self.report(node, f"{what} can only be added to the other terms")
                return {}
            case _:
                return {1 << self.variables.setdefault(node, len(self.variables)): None}

    def combine(self, operator: str, left: Masks, right: Masks, node: Node) -> Masks:
        """Apply `:`, `*`, `/` or `%in%` to two sets of terms."""
        self.steps += len(left) + len(right) if operator in ("/", "%in%") else len(left) * len(right)
        if self.steps > limits.EXPANSION_STEPS:
            self.too_large(node)
        if operator in ("/", "%in%"):
            outer, inner = (left, right) if operator == "/" else (right, left)
            everything = 0
            for mask in outer:
                everything |= mask
            nested = {mask | everything: None for mask in inner}
            return nested if operator == "%in%" else left | nested
        product = {one | other: None for one in left for other in right}
        if any(mask.bit_count() > limits.TERM_VARIABLES for mask in product):
            message = f"A term joins at most {limits.TERM_VARIABLES} variables"
            self.report(node, message, "formula-too-large")
            raise FormulaError(self.issues)
        return product if operator == ":" else left | right | product

    def power(self, node: Node, base: Masks, exponent: int) -> Masks:
        """Apply `^`: all interactions of up to `exponent` terms."""
        if len(base) == 1 and exponent > 1:
            message = (
                f"{node} outside I() is no power but the interaction of a term with itself, hence the term."
            )
            advice = f"Write I({node}) for the power."
            self.notices.append(Notice("power_outside_i", message, "warning", advice=advice))
        masks = base
        for _ in range(exponent - 1):
            larger = self.combine(":", masks, base, node)
            if larger.keys() == masks.keys():
                break
            masks = larger
        return masks

    def group(self, node: Node, bar: Bar) -> Iterator[tuple[str, ...]]:
        """The sets of columns that a bar's right side stands for: `a/b` is `a` and `a:b`."""
        found = list(self.nests(node, bar))
        for columns in found:
            if len(set(columns)) < len(columns):
                self.report(node, f"{':'.join(columns)} names a column twice")
            else:
                yield columns

    def nests(self, node: Node, bar: Bar) -> list[tuple[str, ...]]:
        """As `group`, unchecked."""
        match node:
            case Name(name):
                return [(name,)]
            case Chain() if set(node.operators) <= {":", "/"}:
                nests = self.nests(node.operands[0], bar)
                for operator, operand in zip(node.operators, node.operands[1:], strict=True):
                    inner = self.nests(operand, bar)
                    widest = max(map(len, nests), default=0) + max(map(len, inner), default=0)
                    if len(nests) * len(inner) > limits.BARS or widest > limits.GROUP_COLUMNS:
                        what = f"{limits.BARS} grouping factors, each of {limits.GROUP_COLUMNS} columns"
                        self.report(node, f"A bar makes at most {what}", "formula-too-large")
                        return []
                    if operator == ":":
                        nests = [outer + columns for outer in nests for columns in inner]
                    elif nests:
                        nests = nests + [nests[-1] + columns for columns in inner]
                return nests
        self.report(node, _group_advice(node, bar))
        return []

    def check_distinct(
        self, bar: Bar, effects: Effects, other: Bar, earlier: Effects, columns: tuple[str, ...]
    ) -> None:
        """Report effects that two bars on one factor share."""
        shared = [label for label in effects.terms.labels if label in earlier.terms.labels]
        if not shared:
            return
        group, advice = ":".join(columns), ""
        slopes = [e.terms.labels[1:] for e in (earlier, effects) if e.terms.labels[1:]]
        if shared == ["Intercept"] and slopes:
            terms = " + ".join(label for labels in slopes for label in labels)
            advice = (
                f"; write (0 + {terms} | {group}) + (1 | {group}) where the intercept is independent"
                f" of the slopes, or (1 + {terms} | {group}) where they are correlated"
            )
        self.report(bar, f"{', '.join(shared)} of {group} is already in {other}{advice}")

    def too_large(self, node: Node) -> None:
        """End an expansion that grows beyond the limit."""
        self.report(node, f"The formula expands to more than {limits.TERMS} terms", "formula-too-large")
        raise FormulaError(self.issues)

    def report(self, node: Node, sentence: str, code: str = "formula-syntax") -> None:
        """Note an issue at a node and go on."""
        self.issues.append(problem(self.text, node.position, sentence, code))


def _members(mask: int, names: list[Node]) -> Iterator[Node]:
    while mask:
        lowest = mask & -mask
        yield names[lowest.bit_length() - 1]
        mask ^= lowest


def _group_advice(node: Node, bar: Bar) -> str:
    mark = "|" if bar.correlated else "||"
    if isinstance(node, Chain):
        cells = ":".join(map(str, node.operands))
        if set(node.operators) == {"+"}:
            bars = " + ".join(f"({bar.effects} {mark} {operand})" for operand in node.operands)
            return f"+ does not join grouping factors; write {bars}, or {cells} for their cells"
        if set(node.operators) == {"*"}:
            bars = " + ".join(f"({bar.effects} {mark} {group})" for group in (*node.operands, cells))
            return f"* does not join grouping factors; write {bars}"
    if isinstance(node, Call) and node.function in ("factor", "C"):
        return "A grouping column is categorical already; write its name alone"
    if isinstance(node, Dot | Number):
        return f"{node} is no grouping column"
    return "A grouping factor is a column, or columns joined by : or /"
