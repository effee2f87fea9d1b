"""Bytes of any size on the server, in segments that are small enough to delay nobody.

A manifest names the segments; until a record refers to it they live for `upload_ttl` seconds only.
"""

import secrets
from collections.abc import Mapping
from typing import Any, cast

import redis

from store.base import StoreFull
from store.connection import read, translated
from store.settings import StoreSettings


class Segments:
    """The writing and reading of segments."""

    def __init__(self, client: redis.Redis, settings: StoreSettings) -> None:
        self._redis = client
        self._settings = settings

    def upload(self, prefix: str, data: bytes) -> dict[str, Any]:
        """Write bytes under a new name that nothing refers to yet, and give the manifest."""
        tag = secrets.token_hex(8)
        size = self._settings.segment_bytes
        count = -(-len(data) // size)
        ttl = int(self._settings.upload_ttl * 1000)
        with translated():
            for i in range(count):
                segment = memoryview(data)[i * size : (i + 1) * size]
                self._redis.set(f"{prefix}:{tag}:{i}", segment, px=ttl)
        return {"tag": tag, "count": count, "bytes": len(data)}

    def download(self, prefix: str, manifest: Mapping[str, Any]) -> bytes | None:
        """Give the bytes of a manifest; None if any is gone."""
        with translated():
            segments = [
                cast(bytes | None, read(self._redis, "GET", name)) for name in _names(prefix, manifest)
            ]
        present = [segment for segment in segments if segment is not None]
        # Deleted or expired while we read: as if we had come a moment later.
        return b"".join(present) if len(present) == manifest["count"] else None

    def discard(self, prefix: str, manifest: Mapping[str, Any]) -> None:
        """Remove the segments of a manifest."""
        if names := _names(prefix, manifest):
            with translated():
                self._redis.unlink(*names)

    def refuse_if_full(self, incoming: int) -> None:
        """Raise StoreFull if so many bytes more would take the room that is kept for results."""
        with translated():
            memory = cast(dict[str, int], self._redis.info("memory"))
        budget = memory["maxmemory"] * self._settings.memory_fraction
        if budget and memory["used_memory"] + incoming > budget:
            raise StoreFull("the store's memory is spent")


def _names(prefix: str, manifest: Mapping[str, Any]) -> list[str]:
    return [f"{prefix}:{manifest['tag']}:{i}" for i in range(manifest["count"])]
