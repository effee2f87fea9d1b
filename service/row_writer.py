"""Rows as the bytes of a CSV file, of an Arrow stream or of a Parquet file, while they come.

No file is kept anywhere: each write gives the bytes that it has made.
"""

from typing import Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

from service.media_types import CSV, PARQUET

_CELLS = 1 << 18  # of a row group


class RowWriter:
    """Writes batches of one schema."""

    def __init__(self, schema: pa.Schema, media_type: str) -> None:
        self._schema = schema
        self._sink = _Sink()
        # A row group of Parquet has its price, so rows wait for others; else each batch is written as it is.
        self._enough = _CELLS if media_type == PARQUET else 0
        self._held: list[pa.RecordBatch] = []
        self._writer: Any
        if media_type == CSV:
            self._writer = pyarrow.csv.CSVWriter(self._sink, schema)
        elif media_type == PARQUET:
            self._writer = pq.ParquetWriter(self._sink, schema)
        else:
            self._writer = pa.ipc.new_stream(self._sink, schema)

    def write(self, rows: pa.RecordBatch) -> bytes:
        """Write some rows, and give the bytes that there are by now."""
        self._held.append(rows)
        if sum(held.num_rows for held in self._held) * rows.num_columns >= self._enough:
            self._write_held()
        return self._sink.take()

    def close(self) -> bytes:
        """Give the last bytes."""
        self._write_held()
        self._writer.close()
        return self._sink.take()

    def _write_held(self) -> None:
        if self._held:
            self._writer.write(pa.Table.from_batches(self._held).cast(self._schema))
        self._held = []


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
