"""Results that were decoded once, kept within a budget of bytes; the least recently used one goes first.

What is kept goes on being readable while the store is away.
"""

from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from threading import Lock
from typing import Any

import orjson

from model.results.posterior import Posterior
from store.base import Store
from store.codec import unpack
from store.records import FitRecord

_ARTIFACTS: dict[str, Callable[[bytes], Any]] = {
    "posterior": lambda blob: Posterior.from_parts(*unpack(blob)),
    "summary": orjson.loads,
}


@dataclass(frozen=True, slots=True)
class _Entry:
    record: FitRecord
    value: Any
    size: int


class Posteriors:
    """What finished fits left behind; safe to use from many threads."""

    def __init__(self, store: Store, max_bytes: int) -> None:
        self._store = store
        self._max_bytes = max_bytes
        self._entries: OrderedDict[tuple[str, str], _Entry] = OrderedDict()
        self._bytes = 0
        self.hits = self.misses = 0
        self._lock = Lock()
        self._loading: dict[tuple[str, str], Lock] = {}

    def posterior(self, record: FitRecord) -> Posterior | None:
        """Give a fit's posterior; None if the store has it no more."""
        found: Posterior | None = self._get(record, "posterior")
        return found

    def summary(self, record: FitRecord) -> dict[str, Any] | None:
        """Give a fit's summary at the usual probability; None if the store has it no more."""
        found: dict[str, Any] | None = self._get(record, "summary")
        return found

    def record(self, fit_id: str, tenant: str) -> FitRecord | None:
        """Give the record of a tenant's fit of which anything is kept."""
        with self._lock:
            kept = (self._entries.get((fit_id, name)) for name in _ARTIFACTS)
            return next((entry.record for entry in kept if entry and entry.record.tenant == tenant), None)

    def forget(self, fit_id: str) -> None:
        """Drop all of a fit that is no more."""
        with self._lock:
            for name in _ARTIFACTS:
                entry = self._entries.pop((fit_id, name), None)
                self._bytes -= entry.size if entry else 0

    def _get(self, record: FitRecord, name: str) -> Any:
        key = (record.id, name)
        with self._lock:
            loading = self._loading.setdefault(key, Lock())
        # Many requests for one new fit decode it once.
        with loading:
            try:
                kept = self._kept(key, record)
                with self._lock:
                    self.hits += kept is not None
                    self.misses += kept is None
                return kept or self._load(key, record)
            finally:
                with self._lock:
                    self._loading.pop(key, None)

    def _kept(self, key: tuple[str, str], record: FitRecord) -> Any:
        with self._lock:
            entry = self._entries.get(key)
            # The same id with another end is a fit that was deleted and made anew.
            if entry is None or entry.record.finished_at != record.finished_at:
                return None
            self._entries.move_to_end(key)
            return entry.value

    def _load(self, key: tuple[str, str], record: FitRecord) -> Any:
        blob = self._store.artifact(*key)
        if blob is None:
            return None
        value = _ARTIFACTS[key[1]](blob)
        size = len(blob) + (value.working_bytes if isinstance(value, Posterior) else 0)
        with self._lock:
            old = self._entries.pop(key, None)
            self._bytes += size - (old.size if old else 0)
            self._entries[key] = _Entry(record, value, size)
            while self._bytes > self._max_bytes:
                _, dropped = self._entries.popitem(last=False)
                self._bytes -= dropped.size
        return value
