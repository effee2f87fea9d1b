"""Columns of an answer as rows of CSV, Arrow or Parquet, some at a time.

A number that is not finite is null in Arrow and Parquet, and an empty cell in CSV.
"""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from numpy.typing import NDArray

from service.row_writer import RowWriter
from service.spreadsheets import harmless

_CELLS = 1 << 18  # of one batch: 2 MiB of numbers

Columns = Mapping[str, NDArray[Any] | Sequence[Any]]


def write(
    columns: Columns, media_type: str, about: Mapping[str, Any] | None = None, guarded: bool = False
) -> Iterator[bytes]:
    """Write columns of equal length; a column (row, k) holds lists, but in CSV. `about` is metadata.

    What is `guarded` has no text that a spreadsheet program would run.
    """
    rows = len(next(iter(columns.values())))
    width = sum(
        column.shape[1] if isinstance(column, np.ndarray) and column.ndim == 2 else 1
        for column in columns.values()
    )
    step = max(1, _CELLS // width)
    return write_batches(
        (batch(columns, start, start + step) for start in range(0, max(rows, 1), step)),
        media_type,
        about,
        guarded,
    )


def write_batches(
    batches: Iterator[pa.RecordBatch],
    media_type: str,
    about: Mapping[str, Any] | None = None,
    guarded: bool = False,
) -> Iterator[bytes]:
    """Write batches of the same schema, of which there is at least one."""
    if guarded:
        batches = map(harmless, batches)
    first = next(batches)
    schema = first.schema.with_metadata({"ranef": orjson.dumps(about)}) if about else first.schema
    writer = RowWriter(schema, media_type)
    for some in itertools.chain([first], batches):
        yield writer.write(some)
    yield writer.close()


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
