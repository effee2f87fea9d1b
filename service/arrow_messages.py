"""A look into the messages of an Arrow stream, before their buffers are read.

Messages are FlatBuffers (`Message.fbs` of Arrow): tables whose fields have numbers and lead to other tables.
"""

import struct
from dataclasses import dataclass

import pyarrow as pa

from model.errors import InvalidModel, Issue

_TO_THE_BATCH = {"record batch": (2,), "dictionary": (2, 1)}
"""Kinds of messages that have buffers, and the fields that lead to their batch: header, data."""
_COMPRESSION = 3  # the field of a batch


def refuse_compressed(data: bytes) -> None:
    """Raise InvalidModel if any buffer is compressed, as nothing would bound what it is unpacked to."""
    for message in pa.ipc.MessageReader.open_stream(data):
        path = _TO_THE_BATCH.get(message.type)
        if path is None:
            continue
        found: _Table | None = _Table.root(message.metadata.to_pybytes())
        for field in (*path, _COMPRESSION):
            found = found.follow(field) if found is not None else None
        if found is not None:
            text = "The stream's buffers are compressed; compress the whole body with gzip or zstd instead."
            raise InvalidModel(Issue("invalid-arrow", text))


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

    def _at(self, form: str, place: int) -> int:
        found: int = struct.unpack_from(form, self.data, place)[0]
        return found
