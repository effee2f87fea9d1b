"""Arrow streams and Parquet files as tables, and tables as Arrow: each type becomes one of the four kinds.

Text stays dictionary coded all the way, so that a small file cannot become a large one in memory.
A column that the sender coded so (a factor of R, a categorical of pandas) keeps the order of its dictionary.
"""

import struct
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from model.errors import InvalidModel, Issue
from model.frame.column import Column, ColumnError, read_column
from model.frame.table import Table
from service.arrow_cells import is_text, plain_cells, refuse_types
from service.arrow_messages import refuse_inflated
from service.caps import refuse_too_large, too_many
from service.settings import Limits

_FILE_MAGIC, _FIRST_FEATHER = b"ARROW1", b"FEA1"
_FILE_HEAD = 8  # bytes of the magic with its padding
_FILE_TAIL = 10  # bytes of the footer's length and of the magic
_PARQUET_MAGIC = b"PAR1"


def read_arrow(data: bytes, limits: Limits) -> Table:
    """Read an Arrow stream, or an Arrow file (Feather), which is such a stream between its magic and a footer.

    Raises InvalidModel with every problem.
    """
    in_file = data.startswith(_FILE_MAGIC)
    if data.startswith(_FIRST_FEATHER):
        message = "This is a file of the first version of Feather; write version 2, or an Arrow stream."
        raise InvalidModel(Issue("invalid-arrow", message))

    def read() -> pa.Table:
        whole = pa.py_buffer(data)
        content = whole.slice(_FILE_HEAD) if in_file else whole
        refuse_inflated(content, limits)
        source = pa.BufferReader(content)
        with pa.ipc.open_stream(source) as stream:
            refuse_too_large(len(stream.schema), 0, limits)
            refuse_types(stream.schema)
            batches, rows = [], 0
            for batch in stream:
                rows += batch.num_rows
                refuse_too_large(len(stream.schema), rows, limits)
                batches.append(batch)
            table = pa.Table.from_batches(batches, stream.schema)
            end = source.tell()
        if in_file:
            if pa.ipc.open_file(whole).num_record_batches != len(batches):
                raise pa.ArrowInvalid("the footer names other batches")
            (footer,) = struct.unpack("<i", data[-_FILE_TAIL : -len(_FILE_MAGIC)])
            if _FILE_HEAD + end + footer + _FILE_TAIL != len(data):
                message = (
                    f"The file ends at byte {_FILE_HEAD + end:,}, and more than its footer follows; send one."
                )
                raise InvalidModel(Issue("invalid-arrow", message))
        elif content[end:].to_pybytes().strip(b"\0"):
            message = (
                f"The stream ends at byte {end:,}, and more follows; send one stream with all its batches."
            )
            raise InvalidModel(Issue("invalid-arrow", message))
        _validate(table, "invalid-arrow")
        return table

    def columns() -> Table:
        table = read()
        return _table_of(table, _coded(table.schema))

    return _read(columns, "invalid-arrow", "an Arrow stream or file")


def read_parquet(data: bytes, limits: Limits) -> Table:
    """Read a Parquet file; raises InvalidModel with every problem."""

    coded: frozenset[str] = frozenset()

    def read() -> pa.Table:
        nonlocal coded
        found = pq.ParquetFile(pa.BufferReader(data))
        refuse_too_large(len(found.schema_arrow), found.metadata.num_rows, limits)
        refuse_types(found.schema_arrow)
        _refuse_inflated(found.metadata, len(data), limits)
        # A file ends with its footer's length and the magic, with which it begins, too.
        (footer,) = struct.unpack("<I", data[-8:-4])
        second = data.find(_PARQUET_MAGIC * 2, _end_of_pages(found.metadata), len(data) - 8 - footer)
        if second >= 0:
            message = (
                f"One file ends at byte {second + 4:,} and another follows; send one with all row groups."
            )
            raise InvalidModel(Issue("invalid-parquet", message))
        coded = _coded(found.schema_arrow) - _without_dictionary(found.metadata)
        texts = [field.name for field in found.schema_arrow if pa.types.is_string(field.type)]
        table = pq.ParquetFile(pa.BufferReader(data), read_dictionary=texts).read(use_threads=False)
        _validate(table, "invalid-parquet")
        return table

    # Names and zones are texts of the file, and may turn out to be none only when they are looked at.
    return _read(lambda: _table_of(read(), coded), "invalid-parquet", "a Parquet file")


def _coded(schema: pa.Schema) -> frozenset[str]:
    """The columns that the sender coded by a dictionary, whose order is then that of the levels."""
    return frozenset(field.name for field in schema if pa.types.is_dictionary(field.type))


def _refuse_inflated(metadata: pq.FileMetaData, sent: int, limits: Limits) -> None:
    """Raise InvalidModel if a file says that it becomes larger than it may; that it may lie others must expect."""
    if metadata.num_row_groups * metadata.num_columns > limits.cells:
        raise InvalidModel(
            too_many("pieces of columns", metadata.num_row_groups * metadata.num_columns, limits.cells)
        )
    unpacked = values = 0
    for number in range(metadata.num_row_groups):
        group = metadata.row_group(number)
        unpacked += group.total_byte_size
        values += sum(group.column(place).num_values for place in range(metadata.num_columns))
    if values > limits.cells:
        raise InvalidModel(too_many("values", values, limits.cells))
    if (cap := limits.unpacked_bytes(sent)) < max(unpacked, 8 * values):
        raise InvalidModel(too_many("bytes, unpacked,", max(unpacked, 8 * values), cap))


def _end_of_pages(metadata: pq.FileMetaData) -> int:
    """The byte behind the last piece of a column, where only indexes and the footer follow."""
    if not metadata.num_row_groups:
        return 0
    group = metadata.row_group(metadata.num_row_groups - 1)
    chunks = [group.column(number) for number in range(metadata.num_columns)]
    starts = [chunk.dictionary_page_offset or chunk.data_page_offset for chunk in chunks]
    ends = [start + chunk.total_compressed_size for start, chunk in zip(starts, chunks, strict=True)]
    return max(0, *map(int, ends))


def _read(read: Callable[[], Table], code: str, what: str) -> Table:
    try:
        return read()
    except (pa.ArrowException, OSError, MemoryError, UnicodeDecodeError, struct.error):
        raise InvalidModel(Issue(code, f"The body cannot be read as {what}.")) from None


def _without_dictionary(metadata: pq.FileMetaData) -> frozenset[str]:
    """The columns that were written without their dictionary, so that its order is lost."""
    chunks = (
        metadata.row_group(group).column(column)
        for group in range(metadata.num_row_groups)
        for column in range(metadata.num_columns)
    )
    return frozenset(chunk.path_in_schema for chunk in chunks if not chunk.has_dictionary_page)


def _validate(table: pa.Table, code: str) -> None:
    """Raise InvalidModel for a column whose buffers break the rules of its type, and would be followed anywhere."""
    for name, cells in zip(table.column_names, table.columns, strict=True):
        try:
            cells.validate(full=True)
        except pa.ArrowException:
            message = f"Column {name!r} holds what its type {str(cells.type)[:60]} does not allow."
            raise InvalidModel(Issue(code, message, column=name)) from None


def _table_of(table: pa.Table, coded: frozenset[str]) -> Table:
    names = table.column_names
    issues = [
        Issue("invalid-value", f"Column {name!r} is there more than once.", column=name)
        for name, count in Counter(names).items()
        if count > 1
    ]
    if not table.num_rows or not names:
        issues.append(Issue("no-rows", "The data have no rows."))
    if issues:
        raise InvalidModel(issues)
    columns = {}
    for name in names:
        try:
            columns[name] = column_of(table[name], in_order=name in coded)
        except ColumnError as problem:
            issues.append(Issue(problem.code, f"Column {name!r} {problem}", column=name))
    if issues:
        raise InvalidModel(issues)
    return Table(columns, table.num_rows)


def column_of(cells: pa.ChunkedArray, *, in_order: bool = False) -> Column:
    """Read one column; raises ColumnError for a type that is none of the four kinds, and for NaN.

    `in_order`: the order of its dictionary, if it is text that has one, is the order of its levels.
    """
    cells = plain_cells(cells)
    kind = cells.type
    if pa.types.is_dictionary(kind) or is_text(kind):
        return _text(cells, in_order)
    missing = pc.is_null(cells).to_numpy() if cells.null_count else None
    if pa.types.is_null(kind):
        return Column("number", np.zeros(len(cells)), np.ones(len(cells), dtype=np.bool_))
    empty = False if pa.types.is_boolean(kind) else pa.scalar(0).cast(kind)
    values = pc.fill_null(cells, empty).to_numpy()
    return read_column(values if missing is None else np.ma.MaskedArray(values, missing))


def _text(cells: pa.ChunkedArray, in_order: bool) -> Column:
    if pa.types.is_string_view(cells.type):
        cells = pc.cast(cells, pa.large_string())
    coded = cells if pa.types.is_dictionary(cells.type) else pc.dictionary_encode(cells)
    whole = coded.unify_dictionaries().combine_chunks()
    if isinstance(whole, pa.ChunkedArray):
        whole = whole.chunk(0) if whole.num_chunks else pa.array([], coded.type)
    strings: list[str | None] = whole.dictionary.to_pylist()
    # A dictionary of others may have an entry twice.
    levels = dict.fromkeys(string for string in strings if string is not None)
    ordered = list(levels) if in_order else sorted(levels)
    places: Mapping[str | None, int] = {string: place for place, string in enumerate(ordered)}
    # It may have one that is null, too; the last place is for null.
    place_of = np.array([*(places.get(string, -1) for string in strings), -1], dtype=np.int32)
    indices: np.ndarray[Any, Any] = pc.fill_null(whole.indices.cast(pa.int64()), len(strings)).to_numpy(
        zero_copy_only=False
    )
    codes = place_of[indices]
    gone = codes < 0
    return Column("text", codes, gone if gone.any() else None, tuple(ordered))
