"""The resource `batches`: many fits submitted at once, looked at, listed, cancelled, deleted."""

from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from service.answers.batches import Batch, BatchList
from service.batch_results import Results
from service.batch_submission import accept_batch
from service.bodies import ListBody
from service.caching import fresh, hold_to_condition
from service.deps import Here, Services, Tenant
from service.documentation import answers, header_parameters, list_request
from service.idempotency import once
from service.lookup import find_batch
from service.media_types import JSON, NDJSON, TABLES
from service.negotiation import accepted_media_type
from service.problems import Refusal
from service.requests.batches import BatchRequest
from service.spreadsheets import Spreadsheet, for_spreadsheets
from service.views import timestamp
from store.batches import BatchRecord

router = APIRouter(prefix="/v1/batches", tags=["batches"])

_PROBLEMS = ("batch-not-found", "store-unavailable")


@router.post(
    "",
    operation_id="submitBatch",
    summary="Submit a batch",
    status_code=202,
    openapi_extra=list_request(BatchRequest) | header_parameters("Idempotency-Key"),
    responses=answers(
        (202, "Accepted: what is sound of it is queued.", Batch),
        problems=(
            "idempotency-conflict",
            "idempotency-in-flight",
            "store-full",
            "tenant-full",
            "store-unavailable",
        ),
        headers=("Location",),
        body=True,
    ),
)
async def submit_batch(request: Request, here: Here, tenant: Tenant, body: ListBody) -> Response:
    """Submit many fits: a list, one to a line (NDJSON), or one model for each value of a column.

    A member that is wrong is told with its index and stops no other; equal members share one run.
    """
    accepted_media_type(request, JSON)

    async def answer(nonce: str) -> Response:
        record = await accept_batch(request, here, tenant, body, nonce)
        location = {"Location": f"{here.settings.root_path}/v1/batches/{record.id}"}
        return fresh(_view(record, here.settings.root_path), 202, location)

    return await once(request, here, tenant, body.media_type.encode() + b"\n" + body.data, answer)


@router.get(
    "",
    operation_id="listBatches",
    summary="List batches",
    responses=answers(
        (200, "A page of batches, the newest first.", BatchList),
        problems=("invalid-cursor", "store-unavailable"),
    ),
)
def list_batches(
    request: Request,
    here: Here,
    tenant: Tenant,
    limit: Annotated[int, Query(ge=1, le=100, description="How many batches to a page.")] = 20,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next_cursor` of the page before.")
    ] = None,
) -> Response:
    """List your batches, the newest first."""
    accepted_media_type(request, JSON)
    page = here.batches.list(tenant, limit=limit, cursor=cursor)
    headers = {}
    if page.next_cursor is not None:
        following = f"{here.settings.root_path}/v1/batches?limit={limit}&cursor={page.next_cursor}"
        headers["Link"] = f'<{following}>; rel="next"'
    items = [_view(record, here.settings.root_path) for record in page.records]
    return fresh({"items": items, "next_cursor": page.next_cursor}, headers=headers)


@router.get(
    "/{batch_id}",
    operation_id="getBatch",
    summary="Get a batch",
    responses=answers((200, "The batch.", Batch), problems=_PROBLEMS),
)
def get_batch(request: Request, here: Here, tenant: Tenant, batch_id: str) -> Response:
    """Count a batch's members by status, and say which were refused."""
    accepted_media_type(request, JSON)
    return fresh(_view(find_batch(here, tenant, batch_id), here.settings.root_path))


@router.delete(
    "/{batch_id}",
    operation_id="deleteBatch",
    summary="Delete a batch",
    status_code=204,
    openapi_extra=header_parameters("If-Match"),
    responses=answers(
        (204, "The batch is gone.", None),
        problems=("batch-not-ended", "invalid-parameter", "precondition-failed", *_PROBLEMS),
    ),
)
def delete_batch(
    request: Request,
    here: Here,
    tenant: Tenant,
    batch_id: str,
    fits: Annotated[
        Literal["0", "1"], Query(description="1: delete the fits that the batch made as well.")
    ] = "0",
) -> Response:
    """Delete a batch that has ended; its fits stay, unless those that it made are to be deleted as well."""
    accepted_media_type(request, JSON)
    record = find_batch(here, tenant, batch_id)
    if record.ended < record.size:
        raise Refusal("batch-not-ended")
    hold_to_condition(request, None)
    if fits == "1":
        made = _own_fits(here, record)
        here.store.delete_many(made, tenant)
        for fit_id in made:
            here.posteriors.forget(fit_id)
    here.batches.delete(record.id, tenant)
    return Response(status_code=204)


@router.get(
    "/{batch_id}/results",
    operation_id="listResults",
    response_class=Response,
    summary="Get the results of a batch",
    responses=answers(
        (
            200,
            "A line for each member that has ended, in that order: `cursor`, `index`, `custom_id`, `fit_id`, "
            "`status`, `summary`, `problem`. The other formats have a row for each estimate.",
            None,
        ),
        problems=_PROBLEMS,
        others=(NDJSON, *TABLES),
    ),
)
async def list_results(
    request: Request,
    here: Here,
    tenant: Tenant,
    batch_id: str,
    after: Annotated[int, Query(ge=0, le=1_000_000, description="Only what follows this `cursor`.")] = 0,
    follow: Annotated[
        Literal["0", "1"], Query(description="1: the answer lasts until the last member has ended.")
    ] = "0",
    spreadsheet: Spreadsheet = "0",
) -> Response:
    """Give the members that have ended, in the order in which they did; each line's `cursor` resumes after it."""
    media_type = accepted_media_type(request, NDJSON, *TABLES)
    guarded = for_spreadsheets(spreadsheet, media_type)
    results = await run_sync(lambda: Results(request, here, find_batch(here, tenant, batch_id)))
    following = follow == "1"
    written = (
        results.lines(after, following)
        if media_type == NDJSON
        else results.rows(after, following, media_type, guarded)
    )
    headers = {"Cache-Control": "no-store", "Vary": "Accept", "X-Accel-Buffering": "no"}
    return StreamingResponse(written, media_type=media_type, headers=headers)


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
    record = find_batch(here, tenant, batch_id)
    over = {ended.fit_id for ended in here.batches.ended(record.id)}
    here.store.cancel_many([fit_id for fit_id in _own_fits(here, record) if fit_id not in over], tenant)
    view = _view(find_batch(here, tenant, batch_id), here.settings.root_path)
    return fresh(view, 200 if view["status"] == "ended" else 202)


def _own_fits(here: Services, record: BatchRecord) -> list[str]:
    members = here.batches.members(record.id)
    return [member.fit_id for member in members if member.own and member.fit_id is not None]


def _view(record: BatchRecord, root_path: str) -> dict[str, Any]:
    address = f"{root_path}/v1/batches/{record.id}"
    return {
        "id": record.id,
        "status": "ended" if record.ended == record.size else "running",
        "members": record.size,
        "counts": record.counts,
        "fraction": record.ended / record.size,
        "rejected": record.refused,
        "created_at": timestamp(record.created_at),
        "expires_at": timestamp(record.expires_at),
        "links": {
            "self": address,
            "results": f"{address}/results",
            "cancel": f"{address}/cancel",
            "callbacks": f"{address}/callbacks",
        },
    }
