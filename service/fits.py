"""The resource `fits`: submit, look at, list, cancel, delete."""

from typing import Annotated
from urllib.parse import urlencode

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.answers.fits import Fit, FitList
from service.apart import Ask
from service.bodies import JsonBody, work_on
from service.caching import fresh, hold_to_condition, lasting, tag_of, to_json
from service.callbacks import checker
from service.datasets import opener, payloads
from service.deps import Here, Services, Tenant, deep_object
from service.documentation import answers, header_parameters, json_request
from service.idempotency import once
from service.lookup import find
from service.reading import read_fit
from service.requests.fits import FitRequest
from service.settings import Limits
from service.submission import Submission, prepare, submit
from service.views import fit_view
from service.waiting import preference_headers, preferred_wait, until_ended
from store.records import FitRecord, FitStatus

router = APIRouter(prefix="/v1/fits", tags=["fits"])
_IN_STORE = ("store-unavailable",)
_METADATA = {
    "name": "metadata",
    "in": "query",
    "required": False,
    "description": "Only fits with these metadata: `metadata[study]=2026-a`; of several all must be there.",
    "style": "deepObject",
    "explode": True,
    "schema": {"type": "object", "additionalProperties": {"type": "string"}},
    "example": {"study": "2026-a"},
}


@router.post(
    "",
    operation_id="submitFit",
    summary="Submit a fit",
    status_code=202,
    openapi_extra=json_request(FitRequest) | header_parameters("Prefer", "Idempotency-Key"),
    responses=answers(
        (202, "Accepted: the fit is queued or running.", Fit),
        (201, "Made: the fit has ended within the time given by `Prefer: wait`.", Fit),
        (200, "An identical request was made before; this is its fit.", Fit),
        headers=("Location", "Retry-After", "Preference-Applied"),
        problems=(
            "idempotency-conflict",
            "idempotency-in-flight",
            "too-many-callbacks",
            "queue-full",
            "tenant-queue-full",
            "store-full",
            "tenant-full",
            "fit-gone",
            *_IN_STORE,
        ),
        body=True,
    ),
)
async def submit_fit(request: Request, here: Here, tenant: Tenant, body: JsonBody) -> Response:
    """Check a model and its data, and queue the fit; everything that is wrong is said at once.

    `Prefer: wait=N` (at most 30) holds the answer until the fit has ended, or N seconds are over.
    """

    async def answer(nonce: str) -> Response:
        record, created = await work_on(
            here,
            body,
            _prepared,
            here.settings.limits,
            tenant,
            nonce,
            here.settings.batch_cost,
            asked={"dataset": payloads(here, tenant), "callback": checker(here, tenant)},
            then=lambda submission: submit(here, submission),
        )
        wait = preferred_wait(request, here.settings.limits.wait_seconds)
        record = await until_ended(request, here, record, wait)
        status = 200 if not created else 201 if record.status.terminal else 202
        headers = {"Location": f"{here.settings.root_path}/v1/fits/{record.id}", **preference_headers(wait)}
        return _describe(here, record, status, headers)

    return await once(request, here, tenant, body.data, answer)


@router.get(
    "",
    operation_id="listFits",
    summary="List fits",
    openapi_extra={"parameters": [_METADATA]},
    responses=answers(
        (200, "A page of fits, the newest first.", FitList),
        problems=("invalid-parameter", "invalid-cursor", *_IN_STORE),
    ),
)
def list_fits(
    request: Request,
    here: Here,
    tenant: Tenant,
    limit: Annotated[int, Query(ge=1, le=100, description="How many fits to a page.")] = 20,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next_cursor` of the page before.")
    ] = None,
    status: Annotated[FitStatus | None, Query(description="Only fits of this status.")] = None,
) -> Response:
    """List your fits, the newest first, of a status and with metadata of your choice.

    A page that had to pass over very many fits ends early; only one without `next_cursor` is the last.
    """
    metadata = deep_object(request, "metadata")
    page = here.store.list(tenant, limit=limit, cursor=cursor, status=status, metadata=metadata)
    headers = {}
    if page.next_cursor is not None:
        following = {"limit": limit, "cursor": page.next_cursor} | ({"status": status} if status else {})
        following |= {f"metadata[{key}]": value for key, value in metadata.items()}
        headers["Link"] = f'<{here.settings.root_path}/v1/fits?{urlencode(following)}>; rel="next"'
    items = [fit_view(record, here.settings) for record in page.records]
    return fresh({"items": items, "next_cursor": page.next_cursor}, headers=headers)


@router.get(
    "/{fit_id}",
    operation_id="getFit",
    summary="Get a fit",
    openapi_extra=header_parameters("Prefer", "If-None-Match"),
    responses=answers(
        (200, "The fit.", Fit),
        headers=("ETag", "Location", "Retry-After", "Preference-Applied"),
        problems=("fit-not-found", "fit-gone", "invalid-parameter", *_IN_STORE),
        conditional=True,
    ),
)
async def get_fit(request: Request, here: Here, tenant: Tenant, fit_id: str) -> Response:
    """Get a fit; `Prefer: wait=N` (at most 30) holds the answer until it has ended, or N seconds are over."""
    record = await run_sync(find, here, tenant, fit_id)
    wait = preferred_wait(request, here.settings.limits.wait_seconds)
    record = await until_ended(request, here, record, wait)
    headers = preference_headers(wait)
    if not record.status.terminal:
        return _describe(here, record, 200, headers)
    return lasting(
        request,
        record,
        here.settings.cache_max_age,
        lambda: to_json(fit_view(record, here.settings)),
        headers,
    )


@router.delete(
    "/{fit_id}",
    operation_id="deleteFit",
    summary="Delete a fit",
    status_code=204,
    openapi_extra=header_parameters("If-Match"),
    responses=answers(
        (204, "The fit and all its data are gone.", None),
        problems=("fit-not-found", "fit-gone", "invalid-parameter", "precondition-failed", *_IN_STORE),
    ),
)
def delete_fit(request: Request, here: Here, tenant: Tenant, fit_id: str) -> Response:
    """Delete a fit with its data, its draws and its history; one that runs is stopped."""
    record = find(here, tenant, fit_id)
    hold_to_condition(request, tag_of(record, request.url.path) if record.status.terminal else None)
    here.store.delete(fit_id)
    here.posteriors.forget(fit_id)
    return Response(status_code=204)


@router.post(
    "/{fit_id}/cancel",
    operation_id="cancelFit",
    summary="Cancel a fit",
    responses=answers(
        (200, "The fit has ended: it is cancelled, or had ended before.", Fit),
        (202, "The fit is about to stop.", Fit),
        problems=("fit-not-found", "fit-gone", "invalid-parameter", *_IN_STORE),
    ),
)
def cancel_fit(here: Here, tenant: Tenant, fit_id: str) -> Response:
    """Cancel a fit: a queued one at once, a running one within seconds; one that has ended stays as it is."""
    find(here, tenant, fit_id)
    record = here.store.request_cancel(fit_id) or find(here, tenant, fit_id)
    return _describe(here, record, 200 if record.status.terminal else 202)


def _prepared(
    ask: Ask, body: bytes, cells: int, limits: Limits, tenant: str, nonce: str, batch_cost: float
) -> Submission:
    request, plan = read_fit(body, limits, opener(ask), lambda url: ask("callback", url), cells)
    return prepare(tenant, request, plan, nonce, batch_cost)


def _describe(
    here: Services, record: FitRecord, status: int, headers: dict[str, str] | None = None
) -> Response:
    again = {} if record.status.terminal else {"Retry-After": "1"}
    return fresh(fit_view(record, here.settings), status, {**(headers or {}), **again})
