"""The resource `datasets`: rows that are uploaded once, and named by fits, predictions and dry runs."""

import base64
import hashlib
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from typing import Annotated, Any, cast, get_args

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from model.errors import InvalidModel, Issue, Notice
from model.frame.column import Column, Kind
from model.frame.levels import distinct, listing
from model.frame.lookalikes import doubt_of, levels_for_missing
from model.frame.table import Table
from service.answers.datasets import Dataset, DatasetList
from service.apart import Ask
from service.bodies import RowsBody, work_on
from service.caching import fresh, hold_to_condition
from service.csv_options import DecimalQuery, MissingQuery, SeparatorQuery, csv_options
from service.csv_tables import CsvOptions
from service.deps import Here, Services, Tenant
from service.documentation import answers, header_parameters, rows_request
from service.idempotency import once
from service.media_types import CSV, JSON
from service.problems import Refusal
from service.reading import OpenDataset, read_data
from service.requests.common import Data
from service.settings import Limits
from service.tabular import read_rows
from service.views import timestamp
from store.codec import pack, unpack
from store.datasets import DatasetRecord

router = APIRouter(prefix="/v1/datasets", tags=["datasets"])

_DATASET_ID = re.compile(r"ds_[a-z2-7]{26}")
_SHOWN_LEVELS = 10


@router.post(
    "",
    operation_id="uploadDataset",
    summary="Upload a data set",
    status_code=201,
    openapi_extra=rows_request(Data, "Idempotency-Key"),
    responses=answers(
        (201, "Kept.", Dataset),
        (200, "The same content was there already; its life begins anew.", Dataset),
        problems=(
            "invalid-csv",
            "invalid-arrow",
            "invalid-parquet",
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
async def upload_dataset(
    request: Request,
    here: Here,
    tenant: Tenant,
    body: RowsBody,
    types: Annotated[
        list[str],
        Query(description="CSV: the type of a column, as `zip:text`; once for each column.", max_length=1000),
    ] = [],  # noqa: B006 (FastAPI copies it)
    missing: MissingQuery = None,
    sep: SeparatorQuery = None,
    decimal: DecimalQuery = None,
) -> Response:
    """Keep a data set; equal content has one id, and uploading it again prolongs its life.

    A column of CSV is boolean, integer or number if all its cells are, but those that stand for a missing value; else
    it is text. Digits that begin with 0 are text. `reading` in the answer says how the CSV was read, and `warnings`
    which columns of text can group rows but be no covariate.
    """

    def keep(made: tuple[DatasetRecord, bytes]) -> Response:
        record, new = here.datasets.put(*made)
        location = {"Location": f"{here.settings.root_path}/v1/datasets/{record.id}"}
        # The same content may have come before in another layout, and is described as it came then.
        view = _view(replace(record, reading=made[0].reading), here.settings.root_path)
        return fresh(view, 201 if new else 200, location)

    async def answer(_: str) -> Response:
        if types and body.media_type != CSV:
            raise Refusal("invalid-parameter", "`types` is for CSV; other formats say it themselves.")
        options = replace(csv_options(body, missing, sep, decimal), types=_kinds(types))
        arguments = body.media_type, tenant, here.settings.limits, options
        return await work_on(here, body, _made, *arguments, asked={}, then=keep)

    asked = f"{body.media_type}?{request.url.query}\n".encode()
    return await once(request, here, tenant, asked + body.data, answer)


@router.get(
    "",
    operation_id="listDatasets",
    summary="List data sets",
    responses=answers(
        (200, "A page of data sets, the last uploaded first.", DatasetList),
        problems=("invalid-cursor", "store-unavailable"),
    ),
)
def list_datasets(
    here: Here,
    tenant: Tenant,
    limit: Annotated[int, Query(ge=1, le=100, description="How many data sets to a page.")] = 20,
    cursor: Annotated[
        str | None, Query(max_length=200, description="`next_cursor` of the page before.")
    ] = None,
) -> Response:
    """List your data sets, the last uploaded first."""
    page = here.datasets.list(tenant, limit=limit, cursor=cursor)
    headers = {}
    if page.next_cursor is not None:
        following = f"{here.settings.root_path}/v1/datasets?limit={limit}&cursor={page.next_cursor}"
        headers["Link"] = f'<{following}>; rel="next"'
    return fresh(
        {
            "items": [_view(record, here.settings.root_path) for record in page.records],
            "next_cursor": page.next_cursor,
        },
        headers=headers,
    )


@router.get(
    "/{dataset_id}",
    operation_id="getDataset",
    summary="Get a data set",
    responses=answers(
        (200, "What is in it, but its rows.", Dataset), problems=("dataset-not-found", "store-unavailable")
    ),
)
def get_dataset(here: Here, tenant: Tenant, dataset_id: str) -> Response:
    """Get a data set's columns with their types and first levels, its rows and when it expires."""
    return fresh(_view(_find(here, tenant, dataset_id), here.settings.root_path))


@router.delete(
    "/{dataset_id}",
    operation_id="deleteDataset",
    summary="Delete a data set",
    status_code=204,
    openapi_extra=header_parameters("If-Match"),
    responses=answers(
        (204, "It is gone.", None), problems=("dataset-not-found", "precondition-failed", "store-unavailable")
    ),
)
def delete_dataset(request: Request, here: Here, tenant: Tenant, dataset_id: str) -> Response:
    """Delete a data set; fits that were made of it have their own data and stay."""
    _find(here, tenant, dataset_id)
    hold_to_condition(request, None)
    here.datasets.delete(dataset_id, tenant)
    return Response(status_code=204)


def payloads(here: Services, tenant: str) -> Callable[[str], bytes]:
    """Give the function that finds the tenant's data sets, as they are stored, for a request that names them."""

    def payload_of(dataset_id: str) -> bytes:
        try:
            payload = here.datasets.payload(_find(here, tenant, dataset_id).id)
        except Refusal:
            payload = None
        if payload is None:
            raise InvalidModel(Issue("unknown-dataset", "There is no data set with this id.", "/dataset"))
        return payload

    return payload_of


def reading_of(here: Services, tenant: str, dataset_id: str) -> dict[str, Any] | None:
    """Say how the CSV of a data set was read, if it is there and was CSV."""
    record = here.datasets.get(dataset_id, tenant)
    return None if record is None else record.reading


def opener(ask: Ask) -> OpenDataset:
    """Give the function that opens data sets for work that asks for them as `dataset`."""
    return lambda dataset_id: Table.from_parts(*unpack(ask("dataset", dataset_id)))


def _made(
    ask: Ask, body: bytes, cells: int, media_type: str, tenant: str, limits: Limits, options: CsvOptions
) -> tuple[DatasetRecord, bytes]:
    if media_type == JSON:
        table, reading = read_data(body, limits), None
    else:
        table, reading = read_rows(media_type, body, limits, options)
    return describe(tenant, table, reading), pack(*table.to_parts())


def describe(tenant: str, table: Table, reading: dict[str, Any] | None = None) -> DatasetRecord:
    """Name a data set by the tenant and all that is in it, and describe its columns and how they were read."""
    digests = table.digest()
    content = [tenant, *(f"{name}\0{table[name].kind}\0{digests[name]}" for name in table.names)]
    digest = hashlib.sha256("\0\0".join(content).encode()).digest()
    return DatasetRecord(
        id="ds_" + base64.b32encode(digest).decode().lower()[:26],
        tenant=tenant,
        rows=table.rows,
        bytes=0,
        columns=tuple(_describe_column(name, table[name]) for name in table.names),
        reading=reading,
        warnings=tuple(asdict(notice) for notice in _doubts(table)),
    )


def _doubts(table: Table) -> Iterator[Notice]:
    """What a formula will say of columns of text, said when there is time to mend them."""
    for name in table.names:
        doubt = doubt_of(table[name])
        if doubt is not None:
            advice = "It can group rows, but is refused as a covariate."
            yield Notice("text_column", f"Column {name!r} {doubt.predicate}", "warning", advice=advice)
        if found := levels_for_missing(table[name]):
            message = f"Column {name!r} has levels that usually stand for a missing value: {listing(found)}."
            yield Notice("missing_as_level", message, "warning", advice="Send null where a value is missing.")


def _describe_column(name: str, column: Column) -> dict[str, Any]:
    levels = distinct(column)[0] if column.kind != "number" else None
    return {
        "name": name,
        "type": column.kind,
        "missing": column.missing_count,
        "levels": None if levels is None else levels[:_SHOWN_LEVELS],
        "levels_total": None if levels is None else len(levels),
    }


def _find(here: Services, tenant: str, dataset_id: str) -> DatasetRecord:
    record = here.datasets.get(dataset_id, tenant) if _DATASET_ID.fullmatch(dataset_id) else None
    if record is None:
        raise Refusal("dataset-not-found")
    return record


def _kinds(types: list[str]) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {}
    for entry in types:
        name, colon, kind = entry.rpartition(":")
        if not colon or kind not in get_args(Kind) or name in kinds:
            known = ", ".join(get_args(Kind))
            raise Refusal(
                "invalid-parameter", f"`types` is a column, a colon and one of {known}; each column once."
            )
        kinds[name] = cast(Kind, kind)
    return kinds


def _view(record: DatasetRecord, root_path: str) -> dict[str, Any]:
    return {
        "id": record.id,
        "rows": record.rows,
        "bytes": record.bytes,
        "columns": record.columns,
        "reading": record.reading,
        "warnings": record.warnings,
        "uploaded_at": timestamp(record.uploaded_at),
        "expires_at": timestamp(record.expires_at),
        "links": {"self": f"{root_path}/v1/datasets/{record.id}"},
    }
