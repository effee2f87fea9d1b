"""Text that was meant as something else: numbers in another notation, dates, missing values, one value for each row.

Such a column can group rows, but is no covariate: a coefficient for each text would say nothing of what they mean.
"""

import re
from collections import Counter
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from model.frame.column import Column

MISSING_TEXTS = frozenset(
    {
        *("NA", "N/A", "n/a", "<NA>", "#N/A", "#N/A N/A", "#NA", "NULL", "Null", "null"),
        *("NaN", "nan", "NAN", "-NaN", "-nan", "1.#IND", "-1.#IND", "1.#QNAN", "-1.#QNAN"),
    }
)
"""What R, pandas, spreadsheets and databases write where a value is missing, whatever the column."""
DOUBTFUL_TEXTS = frozenset(
    {
        *(".", "..", "...", "-", "--", "---", "–", "—", "?", "*"),
        *("na", "n.a.", "N.A.", "None", "none", "NONE", "nil", "missing", "Missing", "MISSING"),
    }
)
"""What stands for a missing value among numbers (`.` in SAS and Stata), but may be a text among texts."""

_SELDOM_LEVELS = MISSING_TEXTS | DOUBTFUL_TEXTS - {"None", "none", "NONE"}

_PLAIN = re.compile(r"[+-]?((0|[1-9][0-9]*)(\.[0-9]*)?|\.[0-9]+)([eE][+-]?[0-9]+)?")
_MONEY = (
    r"(?:(?:[A-Z]{1,3})?[$€£¥₹₽₩₺₪฿]|EUR|USD|GBP|CHF|JPY|CNY|INR|SEK|NOK|DKK|PLN|CZK|HUF|BRL|CAD|AUD"
    r"|kr\.?|zł|Rs\.?)"
)
_DIGITS = (
    r"(?:\d{1,3}(?:[,.'’\s]\d{2,3})*[,.'’\s]\d{3}(?:[.,]\d+)?|\d+(?:[.,]\d*)?|[.,]\d+)(?:[eEdD][+-]?\d+)?"
)
"""Digits with thousands or without; those of other scripts and zeros at the beginning, too."""
_SIGN = r"[+\-−]?"
_OTHER = re.compile(
    rf"[\"'`]?\(?"
    rf"(?:(?:[<>≤≥~≈]=?\s*)?{_SIGN}\s*{_MONEY}?\s*{_SIGN}{_DIGITS}\s*(?:[%‰]|{_MONEY})?{_SIGN}"
    rf"|[+-]?(?:inf|Inf|INF|Infinity)|0[xX][0-9a-fA-F]+)"
    r"\)?[\"']?"
)
_WITH_UNIT = re.compile(rf"{_SIGN}{_DIGITS}\s*(?P<unit>[^\W\d_]{{1,12}}[²³]?(?:[/^·][\w²³]{{1,6}})?|°[CFK]?)")
_MONTH = r"(?:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*\.?"
_ONE_MONTH = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?"
    r"|nov(?:ember)?|dec(?:ember)?)\.?"
)
_WEEKDAY = r"(?:(?:mon|tue|wed|thu|fri|sat|sun)[a-z]*\.?,? +)?"
_DATE = re.compile(
    rf"\d{{4}}[-/](?:0?[1-9]|1[0-2])|{_ONE_MONTH}(?:[-/ ]\d{{4}}|[-/']\d{{2}})|{_WEEKDAY}"
    r"(?:\d{4}([-/.])\d{1,2}\1\d{1,2}|\d{1,2}([-/.])\d{1,2}\2\d{2}(?:\d{2})?"
    rf"|\d{{1,2}}[ .-]*{_MONTH}[ ,.-]*\d{{2}}(?:\d{{2}})?|{_MONTH} *\d{{1,2}},? *\d{{4}})(?:[T ,]+\d{{1,2}}:\d{{2}}.*)?"
    r"|\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?: ?[ap]m)?",
    re.IGNORECASE,
)

_LISTED = 5
_SHOWN_CHARACTERS = 30
_LOOKED_AT = 5_000
"""Distinct texts of a column that are looked at, evenly spread over all of them."""
_FEW_LEVELS = 5
_WHOLE = re.compile(r"-?(0|[1-9][0-9]*)")
_LEAST_PER_LEVEL = 3
"""Rows of each level, on average, from which texts that are whole numbers are levels."""
_LONGEST = 80
"""Characters of a number or a date, however it is written; a longer text costs no search."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why a column of text is no covariate: a stable code, and a predicate to follow the column's name."""

    code: str
    predicate: str


def doubt_of(column: Column, numbers: NDArray[np.int64] | None = None) -> Doubt | None:
    """Say what a column of text was probably meant as, if that is not text with some rows for each of its levels.

    `numbers` are those of its rows, if they are not counted from 0.
    """
    if column.kind != "text" or column.empty:
        return None
    counts = np.bincount(column.values[column.values >= 0], minlength=len(column.dictionary))
    used = np.flatnonzero(counts)
    rows = int(counts.sum())
    seen = used[:: -(-len(used) // _LOOKED_AT)]
    texts = [column.dictionary[code] for code in seen.tolist()]
    weights = counts[seen]
    stripped = [text.strip() if len(text) <= _LONGEST else "" for text in texts]
    dates = np.array([_DATE.fullmatch(text) is not None for text in stripped])
    if 2 * weights[dates].sum() > weights.sum():
        return Doubt(
            "date-covariate", "holds dates; give a number, such as the days since the first of them."
        )
    plain = np.array([_PLAIN.fullmatch(text) is not None for text in texts])
    numeric = plain | np.array([_OTHER.fullmatch(text) is not None for text in stripped])
    numeric |= _with_unit(stripped)
    many = np.count_nonzero(numeric) > max(_FEW_LEVELS, len(texts) / 2)
    if many or 2 * weights[numeric].sum() > weights.sum():
        # What is no number in any notation is named first.
        odd = np.concatenate([seen[~numeric], seen[numeric & ~plain]])
        if is_whole_numbers(column) and _LEAST_PER_LEVEL * len(used) <= rows:
            # Only quotation marks or a type make them text, as those of a factor with such labels do.
            return None
        return Doubt("column-type", _numbers(column, odd, int(weights[~plain].sum()), rows, numbers))
    if len(used) == rows > 2 or (len(used) > _FEW_LEVELS and 3 * len(used) > 2 * rows):
        predicate = (
            f"is text with {len(used):,} levels in {rows:,} rows, so that nearly every row would have a coefficient"
            " of its own; if they are ids, let them group, as in (1 | id)"
        )
        return Doubt("too-many-levels", f"{predicate}; if they are numbers, send numbers.")
    return None


def is_whole_numbers(column: Column) -> bool:
    """Whether every text of a column is a whole number, as the labels of many factors are."""
    return (
        column.kind == "text"
        and len(column.dictionary) > 0
        and all(_WHOLE.fullmatch(text) is not None for text in column.dictionary)
    )


def levels_for_missing(column: Column) -> list[str]:
    """The levels of a column of text that usually stand for a missing value."""
    if column.kind != "text":
        return []
    found = [code for code, text in enumerate(column.dictionary) if text in _SELDOM_LEVELS]
    present = np.isin(np.array(found, dtype=np.int64), column.values)
    return [column.dictionary[code] for code, there in zip(found, present.tolist(), strict=True) if there]


def _with_unit(texts: list[str]) -> NDArray[np.bool_]:
    """Which texts are numbers with the unit that most have, such as `5 kg`; none, if few, as doses are levels."""
    found = [_WITH_UNIT.fullmatch(text) for text in texts]
    units = Counter(match["unit"] for match in found if match is not None and match["unit"])
    unit, count = units.most_common(1)[0] if units else ("", 0)
    if count <= _FEW_LEVELS:
        return np.zeros(len(texts), dtype=np.bool_)
    return np.array([match is not None and match["unit"] == unit for match in found])


def show(text: str) -> str:
    """A text for a message, cut where it is long."""
    return repr(text if len(text) <= _SHOWN_CHARACTERS else text[:_SHOWN_CHARACTERS] + "…")


def _numbers(
    column: Column, odd: NDArray[np.int64], count: int, rows: int, numbers: NDArray[np.int64] | None
) -> str:
    if not len(odd):
        example = column.dictionary[int(column.values[column.values >= 0][0])]
        return f"holds numbers as text, such as {show(example)}; send them as numbers."
    listed_codes = odd[:_LISTED].tolist()
    places = [int(np.argmax(column.values == code)) for code in listed_codes]
    if numbers is not None:
        places = numbers[places].tolist()
    listed = ", ".join(
        f"{show(column.dictionary[code])} (row {place})"
        for code, place in zip(listed_codes, places, strict=True)
    )
    rest = f" and {len(odd) - _LISTED:,} other texts" if len(odd) > _LISTED else ""
    if count == rows:
        return f"holds numbers that are written as no number is here: {listed}{rest}; send plain numbers, as 1234.5."
    return (
        f"holds numbers but for {count:,} of {rows:,} cells: {listed}{rest};"
        " correct them, or send null where a value is missing."
    )
