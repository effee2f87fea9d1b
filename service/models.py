"""What a fit is a fit of: its resolved model and priors, and the columns that a prediction needs."""

from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from model.equations.notations import Equations, equations
from model.spec import FitPlan
from service.answers.models import Model, PredictionSchema
from service.caching import lasting, to_json
from service.deps import Here, Tenant
from service.documentation import answers, header_parameters
from service.lookup import find, plan_of

router = APIRouter(prefix="/v1/fits/{fit_id}", tags=["results"])
_PROBLEMS = ("fit-not-found", "fit-gone", "fit-failed", "fit-cancelled", "store-unavailable")


@router.get(
    "/model",
    operation_id="getModel",
    summary="Get the model",
    openapi_extra=header_parameters("If-None-Match"),
    responses=answers((200, "The model.", Model), problems=_PROBLEMS, headers=("ETag",), conditional=True),
)
def get_model(request: Request, here: Here, tenant: Tenant, fit_id: str) -> Response:
    """Give the canonical formula, what it came to with these data, every prior with who said so, and the equations.

    It is known from the moment the fit is accepted.
    """
    record = find(here, tenant, fit_id)
    return lasting(
        request, record, here.settings.cache_max_age, lambda: to_json(_model(fit_id, plan_of(here, record)))
    )


@router.get(
    "/schema",
    operation_id="getSchema",
    summary="Get the schema of new rows",
    openapi_extra=header_parameters("If-None-Match"),
    responses=answers(
        (200, "The columns.", PredictionSchema), problems=_PROBLEMS, headers=("ETag",), conditional=True
    ),
)
def get_schema(request: Request, here: Here, tenant: Tenant, fit_id: str) -> Response:
    """Give the columns that rows to be predicted must have, with their types and known levels."""
    record = find(here, tenant, fit_id)
    return lasting(
        request, record, here.settings.cache_max_age, lambda: to_json(_schema(fit_id, plan_of(here, record)))
    )


def _model(fit_id: str, plan: FitPlan) -> dict[str, Any]:
    encoding = plan.encoding
    return {
        "fit_id": fit_id,
        "formula": plan.formula,
        "family": {"name": plan.family.name, "link": plan.family.link},
        "response": encoding.response,
        "response_levels": encoding.outcomes,
        "response_event": encoding.event,
        "rows": plan.rows,
        "population": [
            {"name": name, "meaning": meaning}
            for name, meaning in zip(encoding.coefficients, encoding.meanings, strict=True)
        ],
        "aliased": list(encoding.aliased),
        "offsets": [str(offset) for offset in encoding.structure.offsets],
        "groups": [
            {
                "factor": factor.name,
                "columns": list(factor.columns),
                "levels": len(factor.levels),
                "coefficients": list(factor.coefficients),
                "blocks": [[factor.coefficients[place] for place in block] for block in factor.blocks],
            }
            for factor in encoding.factors
        ],
        "family_parameters": list(plan.family.parameters),
        "priors": [
            {
                "class": row.class_,
                "coef": row.coef,
                "group": row.group,
                "prior": str(row.prior),
                "source": row.source,
            }
            for row in plan.priors
        ],
        "center": plan.center,
        "method": plan.method,
        "method_reason": plan.method_reason,
        # JavaScript would round it.
        "seed": str(plan.seed),
        "equations": described(equations(plan)),
    }


def described(of: Equations) -> dict[str, Any]:
    """The equations of a model in the words of the contract."""
    return {
        "hierarchical": of.hierarchical,
        "expanded": of.expanded,
        "symbols": [
            {
                "symbol": row.symbol,
                "latex": row.latex,
                "class": row.class_,
                "coef": row.coef,
                "group": row.group,
            }
            for row in of.symbols
        ],
    }


def _schema(fit_id: str, plan: FitPlan) -> dict[str, Any]:
    encoding = plan.encoding
    grouping = encoding.structure.group_names
    population = encoding.structure.only(()).predictor_names
    categorical = {known.column for known in encoding.variables.categoricals.values()}
    columns = [
        {
            "name": column.name,
            "type": column.kind,
            "levels": None if column.levels is None else list(column.levels),
            # A grouping column may hold new levels, if the request says what to do with them.
            "new_levels": column.name in grouping and column.name not in categorical,
            "required": True,
            "population": column.name in population,
        }
        for column in encoding.columns
    ]
    known = {column["name"] for column in columns}
    columns += [
        {
            "name": name,
            "type": encoding.kinds[name],
            "levels": None,
            "new_levels": False,
            "required": False,
            "population": False,
        }
        for name in sorted((encoding.trial_names | encoding.error_names) - known)
    ]
    return {"fit_id": fit_id, "columns": columns}
