"""Columns of an answer as CSV, as an Arrow stream or as a Parquet file, written some rows at a time.

A number that is not finite is null in Arrow and Parquet, and an empty cell in CSV.
"""

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
from numpy.typing import NDArray

from service.media_types import CSV, PARQUET

_CELLS = 1 << 18  # of one batch: 2 MiB of numbers

Columns = Mapping[str, NDArray[Any] | Sequence[Any]]


def write(columns: Columns, media_type: str, about: Mapping[str, Any] | None = None) -> Iterator[bytes]:
    """Write columns of equal length; a column (row, k) holds lists, but in CSV. `about` is metadata."""
    rows = len(next(iter(columns.values())))
    width = sum(
        column.shape[1] if isinstance(column, np.ndarray) and column.ndim == 2 else 1
        for column in columns.values()
    )
    step = max(1, _CELLS // width)
    return write_batches(
        (batch(columns, start, start + step) for start in range(0, max(rows, 1), step)), media_type, about
    )


def write_batches(
    batches: Iterator[pa.RecordBatch], media_type: str, about: Mapping[str, Any] | None = None
) -> Iterator[bytes]:
    """Write batches of the same schema, of which there is at least one."""
    first = next(batches)
    schema = first.schema.with_metadata({"ranef": orjson.dumps(about)}) if about else first.schema
    sink = _Sink()
    with _writer(sink, schema, media_type) as writer:
        for some in _gathered(itertools.chain([first], batches), media_type):
            writer.write(some.cast(schema))
            yield sink.take()
    yield sink.take()


def _writer(sink: "_Sink", schema: pa.Schema, media_type: str) -> Any:
    if media_type == CSV:
        return pyarrow.csv.CSVWriter(sink, schema)
    return pq.ParquetWriter(sink, schema) if media_type == PARQUET else pa.ipc.new_stream(sink, schema)


def _gathered(batches: Iterable[pa.RecordBatch], media_type: str) -> Iterator[pa.Table]:
    """Put small batches together where each that is written has a price: a row group of Parquet is read by itself."""
    held: list[pa.RecordBatch] = []
    for some in batches:
        held.append(some)
        if media_type != PARQUET or sum(one.num_rows for one in held) * some.num_columns >= _CELLS:
            yield pa.Table.from_batches(held)
            held = []
    if held:
        yield pa.Table.from_batches(held)


class _Sink:
    """What a writer takes for a file: it keeps what was written until that is taken."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0

    def write(self, data: bytes) -> int:
        """Keep some bytes; the writer may use their memory again."""
        self._parts.append(bytes(data))
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        """Say how many bytes were written in all: Parquet notes where each column begins."""
        return self._size

    def flush(self) -> None:
        """Do nothing: there is nothing further down."""

    def close(self) -> None:
        """Do nothing: what was written last is still to be taken."""

    def take(self) -> bytes:
        """Give what was written since the last time."""
        data = b"".join(self._parts)
        self._parts = []
        return data


def batch(columns: Columns, start: int = 0, stop: int | None = None) -> pa.RecordBatch:
    """Give some rows of columns as one batch."""
    return pa.RecordBatch.from_pydict({name: _array(column[start:stop]) for name, column in columns.items()})


def _array(values: NDArray[Any] | Sequence[Any]) -> pa.Array:
    if not isinstance(values, np.ndarray):
        return pa.array(values, pa.string())
    if values.ndim == 2:
        return pa.FixedSizeListArray.from_arrays(_array(values.ravel()), values.shape[1])
    wrong = ~np.isfinite(values) if values.dtype.kind == "f" else None
    return pa.array(values, mask=wrong if wrong is not None and wrong.any() else None)
