"""Names as they can be drawn: nothing that XML or a terminal would stumble over, and no longer than there is room.

Widths are those of DejaVu Sans, the font that matplotlib brings, so a picture is laid out alike everywhere.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import cache, lru_cache

from matplotlib.font_manager import findfont
from matplotlib.ft2font import FT2Font

MOST_CHARACTERS = 40
_FEWEST_CHARACTERS = 8
_NOT_IN_XML = "\ufffe\uffff"
_REORDERING = "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
_UNITS = 1000


def legible(text: str, most: int = MOST_CHARACTERS) -> str:
    """Give a user's text as a label: on one line, without control characters, shortened in the middle."""
    characters = "".join(map(_drawable, text))
    if len(characters) <= most:
        return characters
    head = (most - 1) // 2
    return f"{characters[:head]}…{characters[head + 1 - most :]}"


def legible_all(texts: Sequence[str], most: int = MOST_CHARACTERS) -> list[str]:
    """Give labels that differ where the texts do: those that would be shortened alike show where they part."""
    labels = [legible(text, most) for text in texts]
    alike = {label for label, count in Counter(labels).items() if count > 1}
    for label in alike:
        places = [place for place, other in enumerate(labels) if other == label]
        start = _shared([texts[place] for place in places]) - most // 2
        for number, place in enumerate(places):
            window = legible(f"…{texts[place][start : start + most - 2]}…", most)
            labels[place] = window if start > 0 and window not in labels else f"{label} ({number + 1})"
    return labels


def _shared(texts: Sequence[str]) -> int:
    """Count the characters that all begin with."""
    columns = zip(*texts, strict=False)
    return next((place for place, column in enumerate(columns) if len(set(column)) > 1), min(map(len, texts)))


def _drawable(character: str) -> str:
    category = unicodedata.category(character)
    if category in ("Zl", "Zp") or character in "\t\n\r":
        return " "
    if category in ("Cc", "Cs") or character in _NOT_IN_XML or character in _REORDERING:
        return "\N{REPLACEMENT CHARACTER}"
    return character


def width(text: str, size: float) -> float:
    """Give the width of a text of this font size, in the same unit."""
    return size * sum(map(_advance, text))


def fitted(text: str, size: float, room: float) -> str:
    """Give a text as a label that is no wider than the room, shortened in the middle if it must be."""
    most = len(text)
    while most > 3 and width(legible(text, most), size) > room:
        most -= max(1, int((width(legible(text, most), size) - room) / size))
    return legible(text, max(most, 3))


def fitted_all(texts: Sequence[str], size: float, room: float) -> list[str]:
    """Give labels that are no wider than the room, and that differ where the texts do."""
    most = min(max(map(len, texts)), MOST_CHARACTERS)
    labels = legible_all(texts, most)
    while most > _FEWEST_CHARACTERS and (excess := max(width(label, size) for label in labels) - room) > 0:
        most = max(_FEWEST_CHARACTERS, most - max(1, int(excess / size)))
        labels = legible_all(texts, most)
    return labels


def wrapped(text: str, size: float, room: float, most_lines: int = 4) -> list[str]:
    """Break a text into lines that fit the room; what is beyond the last line ends in an ellipsis."""
    lines: list[str] = []
    for word in text.split(" "):
        if lines and width(f"{lines[-1]} {word}", size) <= room:
            lines[-1] += f" {word}"
        else:
            lines += _pieces(word, size, room)
    if len(lines) <= most_lines:
        return lines
    last = lines[most_lines - 1]
    while last and width(f"{last} …", size) > room:
        last = last[:-1]
    return [*lines[: most_lines - 1], f"{last} …"]


def _pieces(word: str, size: float, room: float) -> list[str]:
    """Break a word that is wider than a line."""
    pieces = [""]
    for character in word:
        if pieces[-1] and width(pieces[-1] + character, size) > room:
            pieces.append("")
        pieces[-1] += character
    return pieces


@lru_cache(maxsize=10_000)
def _advance(character: str) -> float:
    """Width of a character in a font of size 1; of those that the font lacks, what other fonts have for them."""
    if unicodedata.combining(character):
        return 0.0
    if ord(character) not in _covered():
        return 1.0 if unicodedata.east_asian_width(character) in "WF" else 0.65
    glyph = _font().load_char(ord(character))
    return float(glyph.linearHoriAdvance) / 65536 / _UNITS


@cache
def _covered() -> frozenset[int]:
    return frozenset(_font().get_charmap())


@cache
def _font() -> FT2Font:
    font = FT2Font(findfont("DejaVu Sans"))
    font.set_size(_UNITS, 72)
    return font
