"""The history of a fit: as a stream of Server-Sent Events while it is made, or as a list."""

import asyncio
import time
from collections.abc import AsyncIterator
from random import uniform
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, Header
from fastapi.sse import format_sse_event
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.answers.fits import EventList
from service.caching import fresh, to_json
from service.deps import Here, Services, Tenant, still_admitted
from service.documentation import answers
from service.lookup import find
from service.negotiation import accepted_media_type
from service.problems import Refusal
from service.views import event_view
from service.watching import Followed
from store.base import StoreUnavailable
from store.records import FitRecord

router = APIRouter(prefix="/v1/fits/{fit_id}", tags=["fits"])

EVENT_STREAM = "text/event-stream"
EVENT_ID = r"^\d{1,18}(-\d{1,18})?$"
KEEP_ALIVE_SECONDS = 15.0


@router.get(
    "/events",
    operation_id="listEvents",
    summary="Follow a fit",
    responses=answers(
        (200, "Status and progress, in order.", EventList),
        (
            204,
            "The fit has ended and `Last-Event-ID` is its last event: an EventSource stops asking.",
            None,
        ),
        problems=("fit-not-found", "fit-gone", "store-unavailable"),
        stream=EVENT_STREAM,
    ),
)
async def list_events(
    request: Request,
    here: Here,
    tenant: Tenant,
    fit_id: str,
    last_event_id: Annotated[
        str | None, Header(pattern=EVENT_ID, description="Only what came after.")
    ] = None,
) -> Response:
    """Follow a fit as `text/event-stream` until it has ended, or list what has happened so far as JSON.

    `Last-Event-ID` resumes after the event of that id.
    """
    wanted = accepted_media_type(request, "application/json", EVENT_STREAM)
    record = await run_sync(find, here, tenant, fit_id)
    if wanted == EVENT_STREAM:
        # One that runs and is followed from its beginning needs no look at what has happened.
        looked_at = last_event_id is not None or record.status.terminal
        events = await run_sync(here.store.events, fit_id) if looked_at else ()
        headers = {"Cache-Control": "no-store", "Vary": "Accept", "X-Accel-Buffering": "no"}
        # What claims to come after the last event would wait for a place that no event ever gets.
        after = _earlier(last_event_id, events[-1].id if events else None)
        if record.status.terminal and (not events or after == events[-1].id):
            return Response(status_code=204, headers=headers)
        return StreamingResponse(
            _stream(request, here, record, after), media_type=EVENT_STREAM, headers=headers
        )
    events = await run_sync(here.store.events, fit_id, last_event_id)
    return fresh({"items": [event_view(event) for event in events]}, headers={"Vary": "Accept"})


async def _stream(
    request: Request, here: Services, record: FitRecord, after: str | None
) -> AsyncIterator[bytes]:
    checked = time.monotonic()
    with here.watch.on(record.id, after) as followed:
        while not (here.draining or followed.gone):
            try:
                # Many streams that began together would otherwise speak together ever after.
                await asyncio.wait_for(followed.happened.wait(), KEEP_ALIVE_SECONDS * uniform(0.75, 1.25))
            except TimeoutError:
                yield format_sse_event(comment="still here")
            followed.happened.clear()
            if time.monotonic() - checked > KEEP_ALIVE_SECONDS / 2:
                checked = time.monotonic()
                if not await _goes_on(request, here, followed):
                    return
            while followed.events:
                event = followed.events.popleft()
                yield format_sse_event(
                    event=event.kind, id=event.id, data_str=to_json(event_view(event)).decode()
                )
                if event.status.terminal:
                    return


async def _goes_on(request: Request, here: Services, followed: Followed) -> bool:
    """Whether a stream may go on, and has something to wait for; if not, its client comes back by itself."""
    try:
        await still_admitted(request, here)
        record = await here.watch.record(followed.fit_id)
        if record is not None and record.status.terminal and not followed.events:
            # What came last may be on its way.
            followed.add(await run_sync(here.store.events, followed.fit_id, followed.last))
            return bool(followed.events)
    except (Refusal, StoreUnavailable):
        return False
    return record is not None


def _earlier(given: str | None, last: str | None) -> str | None:
    if given is None or last is None:
        return given
    return min(given, last, key=lambda name: [int(part) for part in name.split("-")])
