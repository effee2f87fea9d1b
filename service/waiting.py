"""`Prefer: wait=N` (RFC 7240): hold an answer until the fit has ended or the client's patience has."""

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager

import anyio
from anyio.to_thread import run_sync
from starlette.requests import Request

from service.deps import Services
from service.lookup import find
from service.turns import aside
from store.records import FitRecord

_WAIT = re.compile(r"\s*wait\s*=\s*\"?(\d{1,9})\"?\s*", re.IGNORECASE)


def preferred_wait(request: Request, cap: int) -> int | None:
    """Read how many seconds the client would wait, at most `cap`; None if it says nothing of it."""
    preferences = re.split("[,;]", ",".join(request.headers.getlist("prefer")))
    found = next((match for part in preferences if (match := _WAIT.fullmatch(part))), None)
    return min(int(found[1]), cap) if found else None


def preference_headers(wait: int | None) -> dict[str, str]:
    """Say whether the preference was honored; the answer depends on it, so caches must know."""
    return {"Vary": "Prefer"} if wait is None else {"Vary": "Prefer", "Preference-Applied": f"wait={wait}"}


async def until_ended(request: Request, here: Services, record: FitRecord, wait: int | None) -> FitRecord:
    """Give the fit as it is when it has ended, when `wait` seconds are over, or when the service is to stop.

    A client that leaves ends its wait. Raises Refusal if the fit is deleted meanwhile.
    """
    if not wait or record.status.terminal:
        return record
    async with aside(request):
        with (
            here.watch.on(record.id) as followed,
            _noticing_departure(request, followed.happened) as departed,
            anyio.move_on_after(wait),
        ):
            while not (followed.gone or here.draining or departed.is_set()):
                await followed.happened.wait()
                followed.happened.clear()
                if any(event.status.terminal for event in followed.events):
                    # A fit that failed may have begun anew.
                    found = await here.watch.record(record.id)
                    if found is None or found.status.terminal:
                        break
                followed.events.clear()
    if departed.is_set():
        return record
    # Whoever waited with others reads with them; the reason why a fit is not there is found by itself.
    last = await here.watch.record(record.id)
    return last if last is not None else await run_sync(find, here, record.tenant, record.id)


@contextmanager
def _noticing_departure(request: Request, happened: asyncio.Event) -> Iterator[asyncio.Event]:
    """Give an event that is set, and `happened` with it, when the client closes the connection."""
    departed = asyncio.Event()

    async def listen() -> None:
        # What is left of a body, if the route has not read it, comes first.
        while (await request.receive())["type"] != "http.disconnect":
            pass
        departed.set()
        happened.set()

    listening = asyncio.create_task(listen())
    try:
        yield departed
    finally:
        listening.cancel()
