"""What a fit found: its summary, and the levels of its grouping factors."""

import base64
import binascii
from collections.abc import Callable, Iterator
from typing import Annotated, Any

import pyarrow as pa
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from model.language.terms import same_factor
from model.results.pages import Sort, estimate_entries, find_entries
from model.results.summary import summarize
from service.answers.estimates import GroupPage, Summary
from service.caching import lasting, to_json
from service.columnar import batch, write, write_batches
from service.deps import Here, Tenant
from service.documentation import answers, header_parameters
from service.flat import LEVEL_COLUMNS, SUMMARY_COLUMNS, columns_of, level_rows, summary_rows
from service.lookup import find_ended, posterior_of
from service.media_types import JSON, TABLES
from service.negotiation import accepted_media_type
from service.problems import Refusal
from service.spreadsheets import Spreadsheet, for_spreadsheets
from store.base import InvalidCursor

router = APIRouter(prefix="/v1/fits/{fit_id}", tags=["results"])

_VARY = {"Vary": "Accept"}
_USUAL_PAGE = 50
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
        (200, "The summary.", Summary),
        problems=_UNFINISHED,
        headers=("ETag",),
        conditional=True,
        others=TABLES,
    ),
)
def get_summary(
    request: Request,
    here: Here,
    tenant: Tenant,
    fit_id: str,
    prob: Prob = USUAL_PROB,
    spreadsheet: Spreadsheet = "0",
) -> Response:
    """Give population coefficients, each factor's sd, correlation and covariance, R2, ICC, diagnostics."""
    media_type = accepted_media_type(request, JSON, *TABLES)
    guarded = for_spreadsheets(spreadsheet, media_type)
    record = find_ended(here, tenant, fit_id)

    def written() -> bytes | Iterator[bytes]:
        summary = here.posteriors.summary(record) if prob == USUAL_PROB else None
        summary = summary or summarize(posterior_of(here, record), prob)
        if media_type != JSON:
            columns = columns_of(list(summary_rows(summary)), SUMMARY_COLUMNS)
            return write(columns, media_type, guarded=guarded)
        return to_json({"fit_id": fit_id, **summary})

    return lasting(request, record, here.settings.cache_max_age, written, _VARY, media_type)


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
        others=TABLES,
    ),
)
def list_groups(
    request: Request,
    here: Here,
    tenant: Tenant,
    fit_id: str,
    factor: str,
    prob: Prob = USUAL_PROB,
    limit: Annotated[
        int | None,
        Query(
            ge=1,
            le=1000,
            description="How many entries to a page; left out, 50 in JSON and all in other formats.",
        ),
    ] = None,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next_cursor` of the page before.")
    ] = None,
    search: Annotated[
        str | None, Query(max_length=200, description="Only levels with this in their label.")
    ] = None,
    coefficient: Annotated[str | None, Query(max_length=4000, description="Only this coefficient.")] = None,
    sort: Annotated[
        Sort | None,
        Query(description="By the levels' values or by posterior means; `-` puts the largest first."),
    ] = None,
    spreadsheet: Spreadsheet = "0",
) -> Response:
    """Give level-specific deviations and coefficients with intervals, one entry by level and coefficient."""
    media_type = accepted_media_type(request, JSON, *TABLES)
    guarded = for_spreadsheets(spreadsheet, media_type)
    record = find_ended(here, tenant, fit_id)
    offset = _read_cursor(cursor)

    def written() -> bytes | Iterator[bytes]:
        posterior = posterior_of(here, record)
        structures = {found.name: found for found in posterior.encoding.factors}
        name = same_factor(factor, structures)
        if name is None:
            raise Refusal("factor-not-found")
        structure = structures[name]
        if coefficient is not None and coefficient not in structure.coefficients:
            raise Refusal("invalid-parameter", "The factor has no such coefficient.")

        entries = find_entries(posterior, name, search=search, coefficient=coefficient, sort=sort)

        def some(start: int, count: int) -> list[dict[str, Any]]:
            return estimate_entries(posterior, entries, start, count, prob)

        if media_type != JSON:
            stop = len(entries) if limit is None else min(offset + limit, len(entries))
            return write_batches(_batches(some, offset, stop), media_type, guarded=guarded)
        stop = offset + (limit or _USUAL_PAGE)
        page = {
            "factor": name,
            "prob": prob,
            "total": len(entries),
            "items": some(offset, stop - offset),
            "next_cursor": _write_cursor(stop) if stop < len(entries) else None,
        }
        return to_json(page)

    return lasting(request, record, here.settings.cache_max_age, written, _VARY, media_type)


def _batches(
    some: Callable[[int, int], list[dict[str, Any]]], start: int, stop: int
) -> Iterator[pa.RecordBatch]:
    """Entries drawn page by page, so that a factor may have any number of levels; at least one batch."""
    for begin in range(start, max(stop, start + 1), _USUAL_PAGE):
        items = some(begin, min(_USUAL_PAGE, stop - begin))
        yield batch(columns_of(list(level_rows(items)), LEVEL_COLUMNS))


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
