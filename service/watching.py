"""Waiting for fits to change: one reader of the store for all who wait, however many there are.

It reads the new events of all fits that are followed together, and gives each follower those it has not had; nobody
who waits reads the store for himself.
"""

import asyncio
import time
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager

import structlog
from anyio import CapacityLimiter
from anyio.to_thread import run_sync

from store.base import Store, StoreUnavailable
from store.records import Event, FitRecord

ROUND_SECONDS = 0.5
"""How long one read blocks: a shutdown may take as long."""
_BEGINNING = "0"
_FIRST_PAUSE, _LONGEST_PAUSE = 0.003, 0.1
"""Between reads for those who came while another read blocks; most fits take milliseconds."""
_RECORDS = 200
"""Records that are read at a time."""
_CHECKED = 100
"""Fits that are looked for in each round, whether they are still there."""
log = structlog.get_logger()


class Followed:
    """What one follower has not had yet; `happened` is set whenever there is something new, and to be cleared by it."""

    def __init__(self, fit_id: str, after: str) -> None:
        self.fit_id = fit_id
        self.happened = asyncio.Event()
        self.events: deque[Event] = deque()
        self.gone = False
        """Whether the fit was deleted or has expired."""
        self.last = after

    def add(self, events: tuple[Event, ...]) -> None:
        """Take those of the fit's events that are new to this follower."""
        fresh = [event for event in events if _order(event.id) > _order(self.last)]
        if fresh:
            self.last = fresh[-1].id
            self.events.extend(fresh)
            self.happened.set()


class Watch:
    """Follows fits for all who wait for them."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._followers: dict[str, list[Followed]] = {}
        # Those whom the read that blocks at the moment does not know of.
        self._newcomers: list[Followed] = []
        self._wanted = asyncio.Event()
        self._came = asyncio.Event()
        self._asked: dict[str, list[asyncio.Future[FitRecord | None]]] = defaultdict(list)
        self._reading: asyncio.Task[None] | None = None
        # Threads of their own, so that reads that block never keep others from theirs.
        self._thread = CapacityLimiter(1)
        self._quick = CapacityLimiter(1)

    @contextmanager
    def on(self, fit_id: str, after: str | None = None) -> Iterator[Followed]:
        """Follow a fit: all its events, or those behind the event of an id."""
        followed = Followed(fit_id, after or _BEGINNING)
        self._followers.setdefault(fit_id, []).append(followed)
        self._newcomers.append(followed)
        self._wanted.set()
        self._came.set()
        try:
            yield followed
        finally:
            self._followers[fit_id].remove(followed)
            if not self._followers[fit_id]:
                del self._followers[fit_id]
            if followed in self._newcomers:
                self._newcomers.remove(followed)

    async def record(self, fit_id: str) -> FitRecord | None:
        """Give a fit's record; what is asked at the same time is read together. Raises StoreUnavailable."""
        answer: asyncio.Future[FitRecord | None] = asyncio.get_running_loop().create_future()
        self._asked[fit_id].append(answer)
        if self._reading is None or self._reading.done():
            self._reading = asyncio.create_task(self._read_records())
        return await answer

    def wake(self) -> None:
        """Wake all who wait, whatever they wait for."""
        for followers in self._followers.values():
            for followed in followers:
                followed.happened.set()

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Watch as long as the context lasts."""
        tasks = [asyncio.create_task(self._follow()), asyncio.create_task(self._greet())]
        try:
            yield
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    async def _follow(self) -> None:
        checked = 0
        while True:
            if not self._followers:
                self._wanted.clear()
                await self._wanted.wait()
            # From here on they are known to the read that blocks.
            self._newcomers.clear()
            try:
                self._give(await self._new(self._positions(self._followers), ROUND_SECONDS, self._thread))
                checked = await self._check(checked)
            except StoreUnavailable:
                log.warning("the store is away; nothing is followed")
                await asyncio.sleep(1.0)

    async def _greet(self) -> None:
        """Read for those who came while another read blocks, until the next one knows of them."""
        pause = _FIRST_PAUSE
        while True:
            if not self._newcomers:
                self._came.clear()
                await self._came.wait()
                pause = _FIRST_PAUSE
            # Those who come together are read for together.
            await asyncio.sleep(pause)
            pause = min(2 * pause, _LONGEST_PAUSE)
            newcomers = self._positions({followed.fit_id for followed in self._newcomers})
            if not newcomers:
                continue
            started = time.monotonic()
            try:
                self._give(await self._new(newcomers, 0.0, self._quick))
            except StoreUnavailable:
                # The other read says so.
                await asyncio.sleep(1.0)
            # However many they are, most of the time is left to others.
            await asyncio.sleep(4 * (time.monotonic() - started))

    async def _new(
        self, after: Mapping[str, str], seconds: float, thread: CapacityLimiter
    ) -> Mapping[str, tuple[Event, ...]]:
        if not after:
            return {}
        return await run_sync(self._store.follow, after, seconds, limiter=thread)

    def _positions(self, of: Collection[str]) -> dict[str, str]:
        """The last event that all followers of a fit have had, of those fits that are followed still."""
        return {
            fit_id: min((followed.last for followed in self._followers[fit_id]), key=_order)
            for fit_id in of
            if fit_id in self._followers
        }

    def _give(self, found: Mapping[str, tuple[Event, ...]]) -> None:
        for fit_id, events in found.items():
            for followed in self._followers.get(fit_id, ()):
                followed.add(events)

    async def _check(self, start: int) -> int:
        """Look whether some of the fits are there still: what is deleted has no event. Give where to go on."""
        watched = list(self._followers)
        some = watched[start : start + _CHECKED]
        if some:
            found = await run_sync(self._store.get_many, some, limiter=self._thread)
            for fit_id in some:
                if fit_id not in found:
                    for followed in self._followers.get(fit_id, ()):
                        followed.gone = True
                        followed.happened.set()
        return start + _CHECKED if start + _CHECKED < len(watched) else 0

    async def _read_records(self) -> None:
        # Whoever asks in the meantime is answered by the next read.
        while self._asked:
            some = list(self._asked)[:_RECORDS]
            asked = {fit_id: self._asked.pop(fit_id) for fit_id in some}
            found: dict[str, FitRecord] = {}
            failure: Exception | None = None
            try:
                found = await run_sync(self._store.get_many, some, limiter=self._quick)
            except Exception as error:
                failure = error
            for fit_id, answers in asked.items():
                for answer in answers:
                    if answer.done():
                        continue
                    if failure is None:
                        answer.set_result(found.get(fit_id))
                    else:
                        answer.set_exception(failure)


def _order(event_id: str) -> tuple[int, int]:
    milliseconds, _, number = event_id.partition("-")
    return int(milliseconds), int(number or 0)
