"""Walking over a sorted set from its highest score down, as the lists of a tenant's things are read."""

from collections.abc import Iterator
from typing import Any, cast

import redis

from store.connection import read, translated
from store.cursors import read_cursor

Entry = tuple[float, str]


def walk(client: redis.Redis, key: str, cursor: str | None, step: int) -> Iterator[list[Entry]]:
    """Give scores and members, the highest score first, `step` at a time, only what follows a cursor.

    Raises InvalidCursor.
    """
    last = read_cursor(cursor) if cursor is not None else None
    while True:
        ceiling = "+inf" if last is None else f"{last[0]:.6f}"
        with translated():
            # What has the score of the cursor comes again, and is passed over.
            rows = read(client, "ZREVRANGEBYSCORE", key, ceiling, "-inf", "WITHSCORES", "LIMIT", 0, step + 50)
        entries = [(float(score), member.decode()) for member, score in cast(list[Any], rows)]
        fresh = [entry for entry in entries if last is None or entry < last]
        if not fresh:
            return
        yield fresh
        last = fresh[-1]
