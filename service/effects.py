"""Conditional effects: what the model expects as one predictor varies over its range, made to be drawn as a line."""

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, Literal

import numpy as np
from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from model.predictions.conditional import conditional_effects
from service.answers.effects import Effects
from service.caching import lasting, to_json
from service.columnar import Columns, write
from service.deps import Here, Tenant
from service.documentation import answers, header_parameters
from service.estimates import USUAL_PROB, Prob
from service.grids import At, By, Level, read_grid
from service.lookup import find_ended, posterior_of
from service.media_types import JSON, TABLES
from service.negotiation import accepted_media_type
from service.places import in_no_json, moving
from service.spreadsheets import Spreadsheet, for_spreadsheets

router = APIRouter(prefix="/v1/fits/{fit_id}", tags=["results"])

_FIGURES = ("mean", "sd", "median", "lower", "upper")


@router.get(
    "/effects",
    operation_id="getEffects",
    summary="Get conditional effects",
    openapi_extra=header_parameters("If-None-Match"),
    responses=answers(
        (200, "The effects, with the grid they are conditional on.", Effects),
        problems=(
            "fit-not-found",
            "fit-gone",
            "fit-not-finished",
            "fit-failed",
            "fit-cancelled",
            "invalid-request",
            "store-unavailable",
        ),
        headers=("ETag",),
        conditional=True,
        others=TABLES,
    ),
)
def get_effects(
    request: Request,
    here: Here,
    tenant: Tenant,
    fit_id: str,
    variable: Annotated[str, Query(max_length=4000, description="The predictor that varies.")],
    by: By = None,
    at: At = [],  # noqa: B006 (FastAPI copies it)
    level: Level = [],  # noqa: B006
    points: Annotated[int, Query(ge=2, le=1000, description="How many values a number takes, at most.")] = 50,
    kind: Annotated[
        Literal["linpred", "epred", "predict"],
        Query(description="The linear predictor, the mean of the response, or new responses."),
    ] = "epred",
    prob: Prob = USUAL_PROB,
    spreadsheet: Spreadsheet = "0",
) -> Response:
    """Give the linear predictor, the mean of the response, or new responses over a reference grid.

    Numbers that do not vary stay at their mean and factors at their reference level; the answer states all of it.
    Group-level effects are left out, but for those of a `level`.
    """
    media_type = accepted_media_type(request, JSON, *TABLES)
    guarded = for_spreadsheets(spreadsheet, media_type)
    record = find_ended(here, tenant, fit_id)

    def written() -> bytes | Iterator[bytes]:
        posterior = posterior_of(here, record)
        encoding = posterior.encoding
        grid = read_grid(encoding, variable, by=by, at=at, level=level, points=points)
        with moving(in_no_json, everything=True):
            found = conditional_effects(posterior, grid, kind=kind, prob=prob)
        if media_type == JSON:
            return to_json({"fit_id": fit_id, **found})
        return write(_columns(found), media_type, guarded=guarded)

    return lasting(request, record, here.settings.cache_max_age, written, {"Vary": "Accept"}, media_type)


def _columns(found: Mapping[str, Any]) -> Columns:
    """The whole grid, what varies first, and the figures."""
    rows = len(found["mean"])
    fixed = {name: [value] * rows for name, value in {**found["levels"], **found["reference"]}.items()}
    columns: dict[str, Any] = {}
    for name, values in {**found["columns"], **fixed}.items():
        # A predictor may have the name of a figure.
        column = f"predictor_{name}" if name in _FIGURES else name
        columns[column] = values if isinstance(values[0], str) else np.array(values)
    return columns | {name: found[name] for name in _FIGURES}
