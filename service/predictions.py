"""Predictions for new rows from a finished fit, made here and at once: no queue and no worker."""

from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from typing import Annotated, Any, Literal

import numpy as np
import pyarrow as pa
from anyio.to_thread import run_sync
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from model.frame.column import Kind
from model.frame.learnt import Encoding
from model.frame.lookalikes import DOUBTFUL_TEXTS, MISSING_TEXTS
from model.frame.table import Table
from model.predictions.predict import Prediction, encode_rows, predict
from model.predictions.row_contrasts import ContrastDraws, RowContrast
from model.results.posterior import Posterior
from service.answers.predictions import Predictions
from service.apart import Ask
from service.bodies import RowsBody, work_on
from service.caching import fresh, to_json
from service.columnar import batch, write, write_batches
from service.csv_options import DecimalQuery, MissingQuery, SeparatorQuery, csv_options
from service.csv_tables import CsvOptions
from service.datasets import opener, payloads
from service.deps import Here, Reader
from service.documentation import answers, rows_request
from service.lookup import find_ended, posterior_of
from service.media_types import CSV, JSON, TABLES
from service.negotiation import accepted_media_type
from service.places import in_dataset, in_no_json, moving
from service.problems import Refusal
from service.reading import check_prediction_rows, read_prediction
from service.requests.predictions import PredictionRequest
from service.settings import Limits
from service.tabular import read_rows

router = APIRouter(prefix="/v1/fits/{fit_id}", tags=["results"])

_FIGURES = ("mean", "sd", "median", "lower", "upper")
_AS_IN_JSON = "What a body of JSON says under this name; for bodies that are rows alone."


@router.post(
    "/predictions",
    operation_id="predict",
    summary="Predict new rows",
    openapi_extra=rows_request(PredictionRequest),
    responses=answers(
        (200, "One entry for each row.", Predictions),
        problems=(
            "fit-not-found",
            "fit-gone",
            "fit-not-finished",
            "fit-failed",
            "fit-cancelled",
            "invalid-csv",
            "invalid-arrow",
            "invalid-parquet",
            "store-unavailable",
        ),
        body=True,
        others=TABLES,
    ),
)
async def post_predictions(
    request: Request,
    here: Here,
    tenant: Reader,
    fit_id: str,
    body: RowsBody,
    kind: Annotated[Literal["linpred", "epred", "predict"] | None, Query(description=_AS_IN_JSON)] = None,
    group_effects: Annotated[list[str], Query(max_length=100, description=f"{_AS_IN_JSON} Repeatable.")] = [],  # noqa: B006 (FastAPI copies it)
    new_levels: Annotated[
        Literal["error", "sample", "population"] | None, Query(description=_AS_IN_JSON)
    ] = None,
    prob: Annotated[float | None, Query(gt=0, lt=1, description=_AS_IN_JSON)] = None,
    seed: Annotated[int | None, Query(ge=0, lt=1 << 63, description=_AS_IN_JSON)] = None,
    returns: Annotated[
        Literal["summary", "draws"] | None, Query(alias="return", description=_AS_IN_JSON)
    ] = None,
    layout: Annotated[Literal["columns", "records"] | None, Query(description=_AS_IN_JSON)] = None,
    missing: MissingQuery = None,
    sep: SeparatorQuery = None,
    decimal: DecimalQuery = None,
) -> Response:
    """Predict the linear predictor, the mean of the response, or new responses; the rows need no response.

    Where the body is rows alone (CSV, Arrow, Parquet), the query says what JSON would: `?kind=predict&prob=0.9`.
    """
    media_type = accepted_media_type(request, JSON, *TABLES)
    said: dict[str, Any] = {
        "kind": kind,
        "group_effects": _group_effects(group_effects),
        "new_levels": new_levels,
        "prob": prob,
        "seed": seed,
        "return": returns,
        "layout": layout,
    }
    given = {name: value for name, value in said.items() if value is not None}

    def answer(posterior: Posterior, asked: PredictionRequest, table: Table) -> Response:
        if asked.layout == "records" and (media_type != JSON or asked.returns == "draws"):
            raise Refusal("conflicting-fields", "The layout `records` is one of summaries as JSON.")
        if asked.contrasts and media_type != JSON:
            raise Refusal("conflicting-fields", "Contrasts are given as JSON, beside the rows.")
        move = in_dataset if asked.dataset is not None else None if body.media_type == JSON else in_no_json
        with moving(move):
            return _answer(posterior, table, asked, media_type)

    options = csv_options(body, missing, sep, decimal)
    posterior = await run_sync(lambda: posterior_of(here, find_ended(here, tenant, fit_id)))
    return await work_on(
        here,
        body,
        _read,
        body.media_type,
        here.settings.limits,
        posterior.chains * posterior.draws,
        replace(options, known=_kinds(posterior.encoding), kept=_kept(posterior.encoding)),
        given,
        asked={"dataset": payloads(here, tenant)},
        then=lambda read: answer(posterior, *read),
    )


def _read(
    ask: Ask,
    body: bytes,
    cells: int,
    media_type: str,
    limits: Limits,
    draws: int,
    options: CsvOptions,
    given: Mapping[str, Any],
) -> tuple[PredictionRequest, Table]:
    if media_type == JSON:
        if given:
            raise Refusal(
                "invalid-parameter", "A body of JSON says itself what the query says of other rows."
            )
        asked, table = read_prediction(body, limits, draws, opener(ask))
        return asked.model_copy(update={"data": None}), table
    asked = PredictionRequest.model_validate(given)
    table, _ = read_rows(media_type, body, limits, options)
    check_prediction_rows(asked, table, limits, draws)
    return asked, table


def _kinds(encoding: Encoding) -> dict[str, Kind]:
    """The kinds that CSV cannot show: a level of text may look like a number."""
    return {name: kind for name, kind in encoding.kinds.items() if kind in ("text", "boolean")}


def _kept(encoding: Encoding) -> dict[str, frozenset[str]]:
    """The levels that look as if a value were missing, by column: rows that have them mean these levels."""
    levels: dict[str, set[object]] = {}
    for known in encoding.variables.categoricals.values():
        levels.setdefault(known.column, set()).update(known.levels)
    for factor in encoding.factors:
        for place, name in enumerate(factor.columns):
            levels.setdefault(name, set()).update(level[place] for level in factor.levels)
    usual = MISSING_TEXTS | DOUBTFUL_TEXTS
    return {name: frozenset(usual & values) for name, values in levels.items() if usual & values}


def _group_effects(names: list[str]) -> str | list[str] | None:
    if names in (["all"], ["none"]):
        return names[0]
    return names or None


def _answer(posterior: Posterior, table: Table, asked: PredictionRequest, media_type: str) -> Response:
    options: dict[str, Any] = {
        "kind": asked.kind,
        "group_effects": asked.group_effects,
        "new_levels": asked.new_levels,
        "seed": asked.seed,
    }
    if asked.returns == "draws":
        design = encode_rows(posterior, table, kind=asked.kind, group_effects=asked.group_effects)
        made = Prediction.make(posterior, design, **options)
        warnings = [asdict(notice) for notice in made.notices(asked.row_contrasts)]
        if media_type == JSON:
            return _stream(_json_draws(made, asked.row_contrasts, warnings), JSON)
        return _stream(write_batches(_batches(made, media_type), media_type), media_type, warnings)
    predicted = predict(posterior, table, prob=asked.prob, contrasts=asked.row_contrasts, **options)
    if media_type == JSON:
        return fresh(_records(predicted) if asked.layout == "records" else predicted)
    return _stream(
        write({name: predicted[name] for name in _FIGURES}, media_type), media_type, predicted["warnings"]
    )


def _stream(
    written: Iterator[bytes], media_type: str, warnings: list[dict[str, Any]] | None = None
) -> Response:
    headers = {"Cache-Control": "no-store", "Vary": "Accept"}
    if warnings:
        # Rows have no place for them; whoever wants their words asks for JSON.
        headers["Ranef-Warnings"] = ", ".join(warning["code"] for warning in warnings)
    return StreamingResponse(written, media_type=media_type, headers=headers)


def _records(predicted: dict[str, Any]) -> dict[str, Any]:
    rows = zip(*(predicted[name].tolist() for name in _FIGURES), strict=True)
    records = [dict(zip(_FIGURES, row, strict=True)) for row in rows]
    rest = {name: value for name, value in predicted.items() if name not in _FIGURES}
    return {**rest, "records": records}


def _json_draws(
    made: Prediction, contrasts: list[RowContrast], warnings: list[dict[str, Any]]
) -> Iterator[bytes]:
    """The document of draws, some rows at a time."""
    between = ContrastDraws(contrasts, made.posterior.chains * made.posterior.draws)
    yield b'{"kind":' + to_json(made.kind) + b',"draws":['
    for start, block in made.blocks():
        between.add(start, block)
        yield (b"," if start else b"") + to_json(made.shown(start, block))[1:-1]
    yield b"]"
    if contrasts:
        named = zip(contrasts, made.shown_contrasts(between), strict=True)
        yield b',"contrasts":' + to_json([{"name": of.name, "draws": draws} for of, draws in named])
    yield b',"warnings":' + to_json(warnings) + b"}"


def _batches(made: Prediction, media_type: str) -> Iterator[pa.RecordBatch]:
    """One line for each row, chain and draw in CSV, all numbered from 0; else one list for each row."""
    chains, count = made.posterior.chains, made.posterior.draws
    for start, drawn in made.blocks():
        block = made.shown(start, drawn)
        if media_type != CSV:
            yield batch({"draws": block})
            continue
        rows = len(block)
        yield batch(
            {
                "row": np.repeat(np.arange(start, start + rows), chains * count),
                "chain": np.tile(np.repeat(np.arange(chains), count), rows),
                "draw": np.tile(np.arange(count), chains * rows),
                "value": block.ravel(),
            }
        )
