"""`Prefer: wait=N` (RFC 7240): hold an answer until the fit has ended or the client's patience has."""

import re

import anyio
from anyio.to_thread import run_sync
from starlette.requests import Request

from service.deps import Services
from store.records import FitRecord

_WAIT = re.compile(r"\s*wait\s*=\s*\"?(\d{1,9})\"?\s*", re.IGNORECASE)
_FIRST_PAUSE, _LONGEST_PAUSE = 0.005, 0.5


def preferred_wait(request: Request, cap: int) -> int | None:
    """Read how many seconds the client would wait, at most `cap`; None if it says nothing of it."""
    preferences = re.split("[,;]", ",".join(request.headers.getlist("prefer")))
    found = next((match for part in preferences if (match := _WAIT.fullmatch(part))), None)
    return min(int(found[1]), cap) if found else None


def preference_headers(wait: int | None) -> dict[str, str]:
    """Say whether the preference was honored; the answer depends on it, so caches must know."""
    return {"Vary": "Prefer"} if wait is None else {"Vary": "Prefer", "Preference-Applied": f"wait={wait}"}


async def until_ended(here: Services, record: FitRecord, wait: int | None) -> FitRecord:
    """Give the fit as it is when it has ended, or when `wait` seconds are over, or the service is to stop."""
    if not wait or record.status.terminal:
        return record
    pause = _FIRST_PAUSE
    with here.watch.on(record.id) as happened, anyio.move_on_after(wait):
        while not record.status.terminal and not here.draining:
            # Most fits take milliseconds, so at first it pays to look often.
            with anyio.move_on_after(pause):
                await happened.wait()
            happened.clear()
            pause = min(pause * 1.5, _LONGEST_PAUSE)
            found = await run_sync(here.store.get, record.id)
            record = found or record
    return record
