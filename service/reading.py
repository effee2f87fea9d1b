"""From the bytes of a body to checked values: JSON, its shape, the data, the model, all problems at once.

A part that is wrong is left out and the rest checked all the same, unless its faults would only follow.
"""

from collections.abc import Callable
from typing import TypeVar

import jiter
from pydantic import BaseModel, ValidationError

from model.errors import InvalidModel, Issue
from model.formula import parse
from model.priors import PriorStatement
from model.spec import FitPlan, FitSpec, SamplerSettings, prepare
from model.table import Table, escape_pointer
from service.schemas import Data, FitRequest, ModelRequest, PredictionRequest, Sampler
from service.settings import Limits
from service.sizes import result_bytes

Request = TypeVar("Request", bound=BaseModel)
Value = TypeVar("Value")

_CODES = {"missing": "missing-field", "extra_forbidden": "unknown-field"}
_SHAPES_THE_MODEL = frozenset({"formula", "family", "link", "data", "missing", "aliased", "levels", "center"})
"""Fields without which a complaint about the model could be a consequence of their own fault."""


def read_fit(body: bytes, limits: Limits) -> tuple[FitRequest, FitPlan]:
    """Read the request for a fit and do every check that needs no sampling; raises InvalidModel."""
    request, plan, issues = _read_model(body, FitRequest, limits)
    if isinstance(request, FitRequest):
        issues += _metadata_issues(request.metadata, limits)
    if issues or plan is None or not isinstance(request, FitRequest):
        raise InvalidModel(issues)
    return request, plan


def read_check(body: bytes, limits: Limits) -> tuple[ModelRequest, FitPlan | None]:
    """Read the request for a dry run; there is a plan if there are data. Raises InvalidModel."""
    request, plan, issues = _read_model(body, ModelRequest, limits)
    if issues or request is None:
        raise InvalidModel(issues)
    return request, plan


def read_prediction(body: bytes, limits: Limits, draws: int) -> tuple[PredictionRequest, Table]:
    """Read the request for predictions by a posterior of so many draws; raises InvalidModel."""
    request, _, issues = _validate(PredictionRequest, _read_json(body))
    table = None
    if request is not None:
        table = _try(issues, lambda: _read_table(request.data, limits))
    if request is not None and table is not None:
        cap = limits.prediction_rows
        if request.returns == "draws":
            cap = min(cap, limits.prediction_draws // draws)
        if table.rows > cap:
            issues.append(_too_many("rows to be predicted at once", table.rows, cap, "/data"))
    if issues or request is None or table is None:
        raise InvalidModel(issues)
    return request, table


def _read_model(
    body: bytes, schema: type[ModelRequest], limits: Limits
) -> tuple[ModelRequest | None, FitPlan | None, list[Issue]]:
    document = _read_json(body)
    request, wrong, issues = _validate(schema, document)
    if request is None:
        # Without a required field the others can still be judged.
        request, _, _ = _validate(
            ModelRequest, {"formula": "", **_without(document, wrong | {"metadata", "cache"})}
        )
    if request is None:
        return None, None, issues
    if request.link is not None and request.family.link is not None:
        message = "The link is given twice, as `link` and in `family`."
        issues.append(Issue("conflicting-fields", message, "/link"))
        wrong = wrong | {"link"}
    asked = request.sampler.chains * request.sampler.draws
    if asked > limits.draws:
        issues.append(_too_many("draws in all chains", asked, limits.draws, "/sampler/draws"))
        request = request.model_copy(update={"sampler": Sampler()})
    data, table, plan = request.data, None, None
    if data is not None:
        table = _try(issues, lambda: _read_table(data, limits))
    if table is not None and wrong.isdisjoint(_SHAPES_THE_MODEL):
        spec = _spec(request, table)
        plan = _try(issues, lambda: prepare(spec))
        issues += _size_issues(plan, limits) if plan is not None else []
    elif "formula" not in wrong:
        _try(issues, lambda: parse(request.formula))
    return request, plan, issues


def _read_json(body: bytes) -> object:
    try:
        return jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise InvalidModel(Issue("invalid-json", f"Not JSON: {error}.")) from None


def _validate(schema: type[Request], document: object) -> tuple[Request | None, frozenset[str], list[Issue]]:
    """Give the request as far as it is sound, the names of the fields that are not, and what is wrong."""
    try:
        return schema.model_validate(document), frozenset(), []
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
        issues = [
            Issue(_CODES.get(item["type"], "invalid-value"), f"{item['msg']}.", _pointer(item["loc"]))
            for item in found
        ]
        wrong = frozenset(str(item["loc"][0]) for item in found if item["loc"])
    try:
        return schema.model_validate(_without(document, wrong)), wrong, issues
    except ValidationError:
        return None, wrong, issues


def _without(document: object, names: frozenset[str]) -> dict[str, object]:
    return (
        {key: value for key, value in document.items() if key not in names}
        if isinstance(document, dict)
        else {}
    )


def _pointer(path: tuple[int | str, ...]) -> str:
    return "".join(f"/{escape_pointer(str(part))}" for part in path)


def _try(issues: list[Issue], step: Callable[[], Value]) -> Value | None:
    try:
        return step()
    except InvalidModel as error:
        issues.extend(error.issues)
        return None


def _read_table(data: Data, limits: Limits) -> Table:
    if data.columns is not None:
        columns, rows = len(data.columns), max(map(len, data.columns.values()), default=0)
    else:
        records = data.records or []
        columns, rows = max(map(len, records), default=0), len(records)
    issues = [
        _too_many(what, count, cap, "/data")
        for what, count, cap in (
            ("columns", columns, limits.columns),
            ("rows", rows, limits.rows),
            ("cells", columns * rows, limits.cells),
        )
        if count > cap
    ]
    if issues:
        raise InvalidModel(issues)
    return (
        Table.from_columns(data.columns)
        if data.columns is not None
        else Table.from_records(data.records or [])
    )


def _spec(request: ModelRequest, table: Table) -> FitSpec:
    return FitSpec(
        formula=request.formula,
        table=table,
        family=request.family.name,
        link=request.family.link or request.link,
        priors=tuple(
            PriorStatement(prior=row.prior, class_=row.class_, coef=row.coef, group=row.group)
            for row in request.priors
        ),
        center=request.center,
        missing=request.missing,
        aliased=request.aliased,
        levels={name: tuple(values) for name, values in request.levels.items()},
        sampler=SamplerSettings(**request.sampler.model_dump()),
    )


def _size_issues(plan: FitPlan, limits: Limits) -> list[Issue]:
    if plan.parameters > limits.parameters:
        return [_too_many("parameters", plan.parameters, limits.parameters, "/formula")]
    size = result_bytes(plan)
    if size > limits.result_bytes:
        return [_too_many("bytes of draws", size, limits.result_bytes, "/sampler/draws")]
    return []


def _metadata_issues(metadata: dict[str, str], limits: Limits) -> list[Issue]:
    cap = limits.metadata_characters
    issues = [
        Issue(
            "limit-exceeded",
            f"A key or value has more than {cap} characters.",
            f"/metadata/{escape_pointer(key)}",
        )
        for key, value in metadata.items()
        if max(len(key), len(value)) > cap
    ]
    if len(metadata) > limits.metadata_entries:
        issues.append(_too_many("entries", len(metadata), limits.metadata_entries, "/metadata"))
    return issues


def _too_many(what: str, count: int, cap: int, pointer: str) -> Issue:
    return Issue("limit-exceeded", f"{count:,} {what}, where at most {cap:,} are allowed.", pointer)
