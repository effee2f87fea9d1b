"""The user's expressions as mathematics: with an index on every column, and without `I()`, which formulas alone need.

The names of columns are any text; here they become one line.
"""

from collections.abc import Callable

from model.language.syntax import Argument, Call, Chain, Name, Negation, Node, Power, Word


def indexed(node: Node, spell: Callable[[str], str]) -> Node:
    """The expression with its columns spelled in another way, as words that are printed as they are."""

    def within(below: Node) -> Node:
        return indexed(below, spell)

    match node:
        case Name(name):
            return Word(spell(name))
        case Chain(operands, operators):
            return Chain(tuple(map(within, operands)), operators)
        case Negation(operand):
            return Negation(within(operand))
        case Power(base, exponent):
            return Power(within(base), within(exponent))
        case Call("I", (Argument(inner),)):
            return within(inner)
        case Call(function, arguments):
            return Call(function, tuple(Argument(within(a.value), a.keyword) for a in arguments))
    return node


def one_line(name: str) -> str:
    """A name without the characters that would end its line or cannot be seen."""
    return "".join(character if character.isprintable() else " " for character in name)
