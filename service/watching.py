"""Waiting for fits to change: one blocking read of the store, whoever many requests wait.

A waiting request is only woken; what has happened it reads for itself.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from itertools import chain

import structlog
from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from store.base import Store, StoreUnavailable

ROUND_SECONDS = 0.5
"""How long one read blocks: so long may a newly watched fit go unnoticed, and a shutdown take."""
_BEGINNING = "0"
log = structlog.get_logger()


class Watch:
    """Wakes those who wait for a fit's next event."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._waiting: dict[str, set[asyncio.Event]] = {}
        self._seen: dict[str, str] = {}
        self._wanted = asyncio.Event()
        # A thread of its own, so that reads that block never keep others from theirs.
        self._thread = CapacityLimiter(1)

    @contextmanager
    def on(self, fit_id: str) -> Iterator[asyncio.Event]:
        """Give an event that is set whenever something happens to the fit; clear it before reading what."""
        happened = asyncio.Event()
        self._waiting.setdefault(fit_id, set()).add(happened)
        self._wanted.set()
        try:
            yield happened
        finally:
            self._waiting[fit_id].discard(happened)
            if not self._waiting[fit_id]:
                del self._waiting[fit_id]
                self._seen.pop(fit_id, None)

    def wake(self) -> None:
        """Wake all who wait, whatever they wait for."""
        for happened in chain.from_iterable(self._waiting.values()):
            happened.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch as long as the context lasts."""
        task = asyncio.create_task(self._follow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _follow(self) -> None:
        while True:
            if not self._waiting:
                self._wanted.clear()
                await self._wanted.wait()
            after = {fit_id: self._seen.get(fit_id, _BEGINNING) for fit_id in self._waiting}
            try:
                found = await run_sync(self._store.follow, after, ROUND_SECONDS, limiter=self._thread)
            except StoreUnavailable:
                log.warning("the store is away; nothing is followed")
                await asyncio.sleep(1.0)
                continue
            for fit_id, events in found.items():
                if fit_id in self._waiting and events:
                    self._seen[fit_id] = events[-1].id
                for happened in self._waiting.get(fit_id, ()):
                    happened.set()
