"""Batches: many fits that were submitted together; their interface, and the twin in memory.

A fit tells the batches that wait for it how it fares, so a batch knows its counts and its order without asking.
"""

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from store.base import StoreFull
from store.cursors import read_cursor, write_cursor
from store.memory import MemoryStore
from store.records import FitStatus
from store.settings import StoreSettings

REJECTED, GONE = "rejected", "gone"
ACTIVE = frozenset(status for status in FitStatus if not status.terminal)
SHOWN_REFUSALS = 20


@dataclass(frozen=True, slots=True)
class Member:
    """One request of a batch: its fit, or the problem for which there is none; `own`: the batch made the fit."""

    custom_id: str
    fit_id: str | None
    own: bool = False
    problem: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Refused:
    """A member that was refused, by its index."""

    index: int
    custom_id: str
    problem: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class BatchRecord:
    """A batch but its members: how many they are, the first that were refused, and counts by status.

    Statuses are those of fits, `rejected` or `gone`; times are unix seconds by the store's clock.
    """

    id: str
    tenant: str
    size: int
    refused: tuple[Refused, ...]
    counts: Mapping[str, int]
    created_at: float
    expires_at: float

    @property
    def ended(self) -> int:
        """How many members can change no more."""
        return self.size - sum(self.counts.get(status, 0) for status in ACTIVE)


@dataclass(frozen=True, slots=True)
class Ended:
    """A fit of a batch that has ended, and how: a terminal status, or `gone`."""

    fit_id: str
    status: str


@dataclass(frozen=True, slots=True)
class BatchPage:
    """Some batches of a tenant, the newest first, and where the next page starts (None: nowhere)."""

    records: tuple[BatchRecord, ...]
    next_cursor: str | None


class Batches(Protocol):
    """Batches by id; every method may raise StoreUnavailable."""

    def create(self, batch_id: str, tenant: str, members: Sequence[Member]) -> BatchRecord:
        """Keep a batch for `result_ttl` seconds, told from now on how its fits fare; one that is there stays as it is.

        Raises StoreFull.
        """
        ...

    def get(self, batch_id: str, tenant: str) -> BatchRecord | None:
        """Give a tenant's batch; None if there is none (any more), or if it is another's."""
        ...

    def members(self, batch_id: str) -> tuple[Member, ...]:
        """Give a batch's members in the order in which they were submitted; none of a batch that is gone."""
        ...

    def ended(self, batch_id: str, after: int = 0) -> tuple[Ended, ...]:
        """Give the fits that have ended, each once, in the order in which they did, but for the first `after`."""
        ...

    def list(self, tenant: str, *, limit: int = 20, cursor: str | None = None) -> BatchPage:
        """Give a page of the tenant's batches, newest first; raises InvalidCursor."""
        ...

    def delete(self, batch_id: str, tenant: str) -> bool:
        """Remove a tenant's batch; its fits stay."""
        ...


def refusals(members: Sequence[Member]) -> tuple[Refused, ...]:
    """Give the first members that were refused."""
    refused = (
        Refused(index, member.custom_id, member.problem)
        for index, member in enumerate(members)
        if member.problem is not None
    )
    return tuple(one for one, _ in zip(refused, range(SHOWN_REFUSALS), strict=False))


def write_members(members: Sequence[Member]) -> bytes:
    """Write members as they are kept; their bytes are what a batch takes of its tenant's budget."""
    return orjson.dumps(list(members))


def no_room(settings: StoreSettings) -> StoreFull:
    """Say that a tenant's batches take all that they may."""
    return StoreFull(f"the budget of {settings.batch_bytes} bytes is spent", scope="tenant")


class _Kept:
    """A batch, its members, how many there are of each status, and the fits that have ended."""

    def __init__(self, record: BatchRecord, members: tuple[Member, ...], bytes_: int) -> None:
        self.record = record
        self.members = members
        self.bytes = bytes_
        self.waiting = Counter(member.fit_id for member in members if member.fit_id is not None)
        self.counts = Counter({REJECTED: sum(member.fit_id is None for member in members)})
        self.order: list[Ended] = []


class MemoryBatches:
    """Batches in the memory of one process, of fits in a store there."""

    def __init__(
        self,
        store: MemoryStore,
        settings: StoreSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._store = store
        self._settings = settings or StoreSettings()
        self._clock: Callable[[], float] = lambda: round(clock(), 6)
        self._kept: dict[str, _Kept] = {}
        # A fit tells how it fares within the store's lock, so a lock of our own would be a second order.
        self._lock = store.lock
        store.listeners.append(self._told)

    def create(self, batch_id: str, tenant: str, members: Sequence[Member]) -> BatchRecord:
        """Keep a batch."""
        with self._lock:
            now = self._clock()
            self._kept = {key: kept for key, kept in self._kept.items() if kept.record.expires_at > now}
            if batch_id in self._kept:
                return self._record(self._kept[batch_id])
            bytes_ = len(write_members(members))
            spent = sum(kept.bytes for kept in self._kept.values() if kept.record.tenant == tenant)
            if spent + bytes_ > self._settings.batch_bytes:
                raise no_room(self._settings)
            expires = now + self._settings.result_ttl
            record = BatchRecord(batch_id, tenant, len(members), refusals(members), {}, now, expires)
            kept = self._kept[batch_id] = _Kept(record, tuple(members), bytes_)
            fits = self._store.get_many(list_(kept.waiting))
            for fit_id, count in tuple(kept.waiting.items()):
                status = fits[fit_id].status if fit_id in fits else GONE
                kept.counts[status] += count
                if status not in ACTIVE:
                    kept.order.append(Ended(fit_id, status))
                    del kept.waiting[fit_id]
            return self._record(kept)

    def get(self, batch_id: str, tenant: str) -> BatchRecord | None:
        """Give a tenant's batch."""
        with self._lock:
            kept = self._find(batch_id)
            return None if kept is None or kept.record.tenant != tenant else self._record(kept)

    def members(self, batch_id: str) -> tuple[Member, ...]:
        """Give a batch's members."""
        with self._lock:
            kept = self._find(batch_id)
            return () if kept is None else kept.members

    def ended(self, batch_id: str, after: int = 0) -> tuple[Ended, ...]:
        """Give the fits that have ended."""
        with self._lock:
            kept = self._find(batch_id)
            return () if kept is None else tuple(kept.order[after:])

    def list(self, tenant: str, *, limit: int = 20, cursor: str | None = None) -> BatchPage:
        """Give a page of the tenant's batches."""
        last = read_cursor(cursor) if cursor is not None else None
        with self._lock:
            now = self._clock()
            own = [
                self._record(kept)
                for kept in self._kept.values()
                if kept.record.tenant == tenant and kept.record.expires_at > now
            ]
        rest = sorted((r for r in own if last is None or _age(r) < last), key=_age, reverse=True)
        page = rest[:limit]
        return BatchPage(tuple(page), write_cursor(*_age(page[-1])) if len(rest) > limit else None)

    def delete(self, batch_id: str, tenant: str) -> bool:
        """Remove a tenant's batch."""
        with self._lock:
            return self.get(batch_id, tenant) is not None and self._kept.pop(batch_id, None) is not None

    def _told(self, fit_id: str, before: str, after: str) -> None:
        with self._lock:
            for kept in self._kept.values():
                count = kept.waiting.get(fit_id, 0)
                kept.counts[before] -= count
                kept.counts[after] += count
                if count and after not in ACTIVE:
                    kept.order.append(Ended(fit_id, after))
                    del kept.waiting[fit_id]

    def _find(self, batch_id: str) -> _Kept | None:
        kept = self._kept.get(batch_id)
        return kept if kept is not None and kept.record.expires_at > self._clock() else None

    def _record(self, kept: _Kept) -> BatchRecord:
        return replace(kept.record, counts={name: count for name, count in kept.counts.items() if count})


list_ = list  # `list` is a method of the class above


def _age(record: BatchRecord) -> tuple[float, str]:
    return record.created_at, record.id
