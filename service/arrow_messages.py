"""A look into the messages of an Arrow stream, before their buffers are read and unpacked.

Messages are FlatBuffers (`Message.fbs` of Arrow): tables whose fields have numbers and lead to other tables.
"""

import struct
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from model.errors import InvalidModel, Issue
from service.settings import Limits

_TO_THE_BATCH = {"record batch": (2,), "dictionary": (2, 1)}
"""Kinds of messages that have buffers, and the fields that lead to their batch: header, data."""
_BUFFERS, _COMPRESSION = 2, 3  # fields of a batch
_PREFIX = 8  # bytes that say how long a compressed buffer is


def refuse_inflated(data: pa.Buffer, limits: Limits) -> None:
    """Raise InvalidModel if the stream's compressed buffers, each of which begins with its size, unpack to too much."""
    most = limits.unpacked_bytes(data.size)
    total = 0.0
    for message in pa.ipc.MessageReader.open_stream(data):
        path = _TO_THE_BATCH.get(message.type)
        if path is None:
            continue
        batch: _Table | None = _Table.root(message.metadata.to_pybytes())
        for field in path:
            batch = batch.follow(field) if batch is not None else None
        if batch is None or batch.follow(_COMPRESSION) is None or message.body is None:
            continue
        total += _unpacked_bytes(batch.pairs(_BUFFERS), np.frombuffer(message.body, np.uint8))
        if total > most:
            text = f"Unpacked the stream's buffers may have {most:,} bytes."
            raise InvalidModel(Issue("limit-exceeded", text))


def _unpacked_bytes(buffers: NDArray[np.int64], body: NDArray[np.uint8]) -> float:
    """What compressed buffers (offset, length) say that they unpack to; -1 stands for one that is as it was."""
    starts = buffers[buffers[:, 1] >= _PREFIX, 0]
    if len(starts) and (starts.min() < 0 or starts.max() > len(body) - _PREFIX):
        raise struct.error("a buffer outside its message")
    prefixes = np.ascontiguousarray(body[starts[:, None] + np.arange(_PREFIX)]).view("<i8")
    return float(prefixes.clip(0).sum(dtype=np.float64))


@dataclass(frozen=True, slots=True)
class _Table:
    data: bytes
    place: int

    @classmethod
    def root(cls, data: bytes) -> "_Table":
        return cls(data, struct.unpack_from("<I", data)[0])

    def follow(self, field: int) -> "_Table | None":
        """Give the table that a field leads to; None if the field is not set."""
        fields = self.place - self._at("<i", self.place)
        if 4 + 2 * field >= self._at("<H", fields):
            return None
        offset = self._at("<H", fields + 4 + 2 * field)
        start = self.place + offset
        return _Table(self.data, start + self._at("<I", start)) if offset else None

    def pairs(self, field: int) -> NDArray[np.int64]:
        """Give the vector of pairs of 64-bit integers that a field leads to: (entry, 2)."""
        vector = self.follow(field)
        if vector is None:
            return np.zeros((0, 2), dtype=np.int64)
        entries = self._at("<I", vector.place)
        if vector.place + 4 + 16 * entries > len(self.data):
            raise struct.error("a vector longer than its message")
        return np.frombuffer(self.data, "<i8", 2 * entries, vector.place + 4).reshape(-1, 2)

    def _at(self, form: str, place: int) -> int:
        found: int = struct.unpack_from(form, self.data, place)[0]
        return found
