"""First answers to requests that may come again, kept by the client's key for a while.

A key is reserved before the work is done, so that of two equal requests at once only one does it.
"""

import threading
import time
from collections.abc import Callable
from typing import Protocol, cast

from store.connection import connect, translated
from store.settings import StoreSettings


class Replies(Protocol):
    """Answers by name; every method may raise StoreUnavailable and StoreFull."""

    def reserve(self, name: str, value: bytes, ttl: float) -> bytes | None:
        """Put a value under a name that has none for `ttl` seconds; gives what is there already, or None."""
        ...

    def keep(self, name: str, value: bytes, ttl: float) -> None:
        """Put a value under a name for `ttl` seconds, whatever is there."""
        ...

    def drop(self, name: str) -> None:
        """Forget a name."""
        ...


class MemoryReplies:
    """Answers in the memory of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._values: dict[str, tuple[bytes, float]] = {}  # value, until
        self._lock = threading.Lock()

    def reserve(self, name: str, value: bytes, ttl: float) -> bytes | None:
        """Put a value under a name that has none."""
        with self._lock:
            now = self._clock()
            self._values = {key: kept for key, kept in self._values.items() if kept[1] > now}
            if name in self._values:
                return self._values[name][0]
            self._values[name] = (value, now + ttl)
            return None

    def keep(self, name: str, value: bytes, ttl: float) -> None:
        """Put a value under a name."""
        with self._lock:
            self._values[name] = (value, self._clock() + ttl)

    def drop(self, name: str) -> None:
        """Forget a name."""
        with self._lock:
            self._values.pop(name, None)


class RedisReplies:
    """Answers on the server that the settings name."""

    def __init__(self, settings: StoreSettings) -> None:
        self._prefix = f"{settings.key_prefix}:reply"
        # It sends nothing twice: a reservation would find itself.
        self._redis = connect(settings, settings.socket_timeout)

    def reserve(self, name: str, value: bytes, ttl: float) -> bytes | None:
        """Put a value under a name that has none."""
        with translated():
            # One command, so that no other request comes between.
            found = self._redis.set(f"{self._prefix}:{name}", value, px=int(ttl * 1000), nx=True, get=True)
        return cast(bytes | None, found)

    def keep(self, name: str, value: bytes, ttl: float) -> None:
        """Put a value under a name."""
        with translated():
            self._redis.set(f"{self._prefix}:{name}", value, px=int(ttl * 1000))

    def drop(self, name: str) -> None:
        """Forget a name."""
        with translated():
            self._redis.delete(f"{self._prefix}:{name}")
