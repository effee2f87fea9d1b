"""How names and numbers are spelled in a formula, as R would deparse them."""

from decimal import Decimal


def starts_name(character: str) -> bool:
    """Whether a name may begin with the character without backticks."""
    return character.isidentifier() or character == "."


def continues_name(character: str) -> bool:
    """Whether the character may stand inside a name: letters and marks of any script, digits, `_` and `.`."""
    return character.isalnum() or character in "._" or ("a" + character).isidentifier()


def quote(name: str) -> str:
    """A name as a formula writes it: bare where it can be, else in backticks."""
    plain = (
        name not in ("", ".")
        and starts_name(name[0])
        and all(map(continues_name, name))
        and not (name[0] == "." and name[1].isdecimal())
    )
    return name if plain else backticked(name)


def backticked(name: str) -> str:
    """A name in backticks."""
    return "`" + name.replace("\\", "\\\\").replace("`", "\\`") + "`"


def number_text(value: float) -> str:
    """A number as R prints it: the shortest exact digits, fixed unless scientific notation is shorter."""
    decimal = Decimal(repr(float(value))).normalize()
    sign, digits, exponent = decimal.as_tuple()
    fixed = format(decimal, "f")
    first, rest = str(digits[0]), "".join(map(str, digits[1:]))
    magnitude = int(exponent) + len(digits) - 1
    scientific = f"{'-' * sign}{first}{'.' * bool(rest)}{rest}e{magnitude:+03d}"
    return fixed if len(fixed) <= len(scientific) else scientific
