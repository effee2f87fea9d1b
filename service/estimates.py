"""What a fit found: its summary, and the levels of its grouping factors."""

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from model.summary import groups, summarize
from service.answers import GroupPage, Summary
from service.caching import lasting, to_json
from service.deps import Here, Tenant
from service.documentation import answers, header_parameters
from service.lookup import find_ended, posterior_of
from service.problems import Refusal
from store.base import InvalidCursor

router = APIRouter(prefix="/v1/fits/{fit_id}", tags=["results"])

USUAL_PROB = 0.95
Prob = Annotated[float, Query(gt=0, lt=1, description="Probability of the central intervals.")]
_UNFINISHED = (
    "fit-not-found",
    "fit-gone",
    "fit-not-finished",
    "fit-failed",
    "fit-cancelled",
    "store-unavailable",
)


@router.get(
    "/summary",
    operation_id="getSummary",
    summary="Summarize a fit",
    openapi_extra=header_parameters("If-None-Match"),
    responses=answers(
        (200, "The summary.", Summary), problems=_UNFINISHED, headers=("ETag",), conditional=True
    ),
)
def get_summary(
    request: Request, here: Here, tenant: Tenant, fit_id: str, prob: Prob = USUAL_PROB
) -> Response:
    """Give population coefficients, each factor's sd, correlation and covariance, R2, ICC, diagnostics."""
    record = find_ended(here, tenant, fit_id)

    def write() -> bytes:
        summary = here.posteriors.summary(record) if prob == USUAL_PROB else None
        return to_json({"fit_id": fit_id, **(summary or summarize(posterior_of(here, record), prob))})

    return lasting(request, record, here.settings.cache_max_age, write)


@router.get(
    "/groups/{factor:path}",
    operation_id="listGroups",
    summary="List the levels of a grouping factor",
    openapi_extra=header_parameters("If-None-Match"),
    responses=answers(
        (200, "A page of levels.", GroupPage),
        problems=(*_UNFINISHED, "factor-not-found", "invalid-cursor"),
        headers=("ETag",),
        conditional=True,
    ),
)
def list_groups(
    request: Request,
    here: Here,
    tenant: Tenant,
    fit_id: str,
    factor: str,
    prob: Prob = USUAL_PROB,
    limit: Annotated[int, Query(ge=1, le=1000, description="How many entries to a page.")] = 100,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next_cursor` of the page before.")
    ] = None,
    search: Annotated[
        str | None, Query(max_length=200, description="Only levels with this in their label.")
    ] = None,
    coefficient: Annotated[str | None, Query(max_length=4000, description="Only this coefficient.")] = None,
) -> Response:
    """Give level-specific deviations and coefficients with intervals, one entry by level and coefficient."""
    record = find_ended(here, tenant, fit_id)
    offset = _read_cursor(cursor)

    def write() -> bytes:
        posterior = posterior_of(here, record)
        structure = next((found for found in posterior.encoding.factors if found.name == factor), None)
        if structure is None:
            raise Refusal("factor-not-found")
        if coefficient is not None and coefficient not in structure.coefficients:
            raise Refusal("invalid-parameter", "The factor has no such coefficient.")
        items, total = groups(
            posterior, factor, prob=prob, offset=offset, limit=limit, search=search, coefficient=coefficient
        )
        following = _write_cursor(offset + limit) if offset + limit < total else None
        page = {"factor": factor, "prob": prob, "total": total, "items": items, "next_cursor": following}
        return to_json(page)

    return lasting(request, record, here.settings.cache_max_age, write)


def _write_cursor(offset: int) -> str:
    return base64.urlsafe_b64encode(f"after {offset}".encode()).decode().rstrip("=")


def _read_cursor(cursor: str | None) -> int:
    if cursor is None:
        return 0
    try:
        word, number = base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)).decode().split(" ")
        offset = int(number)
    except (binascii.Error, ValueError):
        raise InvalidCursor from None
    if word != "after" or offset < 0 or _write_cursor(offset) != cursor:
        raise InvalidCursor
    return offset
