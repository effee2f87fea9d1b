"""Checks of a finished fit: leave-one-out cross-validation with its influential levels, and posterior predictive
checks.
"""

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from model.criticism.predictive import predictive_check
from model.frame.design import Design
from model.results.posterior import Posterior
from service.answers.checks import Checks
from service.caching import lasting, to_json
from service.caps import too_many
from service.check_views import loo_view, predictive_view
from service.deps import Here, Services, Tenant
from service.documentation import answers, header_parameters
from service.lookup import find_ended, plan_of, posterior_of
from service.problems import Refusal

router = APIRouter(prefix="/v1/fits/{fit_id}", tags=["results"])

_USUAL_LEVELS = 10
_USUAL_REPLICATIONS = 1000
_USUAL_PROB = 0.95


@router.get(
    "/checks",
    operation_id="getChecks",
    summary="Check a fit",
    openapi_extra=header_parameters("If-None-Match"),
    responses=answers(
        (200, "The checks.", Checks),
        problems=(
            "fit-not-found",
            "fit-gone",
            "fit-not-finished",
            "fit-failed",
            "fit-cancelled",
            "limit-exceeded",
            "store-unavailable",
        ),
        headers=("ETag",),
        conditional=True,
    ),
)
async def get_checks(
    request: Request,
    here: Here,
    tenant: Tenant,
    fit_id: str,
    include: Annotated[
        list[Literal["loo", "predictive"]], Query(description="What to check; repeatable; both if left out.")
    ] = [],  # noqa: B006 (FastAPI copies it)
    pointwise: Annotated[
        bool | None, Query(description="loo: whether each row's estimates are given; true if left out.")
    ] = None,
    levels: Annotated[
        int | None,
        Query(ge=0, le=1000, description="loo: influential levels of each factor; 10 if left out."),
    ] = None,
    replications: Annotated[
        int | None,
        Query(
            ge=1,
            description="predictive: replicated data sets, each from one draw; left out, 1000 or as many as there are "
            "draws and the limit `prediction_draws` allows.",
        ),
    ] = None,
    seed: Annotated[
        int | None, Query(ge=0, lt=1 << 63, description="predictive: of the replications.")
    ] = None,
    prob: Annotated[
        float | None, Query(gt=0, lt=1, description="predictive: probability of intervals; 0.95 if left out.")
    ] = None,
) -> Response:
    """Give PSIS-LOO with k-hat of each row and the influential levels, and the responses beside replicated ones."""
    parts = frozenset(include or ("loo", "predictive"))
    _refuse_unused(parts, loo={"pointwise": pointwise, "levels": levels})
    _refuse_unused(parts, predictive={"replications": replications, "seed": seed, "prob": prob})

    def answer() -> Response:
        record = find_ended(here, tenant, fit_id)

        def written() -> bytes:
            posterior, plan = posterior_of(here, record), plan_of(here, record)
            design = plan.design()
            document: dict[str, Any] = {"fit_id": fit_id, "loo": None, "predictive": None, "warnings": []}
            if "loo" in parts:
                found = here.loos.get(record, lambda: (posterior, design))
                most = _USUAL_LEVELS if levels is None else levels
                document["loo"] = loo_view(found, plan.encoding, design, most, pointwise is not False)
                document["warnings"] = [asdict(notice) for notice in found.notices]
            if "predictive" in parts:
                count = _replications(here, posterior, design, replications)
                check = predictive_check(
                    posterior, design, replications=count, prob=prob or _USUAL_PROB, seed=seed
                )
                document["predictive"] = predictive_view(check, plan.encoding.response)
            return to_json(document)

        return lasting(request, record, here.settings.cache_max_age, written)

    return await run_sync(answer, limiter=here.judging)


def _refuse_unused(parts: frozenset[str], **given: Mapping[str, Any]) -> None:
    for part, parameters in given.items():
        names = [name for name, value in parameters.items() if value is not None]
        if names and part not in parts:
            raise Refusal("invalid-parameter", f"{', '.join(names)}: nothing to do without include={part}.")


def usual_replications(here: Services, posterior: Posterior, rows: int) -> int:
    """Say how many data sets are replicated where nobody says it: as many as the limits allow, at most 1,000."""
    cap, draws = here.settings.limits.prediction_draws, posterior.chains * posterior.draws
    return max(1, min(_USUAL_REPLICATIONS, draws, cap // rows))


def _replications(here: Services, posterior: Posterior, design: Design, asked: int | None) -> int:
    if asked is None:
        return usual_replications(here, posterior, design.rows)
    cap, draws = here.settings.limits.prediction_draws, posterior.chains * posterior.draws
    if asked > draws:
        raise Refusal(
            "invalid-parameter", f"The fit has {draws:,} draws, and each gives one replicated data set."
        )
    if asked * design.rows > cap:
        raise Refusal("limit-exceeded", too_many("replicated responses", asked * design.rows, cap).message)
    return asked
