"""Data sets that were uploaded once and are named by requests: their interface, and the twin in memory.

A data set never changes, as its id is a hash of its content; uploading it again only prolongs its life.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Protocol

from store.base import StoreFull
from store.cursors import read_cursor, write_cursor
from store.settings import StoreSettings


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """Everything about a data set but its cells; times are unix seconds by the store's clock.

    `reading` says how its CSV was read, `warnings` are notices about its columns.
    """

    id: str
    tenant: str
    rows: int
    bytes: int
    columns: tuple[dict[str, Any], ...]
    reading: dict[str, Any] | None = None
    warnings: tuple[dict[str, Any], ...] = ()
    uploaded_at: float = 0.0
    expires_at: float = 0.0


@dataclass(frozen=True, slots=True)
class DatasetPage:
    """Some data sets of a tenant, the last uploaded first, and where the next page starts (None: nowhere)."""

    records: tuple[DatasetRecord, ...]
    next_cursor: str | None


class Datasets(Protocol):
    """Data sets by id; every method may raise StoreUnavailable."""

    def put(self, record: DatasetRecord, payload: bytes) -> tuple[DatasetRecord, bool]:
        """Keep a data set for `dataset_ttl` seconds from now; gives its record, and whether it is new.

        Raises StoreFull.
        """
        ...

    def get(self, dataset_id: str, tenant: str) -> DatasetRecord | None:
        """Give the record of a tenant's data set; None if there is none (any more), or if it is another's.

        Whose it is is found out where it lies, so that it takes no longer to be refused one that exists.
        """
        ...

    def payload(self, dataset_id: str) -> bytes | None:
        """Give what `put` was given."""
        ...

    def list(self, tenant: str, *, limit: int = 20, cursor: str | None = None) -> DatasetPage:
        """Give a page of the tenant's data sets, the last uploaded first; raises InvalidCursor."""
        ...

    def delete(self, dataset_id: str, tenant: str) -> bool:
        """Remove a tenant's data set; fits that were made of it keep their own data."""
        ...


class MemoryDatasets:
    """Data sets in the memory of one process."""

    def __init__(self, settings: StoreSettings | None = None, clock: Callable[[], float] = time.time) -> None:
        self._settings = settings or StoreSettings()
        # Microseconds, as on a server; cursors hold no more.
        self._clock: Callable[[], float] = lambda: round(clock(), 6)
        self._kept: dict[str, tuple[DatasetRecord, bytes]] = {}
        self._lock = threading.RLock()

    def put(self, record: DatasetRecord, payload: bytes) -> tuple[DatasetRecord, bool]:
        """Keep a data set."""
        with self._lock:
            now = self._clock()
            self._forget_expired(now)
            known = self._kept.get(record.id)
            spent = sum(len(data) for other, data in self._kept.values() if other.tenant == record.tenant)
            if known is None and spent + len(payload) > self._settings.dataset_bytes:
                raise StoreFull(
                    f"the budget of {self._settings.dataset_bytes} bytes is spent", scope="tenant"
                )
            kept, data = known or (replace(record, bytes=len(payload)), payload)
            kept = replace(kept, uploaded_at=now, expires_at=now + self._settings.dataset_ttl)
            self._kept[record.id] = kept, data
            return kept, known is None

    def get(self, dataset_id: str, tenant: str) -> DatasetRecord | None:
        """Give the record of a tenant's data set."""
        with self._lock:
            self._forget_expired(self._clock())
            found = self._kept.get(dataset_id)
            return found[0] if found and found[0].tenant == tenant else None

    def payload(self, dataset_id: str) -> bytes | None:
        """Give what `put` was given."""
        with self._lock:
            self._forget_expired(self._clock())
            found = self._kept.get(dataset_id)
            return found[1] if found else None

    def list(self, tenant: str, *, limit: int = 20, cursor: str | None = None) -> DatasetPage:
        """Give a page of the tenant's data sets."""
        last = read_cursor(cursor) if cursor is not None else None
        with self._lock:
            self._forget_expired(self._clock())
            own = [record for record, _ in self._kept.values() if record.tenant == tenant]
        wanted = sorted((r for r in own if last is None or _age(r) < last), key=_age, reverse=True)
        page = wanted[:limit]
        return DatasetPage(tuple(page), write_cursor(*_age(page[-1])) if len(wanted) > limit else None)

    def delete(self, dataset_id: str, tenant: str) -> bool:
        """Remove a tenant's data set."""
        with self._lock:
            return self.get(dataset_id, tenant) is not None and self._kept.pop(dataset_id, None) is not None

    def _forget_expired(self, now: float) -> None:
        self._kept = {key: kept for key, kept in self._kept.items() if kept[0].expires_at > now}


def _age(record: DatasetRecord) -> tuple[float, str]:
    return record.uploaded_at, record.id
