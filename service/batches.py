"""The resource `batches`: many fits submitted at once, and their results while they arrive."""

import base64
import re
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from typing import Annotated, Any, Literal

import anyio
import pyarrow as pa
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from model.errors import Issue
from service.answers.batches import Batch
from service.bodies import ListBody, work_on
from service.caching import fresh, to_json
from service.columnar import batch as rows_of
from service.columnar import write_batches
from service.datasets import opener
from service.deps import Here, Services, Tenant
from service.documentation import answers, header_parameters, list_request
from service.flat import SUMMARY_COLUMNS, columns_of, summary_rows
from service.idempotency import once
from service.media_types import CSV, JSON, NDJSON
from service.members import Candidate, read_members
from service.negotiation import accepted_media_type
from service.problems import Refusal, document, issue_errors, summarize
from service.requests.batches import BatchRequest
from service.submission import submit
from service.views import failure_view, timestamp
from store.base import QueueFull, StoreFull, StoreUnavailable
from store.batches import BatchRecord, Ended, Member
from store.records import FitRecord

router = APIRouter(prefix="/v1/batches", tags=["batches"])

_BATCH_ID = re.compile(r"bat_[a-z2-7]{26}")
_PAUSE = 1.0  # between two looks at the members that have not ended
_PROBLEMS = ("batch-not-found", "store-unavailable")


@router.post(
    "",
    operation_id="submitBatch",
    summary="Submit a batch",
    status_code=202,
    openapi_extra=list_request(BatchRequest) | header_parameters("Idempotency-Key"),
    responses=answers(
        (202, "Accepted: what is sound of it is queued.", Batch),
        problems=("idempotency-conflict", "idempotency-in-flight", "store-full", "store-unavailable"),
        headers=("Location",),
        body=True,
    ),
)
async def submit_batch(request: Request, here: Here, tenant: Tenant, body: ListBody) -> Response:
    """Submit many fits: a list, one to a line (NDJSON), or one model for each value of a column.

    A member that is wrong is told with its index and stops no other; equal members share one run.
    """
    accepted_media_type(request, JSON)

    def accept() -> BatchRecord:
        candidates = read_members(body, here.settings.limits, opener(here, tenant))
        members = tuple(_submit(request, here, tenant, candidate) for candidate in candidates)
        name = base64.b32encode(secrets.token_bytes(17)).decode().lower()[:26]
        return here.batches.create(BatchRecord(f"bat_{name}", tenant, members))

    async def answer() -> Response:
        record = await work_on(here, body.data, accept)
        view = await run_sync(_view, here, record)
        return fresh(view, 202, {"Location": f"/v1/batches/{record.id}"})

    return await once(request, here, tenant, body.media_type.encode() + b"\n" + body.data, answer)


@router.get(
    "/{batch_id}",
    operation_id="getBatch",
    summary="Get a batch",
    responses=answers((200, "The batch.", Batch), problems=_PROBLEMS),
)
def get_batch(request: Request, here: Here, tenant: Tenant, batch_id: str) -> Response:
    """Count a batch's members by status, and say which were refused."""
    accepted_media_type(request, JSON)
    return fresh(_view(here, _find(here, tenant, batch_id)))


@router.get(
    "/{batch_id}/results",
    operation_id="listResults",
    summary="Get the results of a batch",
    responses=answers(
        (
            200,
            "A line for each member that has ended, in that order: `cursor`, `index`, `custom_id`, `fit_id`, "
            "`status`, `summary`, `problem`. CSV has a row for each estimate.",
            None,
        ),
        problems=_PROBLEMS,
        others=(NDJSON, CSV),
    ),
)
async def list_results(
    request: Request,
    here: Here,
    tenant: Tenant,
    batch_id: str,
    after: Annotated[int, Query(ge=0, le=1_000_000, description="Only what follows this `cursor`.")] = 0,
    follow: Annotated[
        Literal["0", "1"], Query(description="1: the answer lasts until the last member has ended (NDJSON).")
    ] = "0",
) -> Response:
    """Give the members that have ended, in the order in which they did; each line's `cursor` resumes after it."""
    media_type = accepted_media_type(request, NDJSON, CSV)
    record = await run_sync(_find, here, tenant, batch_id)
    headers = {"Cache-Control": "no-store", "Vary": "Accept", "X-Accel-Buffering": "no"}
    if media_type == NDJSON:
        lines = _lines(here, record, after, follow == "1")
        return StreamingResponse(lines, media_type=NDJSON, headers=headers)
    if follow == "1":
        raise Refusal("invalid-parameter", "Only NDJSON can be followed.")
    ended, _ = await run_sync(_look, here, record)
    return StreamingResponse(
        write_batches(_tables(here, record, ended[after:]), CSV), media_type=CSV, headers=headers
    )


@router.post(
    "/{batch_id}/cancel",
    operation_id="cancelBatch",
    summary="Cancel a batch",
    responses=answers(
        (200, "All members have ended.", Batch), (202, "Some are about to stop.", Batch), problems=_PROBLEMS
    ),
)
def cancel_batch(request: Request, here: Here, tenant: Tenant, batch_id: str) -> Response:
    """Cancel all members that have not ended, but for fits that were submitted before the batch was."""
    accepted_media_type(request, JSON)
    record = _find(here, tenant, batch_id)
    ended, _ = _look(here, record)
    over = {member.index for member in ended}
    for index, member in enumerate(record.members):
        if member.own and member.fit_id is not None and index not in over:
            here.store.request_cancel(member.fit_id)
    view = _view(here, record)
    return fresh(view, 200 if view["status"] == "ended" else 202)


def _submit(request: Request, here: Services, tenant: str, candidate: Candidate) -> Member:
    issues = candidate.issues
    if candidate.checked is not None:
        try:
            fit, created = submit(here, tenant, *candidate.checked, queue="batch")
            return Member(candidate.custom_id, fit.id, own=created)
        except QueueFull as error:
            code = "tenant-queue-full" if error.scope == "tenant" else "queue-full"
            issues = (Issue(code, "Too many fits are waiting."),)
        except StoreFull as error:
            code = "tenant-full" if error.scope == "tenant" else "store-full"
            issues = (Issue(code, "There is no room for another fit."),)
    problem = document(request, summarize(issues), errors=issue_errors(issues))
    return Member(candidate.custom_id, None, problem=problem)


def _find(here: Services, tenant: str, batch_id: str) -> BatchRecord:
    record = here.batches.get(batch_id) if _BATCH_ID.fullmatch(batch_id) else None
    if record is None or record.tenant != tenant:
        raise Refusal("batch-not-found")
    return record


def _look(here: Services, record: BatchRecord) -> tuple[tuple[Ended, ...], Counter[str]]:
    """Give the members that have ended, after a look at the others, and how many there are of each status."""
    known = {member.index for member in here.batches.ended(record.id)}
    news: list[tuple[float, Ended]] = []
    counts: Counter[str] = Counter()
    for index, member in enumerate(record.members):
        if index in known:
            continue
        if member.fit_id is None:
            news.append((0.0, Ended(index, "rejected")))
        elif (fit := here.store.get(member.fit_id, record.tenant)) is None:
            news.append((0.0, Ended(index, "gone")))
        elif fit.status.terminal:
            news.append((fit.finished_at or 0.0, Ended(index, fit.status)))
        else:
            counts[fit.status] += 1
    if news:
        here.batches.note(record.id, [ended for _, ended in sorted(news, key=lambda found: found[0])])
    ended = here.batches.ended(record.id)
    return ended, counts + Counter(member.status for member in ended)


def _view(here: Services, record: BatchRecord) -> dict[str, Any]:
    ended, counts = _look(here, record)
    address = f"/v1/batches/{record.id}"
    refused = [
        {"index": index, "custom_id": member.custom_id, "problem": member.problem}
        for index, member in enumerate(record.members)
        if member.problem is not None
    ]
    return {
        "id": record.id,
        "status": "ended" if len(ended) >= len(record.members) else "running",
        "members": len(record.members),
        "counts": dict(counts),
        "fraction": len(ended) / len(record.members),
        "rejected": refused[:20],
        "created_at": timestamp(record.created_at),
        "expires_at": timestamp(record.expires_at),
        "links": {"self": address, "results": f"{address}/results", "cancel": f"{address}/cancel"},
    }


async def _lines(here: Services, record: BatchRecord, after: int, follow: bool) -> AsyncIterator[bytes]:
    while True:
        try:
            ended, _ = await run_sync(_look, here, record)
            for member in ended[after:]:
                after += 1
                yield await run_sync(_line, here, record, member, after)
        except StoreUnavailable:
            # The client comes back by itself, with the last cursor it has.
            return
        if not follow or here.draining or after >= len(record.members):
            return
        await anyio.sleep(_PAUSE)


def _line(here: Services, record: BatchRecord, ended: Ended, cursor: int) -> bytes:
    member = record.members[ended.index]
    fit, summary = _result(here, record, ended)
    problem = member.problem
    if fit is not None and fit.failure is not None:
        problem = failure_view(fit.failure, here.settings.problem_base)
    line = {
        "cursor": cursor,
        "index": ended.index,
        "custom_id": member.custom_id,
        "fit_id": member.fit_id,
        "status": ended.status,
        "summary": summary,
        "problem": problem,
    }
    return to_json(line) + b"\n"


def _result(
    here: Services, record: BatchRecord, ended: Ended
) -> tuple[FitRecord | None, dict[str, Any] | None]:
    fit_id = record.members[ended.index].fit_id
    fit = None if fit_id is None else here.store.get(fit_id, record.tenant)
    if fit is None or ended.status not in ("succeeded", "cancelled"):
        return fit, None
    return fit, here.posteriors.summary(fit)


def _tables(here: Services, record: BatchRecord, ended: tuple[Ended, ...]) -> Iterator[pa.RecordBatch]:
    """One row for each estimate, and one for a member that has none; the first table has no rows."""
    names = ("index", "custom_id", "fit_id", "status", *SUMMARY_COLUMNS)
    yield rows_of(columns_of([], names))
    for member in ended:
        _, summary = _result(here, record, member)
        of = record.members[member.index]
        about = {
            "index": str(member.index),
            "custom_id": of.custom_id,
            "fit_id": of.fit_id,
            "status": member.status,
        }
        empty = dict.fromkeys(SUMMARY_COLUMNS)
        estimates = [{**about, **row} for row in summary_rows(summary)] if summary else [{**about, **empty}]
        yield rows_of(columns_of(estimates, names))
