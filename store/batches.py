"""Batches: many fits that were submitted together, and the order in which they ended.

That order is written down as members are found to have ended, so a reader can go on where it stopped.
"""

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Protocol, cast

import orjson

from store.connection import connect, read, translated
from store.keys import Keys
from store.segments import Segments
from store.settings import StoreSettings

SCRIPTS = Path(__file__).parent / "scripts"


@dataclass(frozen=True, slots=True)
class Member:
    """One request of a batch: its fit, or the problem for which there is none; `own`: the batch made the fit."""

    custom_id: str
    fit_id: str | None
    own: bool = False
    problem: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch; times are unix seconds."""

    id: str
    tenant: str
    members: tuple[Member, ...]
    created_at: float = 0.0
    expires_at: float = 0.0


@dataclass(frozen=True, slots=True)
class Ended:
    """A member that has ended, by its index, and how: a terminal status, `rejected` or `gone`."""

    index: int
    status: str


class Batches(Protocol):
    """Batches by id; every method may raise StoreUnavailable."""

    def create(self, record: BatchRecord) -> BatchRecord:
        """Keep a batch for `result_ttl` seconds; raises StoreFull."""
        ...

    def get(self, batch_id: str) -> BatchRecord | None:
        """Give a batch; None if there is none (any more)."""
        ...

    def note(self, batch_id: str, ended: Sequence[Ended]) -> None:
        """Write down that members have ended; each counts once, in the order in which it came first."""
        ...

    def ended(self, batch_id: str) -> tuple[Ended, ...]:
        """Give the members that have ended, in order."""
        ...


class MemoryBatches:
    """Batches in the memory of one process."""

    def __init__(self, settings: StoreSettings | None = None, clock: Callable[[], float] = time.time) -> None:
        self._ttl = (settings or StoreSettings()).result_ttl
        self._clock = clock
        self._kept: dict[str, tuple[BatchRecord, dict[int, Ended]]] = {}
        self._lock = threading.Lock()

    def create(self, record: BatchRecord) -> BatchRecord:
        """Keep a batch."""
        with self._lock:
            now = self._clock()
            self._kept = {key: kept for key, kept in self._kept.items() if kept[0].expires_at > now}
            stored = replace(record, created_at=now, expires_at=now + self._ttl)
            self._kept[record.id] = stored, {}
            return stored

    def get(self, batch_id: str) -> BatchRecord | None:
        """Give a batch."""
        with self._lock:
            found = self._kept.get(batch_id)
            return found[0] if found and found[0].expires_at > self._clock() else None

    def note(self, batch_id: str, ended: Sequence[Ended]) -> None:
        """Write down that members have ended."""
        with self._lock, suppress(KeyError):
            known = self._kept[batch_id][1]
            for member in ended:
                known.setdefault(member.index, member)

    def ended(self, batch_id: str) -> tuple[Ended, ...]:
        """Give the members that have ended."""
        with self._lock:
            return tuple(self._kept[batch_id][1].values()) if batch_id in self._kept else ()


class RedisBatches:
    """Batches on the server that the settings name."""

    def __init__(self, settings: StoreSettings) -> None:
        self._ttl = settings.result_ttl
        self._keys = Keys(settings.key_prefix)
        self._redis = connect(settings, settings.socket_timeout)
        self._segments = Segments(self._redis, settings)
        self._note = self._redis.register_script((SCRIPTS / "batch_note.lua").read_text())

    def create(self, record: BatchRecord) -> BatchRecord:
        """Keep a batch."""
        with translated():
            seconds, microseconds = self._redis.time()
        now = seconds + microseconds / 1e6
        stored = replace(record, created_at=now, expires_at=now + self._ttl)
        written = orjson.dumps(asdict(stored))
        self._segments.refuse_if_full(len(written))
        with translated():
            self._redis.set(self._keys.batch(record.id), written, px=int(self._ttl * 1000))
        return stored

    def get(self, batch_id: str) -> BatchRecord | None:
        """Give a batch."""
        with translated():
            written = cast(bytes | None, read(self._redis, "GET", self._keys.batch(batch_id)))
        if written is None:
            return None
        fields = orjson.loads(written)
        return BatchRecord(**{**fields, "members": tuple(Member(**member) for member in fields["members"])})

    def note(self, batch_id: str, ended: Sequence[Ended]) -> None:
        """Write down that members have ended."""
        keys = [
            self._keys.batch(batch_id),
            self._keys.batch_ended(batch_id),
            self._keys.batch_order(batch_id),
        ]
        args: list[str | int] = [part for member in ended for part in (member.index, member.status)]
        if args:
            with translated():
                self._note(keys=keys, args=args)

    def ended(self, batch_id: str) -> tuple[Ended, ...]:
        """Give the members that have ended."""
        with translated():
            order = cast(
                list[bytes], read(self._redis, "LRANGE", self._keys.batch_order(batch_id), "0", "-1")
            )
        parts = (entry.decode().partition(":") for entry in order)
        return tuple(Ended(int(index), status) for index, _, status in parts)
