"""From the bytes of a body to checked values: JSON, its shape, the data, the model, all problems at once.

A part that is wrong is left out and the rest checked all the same, unless its faults would only follow.
"""

from collections.abc import Callable
from typing import TypeVar

import jiter
from pydantic import BaseModel, ValidationError

from model.errors import InvalidModel, Issue
from model.frame.table import Table, escape_pointer
from model.language.formula import parse
from model.limits import DESIGN_CELLS
from model.predictions.row_contrasts import contrast_issues
from model.priors import PriorStatement
from model.spec import FitPlan, FitSpec, SamplerSettings, prepare
from service.budgets import refuse_dense, refuse_many_columns, refuse_many_names, refuse_unbounded
from service.caps import too_many
from service.places import Move, in_dataset, in_whole_body, moving
from service.problems import LISTED_ERRORS
from service.requests.common import Data
from service.requests.comparisons import ComparisonRequest
from service.requests.fits import FitRequest, ModelRequest, Sampler
from service.requests.predictions import PredictionRequest
from service.settings import Limits
from service.sizes import result_bytes

Request = TypeVar("Request", bound=BaseModel)
Value = TypeVar("Value")
OpenDataset = Callable[[str], Table]
"""Give a data set by its id; raises InvalidModel if there is none."""
CheckCallback = Callable[[str], list[Issue]]
"""Say what is wrong with the address of a callback, as the field `callback` of a request."""

_CODES = {"missing": "missing-field", "extra_forbidden": "unknown-field"}
_SHAPES_THE_MODEL = frozenset(
    {"formula", "family", "link", "data", "dataset", "missing", "aliased", "levels", "center"}
)
"""Fields without which a complaint about the model could be a consequence of their own fault."""


def read_fit(
    body: bytes,
    limits: Limits,
    open_dataset: OpenDataset,
    check_callback: CheckCallback,
    cells: int = DESIGN_CELLS,
) -> tuple[FitRequest, FitPlan]:
    """Read the request for a fit and do every check that needs no sampling.

    Raises InvalidModel, and Costly if the design would have more than so many `cells`.
    """
    return check_fit(read_json(body, limits), limits, open_dataset, check_callback, cells)


def check_fit(
    document: object,
    limits: Limits,
    open_dataset: OpenDataset,
    check_callback: CheckCallback,
    cells: int = DESIGN_CELLS,
) -> tuple[FitRequest, FitPlan]:
    """Check a request for a fit that was read from JSON; raises InvalidModel and Costly."""
    request, plan, issues = _check_model(document, FitRequest, limits, open_dataset, cells)
    if isinstance(request, FitRequest):
        issues += _metadata_issues(request.metadata, limits)
        issues += check_callback(request.callback.url) if request.callback is not None else []
    if issues or plan is None or not isinstance(request, FitRequest):
        raise InvalidModel(issues)
    return request, plan


def read_shape(schema: type[Request], document: object, limits: Limits) -> Request:
    """Validate a document alone, without what its parts mean; raises InvalidModel."""
    request, _, issues = _validate(schema, document, limits)
    if issues or request is None:
        raise InvalidModel(issues)
    return request


def read_template(
    document: object,
    limits: Limits,
    open_dataset: OpenDataset,
    check_callback: CheckCallback,
    cells: int = DESIGN_CELLS,
) -> tuple[FitRequest, Table]:
    """Check all of a request for a fit that does not depend on which of its rows are used.

    Raises InvalidModel and Costly.
    """
    request, wrong, issues = _validate(FitRequest, document, limits)
    table = None
    if request is not None:
        asked = request
        issues += [*_source_issues(asked, wrong), *_metadata_issues(asked.metadata, limits)]
        issues += check_callback(asked.callback.url) if asked.callback is not None else []
        table = _try(issues, lambda: _rows_of(asked, limits, open_dataset))
        rest = wrong | {"data", "dataset", "metadata", "cache", "callback"}
        _, _, others = _check_model(
            {"formula": "", **_without(document, rest)}, ModelRequest, limits, open_dataset, cells
        )
        issues += others if "formula" not in wrong else []
    if issues or request is None or table is None:
        raise InvalidModel(issues)
    return request, table


def plan_of(request: FitRequest, table: Table, limits: Limits, cells: int = DESIGN_CELLS) -> FitPlan:
    """Plan the fit of some rows by a request that is sound otherwise; raises InvalidModel and Costly."""
    plan = prepare(_spec(request, table), cells=cells)
    if issues := _size_issues(plan, limits):
        raise InvalidModel(issues)
    return plan


def read_check(
    body: bytes, limits: Limits, open_dataset: OpenDataset, cells: int = DESIGN_CELLS
) -> tuple[ModelRequest, FitPlan | None]:
    """Read the request for a dry run; there is a plan if there are data. Raises InvalidModel and Costly."""
    request, plan, issues = _check_model(read_json(body, limits), ModelRequest, limits, open_dataset, cells)
    if issues or request is None:
        raise InvalidModel(issues)
    return request, plan


def read_data(body: bytes, limits: Limits) -> Table:
    """Read data that are a whole body of JSON, columns or records; raises InvalidModel."""
    data, _, issues = _validate(Data, read_json(body, limits), limits)
    if issues or data is None:
        raise InvalidModel(issues)
    with moving(in_whole_body):
        return _read_table(data, limits)


def read_comparison(body: bytes, limits: Limits) -> tuple[list[str], list[Issue]]:
    """Give the ids of the fits to be compared, and what is wrong with the request; there are none without a list."""
    request, _, issues = _validate(ComparisonRequest, read_json(body, limits), limits)
    return ([] if request is None else request.fits), issues


def read_prediction(
    body: bytes, limits: Limits, draws: int, open_dataset: OpenDataset
) -> tuple[PredictionRequest, Table]:
    """Read the request for predictions by a posterior of so many draws; raises InvalidModel."""
    request, wrong, issues = _validate(PredictionRequest, read_json(body, limits), limits)
    table = None
    if request is not None:
        issues += _source_issues(request, wrong)
        table = _try(issues, lambda: _rows_of(request, limits, open_dataset))
    if request is not None and table is not None:
        asked, rows = request, table
        _try(issues, lambda: check_prediction_rows(asked, rows, limits, draws))
    if issues or request is None or table is None:
        raise InvalidModel(issues)
    return request, table


def check_prediction_rows(request: PredictionRequest, table: Table, limits: Limits, draws: int) -> None:
    """Raise InvalidModel if there are more rows or contrasts than are predicted at once by so many draws."""
    cap, most_contrasts = limits.prediction_rows, limits.prediction_draws // draws
    if request.returns == "draws":
        cap = min(cap, most_contrasts)
    issues = contrast_issues(request.row_contrasts, table.rows)
    if table.rows > cap:
        pointer = "/data" if request.dataset is None else "/dataset"
        issues.append(too_many("rows to be predicted at once", table.rows, cap, pointer))
    if len(request.contrasts) > most_contrasts:
        issues.append(too_many("contrasts", len(request.contrasts), most_contrasts, "/contrasts"))
    if issues:
        raise InvalidModel(issues)


def _check_model(
    document: object, schema: type[ModelRequest], limits: Limits, open_dataset: OpenDataset, cells: int
) -> tuple[ModelRequest | None, FitPlan | None, list[Issue]]:
    request, wrong, issues = _validate(schema, document, limits)
    if request is None:
        # Without a required field the others can still be judged.
        request, _, _ = _validate(
            ModelRequest,
            {"formula": "", **_without(document, wrong | {"metadata", "cache", "callback"})},
            limits,
        )
    if request is None:
        return None, None, issues
    if request.link is not None and request.family.link is not None:
        message = "The link is given twice, as `link` and in `family`."
        issues.append(Issue("conflicting-fields", message, "/link"))
        wrong = wrong | {"link"}
    asked = request.sampler.chains * request.sampler.draws
    if asked > limits.draws:
        issues.append(too_many("draws in all chains", asked, limits.draws, "/sampler/draws"))
        request = request.model_copy(update={"sampler": Sampler()})
    if schema is FitRequest or request.data is not None:
        issues += _source_issues(request, wrong)
    plan = None
    if len(issues) >= LISTED_ERRORS:
        # No more are listed, so that no more are looked for.
        return request, plan, issues
    table = _try(issues, lambda: _rows_of(request, limits, open_dataset))
    if table is not None and wrong.isdisjoint(_SHAPES_THE_MODEL):
        spec = _spec(request, table)
        plan = _try(issues, lambda: _prepare(spec, None if request.dataset is None else in_dataset, cells))
        issues += _size_issues(plan, limits) if plan is not None else []
    elif "formula" not in wrong:
        _try(issues, lambda: parse(request.formula))
    return request, plan, issues


def read_json(body: bytes, limits: Limits) -> object:
    """Read JSON; raises InvalidModel."""
    refuse_dense(body, limits)
    try:
        return jiter.from_json(body, allow_inf_nan=False, catch_duplicate_keys=True)
    except ValueError as error:
        raise InvalidModel(Issue("invalid-json", f"Not JSON: {error}.")) from None


def _validate(
    schema: type[Request], document: object, limits: Limits
) -> tuple[Request | None, frozenset[str], list[Issue]]:
    """Give the request as far as it is sound, the names of the fields that are not, and what is wrong.

    Raises InvalidModel if there is so much in it that not even everything that is wrong can be said.
    """
    refuse_unbounded(schema, document, limits)
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


def _source_issues(request: ModelRequest | PredictionRequest, wrong: frozenset[str]) -> list[Issue]:
    """What is wrong with a request that must have its rows in one of two places."""
    if request.data is not None and request.dataset is not None:
        return [Issue("conflicting-fields", "There are both `data` and `dataset`.", "/dataset")]
    if request.data is None and request.dataset is None and wrong.isdisjoint({"data", "dataset"}):
        message = "There are neither `data` nor a `dataset` that was uploaded before."
        return [Issue("missing-field", message, "/data")]
    return []


def _rows_of(
    request: ModelRequest | PredictionRequest, limits: Limits, open_dataset: OpenDataset
) -> Table | None:
    if request.data is not None:
        return _read_table(request.data, limits)
    return None if request.dataset is None else open_dataset(request.dataset)


def _read_table(data: Data, limits: Limits) -> Table:
    if data.columns is not None:
        refuse_many_columns(data.columns, limits, "/data")
        return Table.from_columns(data.columns)
    records = data.records or []
    refuse_many_names(records, limits, "/data")
    return Table.from_records(records)


def _prepare(spec: FitSpec, move: Move | None, cells: int) -> FitPlan:
    with moving(move):
        return prepare(spec, cells=cells)


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
        return [too_many("parameters", plan.parameters, limits.parameters, "/formula")]
    size = result_bytes(plan)
    if size > limits.result_bytes:
        return [too_many("bytes of draws", size, limits.result_bytes, "/sampler/draws")]
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
        issues.append(too_many("entries", len(metadata), limits.metadata_entries, "/metadata"))
    return issues
