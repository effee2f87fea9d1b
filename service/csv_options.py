"""What the query says of a CSV in the body: missing texts, the separator, the decimal mark."""

from typing import Annotated, Literal, cast

from fastapi import Query

from service.bodies import Body
from service.csv_columns import Decimal
from service.csv_dialect import SEPARATORS
from service.csv_tables import CsvOptions
from service.media_types import CSV
from service.problems import Refusal

MissingQuery = Annotated[
    list[str] | None,
    Query(
        description=(
            "CSV: a text that stands for a missing value; repeatable. Without it these do: `NA`, `N/A`, `#N/A`, `<NA>`,"
            " `NULL`, `NaN` and their like, and in columns that else hold no text also `.`, `-`, `?`, `None`"
            " and theirs. What is given replaces them all; an empty cell is missing in any case, so that `missing=`"
            " lets everything else stand."
        ),
        max_length=20,
    ),
]
SeparatorQuery = Annotated[
    str | None,
    Query(
        description=(
            "CSV: what separates the cells: `comma`, `semicolon`, `tab`, `pipe` or `space`, or the character itself."
            " Without it, it is found."
        ),
        max_length=9,
    ),
]
DecimalQuery = Annotated[
    Literal[".", ",", "point", "comma"] | None,
    Query(description="CSV: the decimal mark. Without it, it is found where commas separate no cells."),
]


def csv_options(body: Body, missing: list[str] | None, sep: str | None, decimal: str | None) -> CsvOptions:
    """Put together what is said of a CSV; raises Refusal for what is said of another format, or means nothing."""
    if body.media_type != CSV and (missing is not None or sep is not None or decimal is not None):
        message = "`missing`, `sep` and `decimal` are for CSV; other formats say it themselves."
        raise Refusal("invalid-parameter", message)
    separator = body.separator if sep is None else SEPARATORS.get(sep, sep)
    if separator is not None and separator not in SEPARATORS.values():
        raise Refusal("invalid-parameter", f"`sep` is one of {', '.join(SEPARATORS)}.")
    mark = {"point": ".", "comma": ","}.get(decimal or "", decimal)
    return CsvOptions(
        missing=None if missing is None else frozenset(missing),
        separator=separator,
        decimal=cast(Decimal | None, mark),
        charset=body.charset,
    )
