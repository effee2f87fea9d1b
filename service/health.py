"""Whether the process runs, whether it can serve, what it accepts at most, and what its problems mean."""

from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.responses import Response

from model import limits
from model.spec import MAX_CHAINS, MAX_DRAWS, MAX_TREE_DEPTH
from service.answers.health import Alive, LimitList, ProblemPage, Ready
from service.caching import fresh
from service.deps import Here
from service.documentation import answers
from service.plots import limits as plots
from service.problem_types import PROBLEM_TYPES
from service.problems import Refusal

router = APIRouter(tags=["service"])


@router.get(
    "/livez",
    operation_id="getLiveness",
    summary="Alive?",
    responses=answers((200, "It is.", Alive), keyless=True),
)
async def get_liveness() -> Response:
    """Tell that the process runs; the store is not asked."""
    return fresh({"status": "alive"})


@router.get(
    "/readyz",
    operation_id="getReadiness",
    summary="Ready?",
    responses=answers((200, "It is.", Ready), problems=("not-ready", "store-unavailable"), keyless=True),
)
def get_readiness(
    here: Here,
    workers: Annotated[Literal["0", "1"], Query(description="1: ready only once a worker is warm.")] = "0",
) -> Response:
    """Tell whether the store answers and takes changes, nothing is draining and, if asked, whether a worker is warm."""
    if here.draining:
        raise Refusal("not-ready", "The service is about to stop.", headers={"Retry-After": "5"})
    here.store.ping()
    states = here.store.workers()
    warm = sum(state.warm for state in states)
    if workers == "1" and not warm:
        detail = f"No worker is warm yet; {len(states)} alive."
        raise Refusal("not-ready", detail, headers={"Retry-After": "1"})
    return fresh({"status": "ready", "workers": {"alive": len(states), "warm": warm}})


@router.get(
    "/v1/limits",
    operation_id="getLimits",
    summary="Limits",
    responses=answers((200, "Every cap, by name.", LimitList), keyless=True),
)
async def get_limits(here: Here) -> Response:
    """State what one request may ask for at most, and what a tenant may have at once."""
    language = {
        "formula_characters": limits.FORMULA_CHARACTERS,
        "formula_nesting": limits.NESTING_DEPTH,
        "formula_terms": limits.TERMS,
        "formula_bars": limits.BARS,
        "group_columns": limits.GROUP_COLUMNS,
        "factor_coefficients": limits.FACTOR_COEFFICIENTS,
        "design_columns": limits.COLUMNS,
        "design_cells": limits.DESIGN_CELLS,
        "design_work": limits.DESIGN_WORK,
    }
    sampler = {"chains": MAX_CHAINS, "chain_draws": MAX_DRAWS, "tree_depth": MAX_TREE_DEPTH}
    requests = {
        "address_bytes": here.settings.address_bytes,
        "header_bytes": here.settings.header_bytes,
        "requests": here.settings.rate_quota,
        "requests_seconds": here.settings.rate_window,
    }
    budgets = {
        "active_fits": here.budgets.max_active,
        "tenant_active_fits": here.budgets.tenant_active,
        "tenant_links": here.budgets.tenant_links,
        "open_callbacks": here.budgets.open_callbacks,
        "tenant_bytes": here.budgets.tenant_bytes,
        "tenant_dataset_bytes": here.budgets.dataset_bytes,
        "tenant_batch_bytes": here.budgets.batch_bytes,
    }
    pictures = {
        "plot_width": plots.WIDTH,
        "plot_height": plots.HEIGHT,
        "plot_scale": plots.SCALE,
        "plot_dots": plots.DOTS,
        "plot_intervals": plots.INTERVALS,
        "plot_panels": plots.PANELS,
        "plot_levels": plots.LEVELS,
        "plot_lines": plots.LINES,
        "plot_side_by_side": plots.SIDE_BY_SIDE,
    }
    every = here.settings.limits.model_dump() | language | sampler | requests | budgets | pictures
    return fresh({"limits": every})


@router.get(
    "/problems/{code}",
    operation_id="getProblemType",
    summary="What a problem means",
    responses=answers((200, "The meaning.", ProblemPage), problems=("not-found",), keyless=True),
)
async def get_problem_type(code: str) -> Response:
    """Explain a type of problem: this is where the `type` of a problem document leads."""
    kind = PROBLEM_TYPES.get(code)
    if kind is None:
        raise Refusal("not-found")
    return fresh(
        {
            "code": code,
            "title": kind.title,
            "status": kind.status,
            "meaning": kind.meaning,
            "advice": kind.advice,
        }
    )
