"""Arrow's types as the few that columns are read from: booleans, integers, floating point, text, and nothing.

A cell keeps its value exactly or its column is refused with the reason, whatever type there may be.
"""

import pyarrow as pa
import pyarrow.compute as pc

from model.errors import InvalidModel, Issue
from model.frame.column import EXACT_FLOAT, ColumnError

_UNITS = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
_FIRST, _LAST = -62_135_596_800, 253_402_300_799  # seconds of the years 1 to 9999
_ADVICE = "send numbers, text or booleans."


def plain_cells(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Give the same cells as null, booleans, integers, floating point, or text (dictionary coded or not).

    Raises ColumnError for a type or a value that is none of these.
    """
    try:
        return _plain(cells)
    except (pa.ArrowException, OverflowError):
        # Arrow lacks many a conversion, the more so between types that hold others.
        raise _unlike(cells.type) from None


def refuse_types(schema: pa.Schema) -> None:
    """Raise InvalidModel for the columns of types that cannot be read, before any of their cells are."""
    wrong = [field for field in schema if not _readable(field.type)]
    if wrong:
        raise InvalidModel(
            Issue("column-type", f"Column {field.name!r} {_unlike(field.type)}", column=field.name)
            for field in wrong
        )


def is_text(kind: pa.DataType) -> bool:
    """Whether a type is one of Arrow's types of text."""
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _readable(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return not pa.types.is_dictionary(kind.value_type) and _readable(kind.value_type)
    if isinstance(kind, pa.BaseExtensionType):
        return False
    simple = (pa.types.is_null, pa.types.is_boolean, pa.types.is_integer, pa.types.is_floating)
    dated = (pa.types.is_decimal, pa.types.is_date, pa.types.is_timestamp)
    return is_text(kind) or any(holds(kind) for holds in (*simple, *dated))


def _plain(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    kind = cells.type
    if not _readable(kind):
        raise _unlike(kind)
    if pa.types.is_dictionary(kind):
        return cells if is_text(kind.value_type) else _plain(pc.cast(cells, kind.value_type))
    if pa.types.is_timestamp(kind) or pa.types.is_date(kind):
        return _dates(cells)
    return _decimals(cells) if pa.types.is_decimal(kind) else cells


def _unlike(kind: pa.DataType) -> ColumnError:
    named = str(kind)
    shown = named if len(named) <= 60 else named[:60] + "…"
    return ColumnError("column-type", f"has the type {shown}, which cannot be read; {_ADVICE}")


def _dates(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Dates and times as text; a time that has a zone has its offset."""
    kind = cells.type
    if pa.types.is_date32(kind):
        numbers, second = pc.multiply(cells.cast(pa.int32()).cast(pa.int64()), 86_400), 1
    else:
        numbers, second = cells.cast(pa.int64()), _UNITS[getattr(kind, "unit", "ms")]
    if second < _UNITS["ns"]:  # 64 bits of nanoseconds end before the year 9999 does
        outside = pc.or_(pc.less(numbers, _FIRST * second), pc.greater(numbers, (_LAST + 1) * second - 1))
        row = int(pc.index(outside, True).as_py())
        if row >= 0:
            raise ColumnError("column-type", f"holds a date outside the years 1 to 9999 (row {row}).", row)
    try:
        return pc.cast(cells, pa.string())
    except pa.ArrowInvalid:
        zone = str(kind.tz)[:40]
        advice = "cast it to UTC, or send text"
        raise ColumnError(
            "column-type", f"has times of the zone {zone!r}, which is not known; {advice}."
        ) from None


def _decimals(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    """Whole decimals as integers, which are exact to 64 bits; others as floating point, within its whole numbers."""
    if not pa.types.is_decimal256(cells.type):
        # Arrow says of small ones that they are out of bounds.
        cells = pc.cast(cells, pa.decimal128(38, max(0, cells.type.scale)))
    if cells.type.scale <= 0:
        return _integers(cells)
    numbers = pc.cast(cells, pa.float64())
    beyond = int(pc.index(pc.greater_equal(pc.abs(numbers), float(EXACT_FLOAT)), True).as_py())
    if beyond < 0:
        return numbers
    try:
        return pc.cast(cells, pa.int64())
    except pa.ArrowInvalid:
        message = f"holds decimals with more digits than a number has here (row {beyond}); send ids as text."
        raise ColumnError("integer-out-of-range", message, beyond) from None


def _integers(cells: pa.ChunkedArray) -> pa.ChunkedArray:
    try:
        return pc.cast(cells, pa.int64())
    except pa.ArrowInvalid:
        message = "holds an integer beyond 64 bits; send ids as text."
        raise ColumnError("integer-out-of-range", message) from None
