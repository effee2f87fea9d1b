"""R's expansion of the operators of a formula into terms.

A set of terms is an ordered set of bit masks over variables, as in R's src/library/stats/src/model.c.
"""

from collections.abc import Iterator

from model import limits
from model.errors import FormulaError, Issue, Notice
from model.language.syntax import Bar, Call, Chain, Negation, Node, Number, Power
from model.language.terms import Term, Terms
from model.language.tokens import problem

Masks = dict[int, None]
"""An ordered set."""


class Expansion:
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
                    if operator == "+" or isinstance(operand, Number):
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
