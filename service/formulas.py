"""The dry run: what a request for a fit would come to, with nothing queued and nothing kept."""

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from model.equations.notations import equations
from model.language.outline import outline
from model.spec import ASSUMED_COMPILATION, FitPlan
from service.answers.formulas import FormulaCheck
from service.apart import Ask
from service.bodies import JsonBody, work_on
from service.caching import to_json
from service.datasets import opener, payloads, reading_of
from service.deps import Here, Reader
from service.documentation import answers, json_request
from service.media_types import JSON
from service.models import described
from service.reading import read_check
from service.requests.fits import ModelRequest
from service.settings import Limits
from service.sizes import result_bytes
from store.base import Store, StoreUnavailable

router = APIRouter(prefix="/v1/formulas", tags=["formulas"])


@router.post(
    "/check",
    operation_id="checkFormula",
    summary="Check a model",
    openapi_extra=json_request(ModelRequest),
    responses=answers((200, "What the fit would be.", FormulaCheck), body=True),
)
async def check_formula(here: Here, tenant: Reader, body: JsonBody) -> Response:
    """Check a model as a fit would be checked; without data only the formula is read."""
    asked: dict[str, Ask] = {
        "dataset": payloads(here, tenant),
        "reading": lambda dataset_id: reading_of(here, tenant, dataset_id),
        "compilation": lambda method: _measured(here.store, method),
    }
    return await work_on(here, body, _checked, here.settings.limits, asked=asked, then=_answer)


def _checked(ask: Ask, body: bytes, cells: int, limits: Limits) -> bytes:
    request, plan = read_check(body, limits, opener(ask), cells)
    outlined = outline(request.formula)
    if plan is None:
        return to_json(outlined)
    estimate = _estimate(plan, ask("compilation", plan.method))
    reading = None if request.dataset is None else ask("reading", request.dataset)
    return to_json({**outlined, **_describe(plan), "estimate": estimate, "reading": reading})


def _answer(written: bytes) -> Response:
    return Response(written, media_type=JSON, headers={"Cache-Control": "no-store"})


def _measured(store: Store, method: str) -> list[float]:
    """How long the workers that are alive have compiled for a method."""
    try:
        return [state.compile_seconds[method] for state in store.workers() if method in state.compile_seconds]
    except StoreUnavailable:
        return []


def _estimate(plan: FitPlan, measured: Sequence[float]) -> dict[str, Any]:
    """What the fit would cost: its compilation as the workers that are alive have measured it."""
    compilation = max(measured, default=ASSUMED_COMPILATION[plan.method])
    return {
        "seconds": compilation + plan.cost,
        "sampling_seconds": plan.cost,
        "compilation_seconds": compilation,
        "compilation": "measured" if measured else "assumed",
        "bytes": result_bytes(plan),
    }


def _describe(plan: FitPlan) -> dict[str, Any]:
    return {
        "formula": plan.formula,
        "response": plan.encoding.response,
        "response_levels": plan.encoding.outcomes,
        "response_event": plan.encoding.event,
        "rows": plan.rows,
        "dropped_rows": plan.dropped_rows,
        "population": plan.encoding.coefficients,
        "meanings": dict(zip(plan.encoding.coefficients, plan.encoding.meanings, strict=True)),
        "groups": [
            {
                "factor": factor.name,
                "levels": len(factor.levels),
                "coefficients": factor.coefficients,
                "correlated": any(len(block) > 1 for block in factor.blocks),
            }
            for factor in plan.encoding.factors
        ],
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
        "parameters": plan.parameters,
        "method": plan.method,
        "method_reason": plan.method_reason,
        "equations": described(equations(plan)),
        "warnings": plan.warnings,
    }
