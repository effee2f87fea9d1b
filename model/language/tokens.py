"""The words of a formula: text to tokens, and the caret line that shows a place in the text.

Every character belongs to a token or is an issue; nothing is skipped but blanks.
"""

import unicodedata
from typing import Literal, NamedTuple

from model import limits
from model.errors import Issue
from model.language.spelling import continues_name, starts_name

TokenKind = Literal["name", "quoted", "number", "text", "operator", "end"]
OPERATORS = frozenset(("**", "||", "%in%", *"+-*/^:~|(),="))
LOOKALIKES = {
    **dict.fromkeys("−–—‐", "-"),
    **dict.fromkeys("∼～˜", "~"),
    **dict.fromkeys("∣｜ǀ", "|"),
    **dict.fromkeys("∗×⋅·＊", "*"),
    **dict.fromkeys("÷∕⁄／", "/"),
    **dict.fromkeys("：∶", ":"),
    **dict.fromkeys("‘’", "`"),
    **dict.fromkeys("“”", '"'),
    "＋": "+",
    "＾": "^",
    "（": "(",
    "）": ")",
    "，": ",",
    "＝": "=",
}
HINTS = {
    ">": "Comparisons are not part of a formula; make the column beforehand",
    "<": "Comparisons are not part of a formula; make the column beforehand",
    "!": "Logic is not part of a formula; make the column beforehand",
    "&": "Logic is not part of a formula; make the column beforehand",
    "%": "The only operator in percent signs is %in%",
    "$": "Columns are named alone, without their table",
    "@": "Columns are named alone, without their table",
    "[": "Columns cannot be indexed",
    "{": "A formula holds no code",
    ";": "A formula is one expression",
    "#": "A formula holds no comments",
    "\\": "A formula holds no functions",
}


class Token(NamedTuple):
    """One word of a formula; `text` is the operator, the bare name, or the string without its quotes."""

    kind: TokenKind
    text: str
    position: int
    value: float = 0.0


def tokenize(text: str) -> tuple[list[Token], list[Issue]]:
    """Cut a formula into tokens, the last of kind "end", and report every character that has no meaning."""
    tokens: list[Token] = []
    issues: list[Issue] = []
    at = 0
    while at < len(text) and len(issues) < limits.FORMULA_ISSUES:
        character = text[at]
        if character in " \t\r\n":
            at += 1
            continue
        start = at
        if character in "0123456789" or (character == "." and text[at + 1 : at + 2].isdecimal()):
            at = _number(text, at, tokens, issues)
        elif starts_name(character):
            while at < len(text) and continues_name(text[at]):
                at += 1
            tokens.append(Token("name", text[start:at], start))
        elif character in "`\"'":
            at = _quoted(text, at, tokens, issues)
        elif operator := next((text[at : at + n] for n in (4, 2, 1) if text[at : at + n] in OPERATORS), ""):
            at += len(operator)
            tokens.append(Token("operator", "^" if operator == "**" else operator, start))
        else:
            at += 1
            issues.append(problem(text, start, _stray(character)))
    tokens.append(Token("end", "the end", len(text)))
    return tokens, issues


def _number(text: str, start: int, tokens: list[Token], issues: list[Issue]) -> int:
    at = _digits(text, start)
    if text[at : at + 1] == ".":
        at = _digits(text, at + 1)
    if text[at : at + 1] in ("e", "E"):
        sign = at + 1 + (text[at + 1 : at + 2] in ("+", "-"))
        if (end := _digits(text, sign)) > sign:
            at = end
    if at < len(text) and continues_name(text[at]):
        while at < len(text) and continues_name(text[at]):
            at += 1
        word = text[start:at]
        issues.append(
            problem(text, start, f"{word} is not a number; a name that begins so goes in backticks")
        )
        tokens.append(Token("name", word, start))
        return at
    value = float(text[start:at])
    if value == float("inf"):
        issues.append(problem(text, start, "The number is too large"))
        value = 0.0
    tokens.append(Token("number", text[start:at], start, value))
    return at


def _digits(text: str, at: int) -> int:
    while at < len(text) and text[at] in "0123456789":
        at += 1
    return at


def _quoted(text: str, start: int, tokens: list[Token], issues: list[Issue]) -> int:
    mark = text[start]
    characters: list[str] = []
    at = start + 1
    while at < len(text) and text[at] != mark:
        # a backslash keeps the meaning of everything but itself and the closing mark
        if text[at] == "\\" and text[at + 1 : at + 2] in ("\\", mark):
            at += 1
        if unicodedata.category(text[at]) in ("Cc", "Cs"):
            issues.append(problem(text, at, "Control characters are not allowed"))
        characters.append(text[at])
        at += 1
    word = "".join(characters)
    if at >= len(text):
        issues.append(problem(text, start, f"The closing {mark} is missing"))
    elif not word and mark == "`":
        issues.append(problem(text, start, "A name cannot be empty"))
    tokens.append(Token("quoted" if mark == "`" else "text", word, start))
    return at + 1


def _stray(character: str) -> str:
    if character in LOOKALIKES:
        return f"{character} only looks like {LOOKALIKES[character]}"
    if character in HINTS:
        return HINTS[character]
    if character.isprintable():
        return f"{character} has no meaning in a formula; a name that holds it goes in backticks"
    return f"The invisible character U+{ord(character):04X} is not allowed"


def problem(text: str, position: int, sentence: str, code: str = "formula-syntax") -> Issue:
    """An issue at a position of the formula; its message ends with the text and a caret below the place."""
    stop = "" if sentence.endswith("?") else "."
    return Issue(code, f"{sentence}{stop}\n{caret(text, position)}", "/formula", position)


def caret(text: str, position: int, width: int = 72) -> str:
    """Two lines: the text around a position, and a caret under it."""
    start = max(0, min(position - width // 2, len(text) - width))
    window = "".join(c if c.isprintable() else " " for c in text[start : start + width])
    left, right = "…" * (start > 0), "…" * (start + width < len(text))
    return f"  {left}{window}{right}\n  {' ' * (len(left) + position - start)}^"
