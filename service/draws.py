"""The draws of a fit: all or chosen parameters, as JSON, CSV, an Arrow stream, a Parquet file or NetCDF."""

from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from model.results.posterior import Posterior
from service import VERSION
from service.answers.draws import Draws
from service.caching import lasting, to_json
from service.columnar import Columns, write
from service.deps import Here, Tenant
from service.documentation import answers, header_parameters
from service.lookup import find_ended, posterior_of
from service.media_types import JSON, NETCDF, TABLES
from service.negotiation import accepted_media_type
from service.netcdf import write_netcdf
from service.problems import Refusal
from service.selection import Quantity, select
from service.spreadsheets import Spreadsheet, for_spreadsheets

router = APIRouter(prefix="/v1/fits/{fit_id}", tags=["results"])


@router.get(
    "/draws",
    operation_id="getDraws",
    summary="Get draws",
    openapi_extra=header_parameters("If-None-Match"),
    responses=answers(
        (200, "The draws; chains and draws are numbered from 0.", Draws),
        problems=(
            "fit-not-found",
            "fit-gone",
            "fit-not-finished",
            "fit-failed",
            "fit-cancelled",
            "unknown-parameter",
            "limit-exceeded",
            "store-unavailable",
        ),
        headers=("ETag",),
        conditional=True,
        others=(*TABLES, NETCDF),
    ),
)
def get_draws(
    request: Request,
    here: Here,
    tenant: Tenant,
    fit_id: str,
    parameters: Annotated[
        list[str],
        Query(
            description="A name, or what several begin with: `b`, `b[x]`, `sd[g]`, `cor[g]`, `sigma`; `u[g]` and "
            "`u[g][level]` for levels. Repeatable; all but the levels if left out.",
            max_length=1000,
        ),
    ] = [],  # noqa: B006 (FastAPI copies it)
    chains: Annotated[list[int], Query(description="Only this chain, from 0; repeatable.")] = [],  # noqa: B006
    thin: Annotated[int, Query(ge=1, le=100_000, description="Every how manieth draw.")] = 1,
    spreadsheet: Spreadsheet = "0",
) -> Response:
    """Give the draws after warm-up by the names of their parameters, a row for each draw in CSV, Arrow and Parquet."""
    media_type = accepted_media_type(request, JSON, *TABLES, NETCDF)
    guarded = for_spreadsheets(spreadsheet, media_type)
    record = find_ended(here, tenant, fit_id)

    def written() -> bytes | Iterator[bytes]:
        posterior = posterior_of(here, record)
        most = here.settings.limits.exported_numbers
        quantities = select(posterior, parameters, chains=chains, thin=thin, most_values=most)
        if not quantities:
            raise Refusal("unknown-parameter")
        which, numbers = _numbers(posterior, chains, thin)
        if media_type == NETCDF:
            about = {"fit_id": fit_id, "formula": record.formula, "seed": str(posterior.seed)}
            about |= {"inference_library": "ranef", "inference_library_version": VERSION}
            return write_netcdf(quantities, which, numbers, about)
        if media_type == JSON:
            return _json(fit_id, quantities, which, numbers)
        return write(_columns(quantities, which, numbers), media_type, guarded=guarded)

    return lasting(
        request, record, here.settings.cache_max_age, written, {"Vary": "Accept"}, media_type=media_type
    )


def _numbers(posterior: Posterior, chains: Sequence[int], thin: int) -> tuple[list[int], list[int]]:
    return sorted(set(chains)) or list(range(posterior.chains)), list(range(0, posterior.draws, thin))


def _json(
    fit_id: str, quantities: Sequence[Quantity], chains: Sequence[int], numbers: Sequence[int]
) -> Iterator[bytes]:
    head = to_json({"fit_id": fit_id, "chains": chains, "draws": numbers})
    yield head[:-1] + b',"parameters":{'
    comma = b""
    for quantity in quantities:
        flat = quantity.values.reshape(len(chains), len(numbers), -1)
        for place, name in enumerate(quantity.names):
            yield comma + to_json(name) + b":" + to_json(np.ascontiguousarray(flat[:, :, place]))
            comma = b","
    yield b"}}"


def _columns(quantities: Sequence[Quantity], chains: Sequence[int], numbers: Sequence[int]) -> Columns:
    columns = {"chain": np.repeat(chains, len(numbers)), "draw": np.tile(numbers, len(chains))}
    for quantity in quantities:
        flat = quantity.values.reshape(len(chains) * len(numbers), -1)
        columns |= {name: flat[:, place] for place, name in enumerate(quantity.names)}
    return columns
