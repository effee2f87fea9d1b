"""CSV for people who open it in a spreadsheet program, which runs a text as a formula if it begins like one.

Only on request: everybody else is to get names and levels as they came.
"""

from typing import Annotated, Literal

import pyarrow as pa
import pyarrow.compute as pc
from fastapi import Query

from service.media_types import CSV
from service.problems import Refusal

Spreadsheet = Annotated[
    Literal["0", "1"],
    Query(
        description="CSV: 1 puts an apostrophe before texts that begin with `=`, `+`, `-`, `@`, a tab or the end of a "
        "line, which a spreadsheet program would run as formulas. Numbers stay as they are."
    ),
]
# As OWASP lists them, with the wide forms that East Asian versions take for them.
_BEGINS_LIKE_A_FORMULA = r"^\s*[=+\-@\t\r\n＝＋－＠]"


def for_spreadsheets(wanted: str, media_type: str) -> bool:
    """Tell whether an answer is for a spreadsheet program; raises Refusal where it is no CSV."""
    if wanted == "1" and media_type != CSV:
        raise Refusal("invalid-parameter", "`spreadsheet` is for CSV: ask for it by `Accept: text/csv`.")
    return wanted == "1"


def harmless(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Put an apostrophe before all texts that a spreadsheet program would run, names of columns among them."""
    names = _harmless(pa.array(rows.schema.names, pa.string())).to_pylist()
    columns = [_harmless(column) if pa.types.is_string(column.type) else column for column in rows.columns]
    return pa.RecordBatch.from_arrays(columns, names)


def _harmless(texts: pa.Array) -> pa.Array:
    harmful = pc.match_substring_regex(texts, _BEGINS_LIKE_A_FORMULA)
    return pc.if_else(harmful, pc.binary_join_element_wise("'", texts, ""), texts)
