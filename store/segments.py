"""Bytes of any size on the server, in segments that are small enough to delay nobody.

A manifest names the segments; until a record refers to it they live for `upload_ttl` seconds only.
"""

import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import Any, cast

import redis

from store.base import StoreFull
from store.connection import read, read_all, translated
from store.settings import StoreSettings


class Segments:
    """The writing and reading of segments."""

    def __init__(self, client: redis.Redis, settings: StoreSettings) -> None:
        self._redis = client
        self._settings = settings

    def upload(self, prefix: str, data: bytes, ttl: float | None = None) -> dict[str, Any]:
        """Write bytes under a new name that nothing refers to yet, and give the manifest."""
        manifest, pieces = self._cut(prefix, data)
        milliseconds = int((ttl or self._settings.upload_ttl) * 1000)
        with translated():
            for name, piece in pieces:
                self._redis.set(name, piece, px=milliseconds)
        return manifest

    def upload_many(self, blobs: Sequence[tuple[str, bytes]]) -> list[dict[str, Any]]:
        """Write the bytes of many prefixes in few exchanges.

        What the server has no room for is left out: whoever lets a record name a manifest looks whether it is there.
        """
        cut = [self._cut(prefix, data) for prefix, data in blobs]
        milliseconds = int(self._settings.upload_ttl * 1000)
        with translated(), self._redis.pipeline(transaction=False) as pipe:
            held = 0
            for name, piece in (piece for _, pieces in cut for piece in pieces):
                pipe.set(name, piece, px=milliseconds)
                held += len(piece)
                if held >= self._settings.segment_bytes:
                    _execute(pipe)
                    held = 0
            _execute(pipe)
        return [manifest for manifest, _ in cut]

    def download(self, prefix: str, manifest: Mapping[str, Any]) -> bytes | None:
        """Give the bytes of a manifest; None if any is gone."""
        with translated():
            segments = [
                cast(bytes | None, read(self._redis, "GET", name)) for name in _names(prefix, manifest)
            ]
        return _joined(segments)

    def download_many(self, manifests: Sequence[tuple[str, Mapping[str, Any]]]) -> list[bytes | None]:
        """Give the bytes of many small manifests in one exchange; None where any is gone."""
        names = [_names(prefix, manifest) for prefix, manifest in manifests]
        with translated():
            segments = iter(read_all(self._redis, [("GET", name) for some in names for name in some]))
        return [_joined([next(segments) for _ in some]) for some in names]

    def discard(self, prefix: str, manifest: Mapping[str, Any]) -> None:
        """Remove the segments of a manifest."""
        if names := _names(prefix, manifest):
            with translated():
                self._redis.unlink(*names)

    def refuse_if_full(self, incoming: int) -> None:
        """Raise StoreFull if so many bytes more would take the room that is kept for results."""
        with translated():
            memory = cast(dict[str, int], read(self._redis, "INFO", "memory"))
        budget = memory["maxmemory"] * self._settings.memory_fraction
        if budget and memory["used_memory"] + incoming > budget:
            raise StoreFull("the store's memory is spent")

    def _cut(self, prefix: str, data: bytes) -> tuple[dict[str, Any], list[tuple[str, memoryview]]]:
        size = self._settings.segment_bytes
        count = -(-len(data) // size)
        manifest = {"tag": secrets.token_hex(8), "count": count, "bytes": len(data)}
        pieces = [memoryview(data)[i * size : (i + 1) * size] for i in range(count)]
        return manifest, list(zip(_names(prefix, manifest), pieces, strict=True))


def _joined(segments: Sequence[bytes | None]) -> bytes | None:
    present = [segment for segment in segments if segment is not None]
    # Deleted or expired while we read: as if we had come a moment later.
    return b"".join(present) if len(present) == len(segments) else None


def _execute(pipe: redis.client.Pipeline) -> None:
    for answer in pipe.execute(raise_on_error=False):
        if isinstance(answer, Exception):
            with suppress(StoreFull), translated():
                raise answer


def _names(prefix: str, manifest: Mapping[str, Any]) -> list[str]:
    return [f"{prefix}:{manifest['tag']}:{i}" for i in range(manifest["count"])]
