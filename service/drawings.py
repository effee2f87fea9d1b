"""Pictures of a fit that has ended: one operation for each kind, so that each says what can be asked of it.

What is drawn comes from the same numbers as the answers in JSON.
"""

from collections.abc import Callable
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.answers.plots import Plots
from service.caching import lasting, to_json
from service.deps import Here, Tenant
from service.documentation import answers, header_parameters
from service.estimates import USUAL_PROB, Prob
from service.grids import At, By, Level
from service.lookup import find_ended, posterior_of
from service.media_types import JSON, PNG, SVG
from service.negotiation import accepted_media_type
from service.pictures import FrameOf, answer_picture
from service.plots import limits
from service.plots.catalog import KINDS, choices, kinds_of
from service.problems import Refusal

router = APIRouter(prefix="/v1/fits/{fit_id}/plots", tags=["plots"])

_UNFINISHED = (
    "fit-not-found",
    "fit-gone",
    "fit-not-finished",
    "fit-failed",
    "fit-cancelled",
    "store-unavailable",
)
Route = TypeVar("Route", bound=Callable[..., Any])
Parameters = Annotated[
    list[str],
    Query(
        description="A name, or what several begin with: `b`, `b[x]`, `sd[g]`, `sigma`; repeatable.",
        max_length=100,
    ),
]
FactorName = Annotated[
    str | None, Query(max_length=4000, description="A grouping factor; the first if left out.")
]
Variable = Annotated[
    str | None, Query(max_length=4000, description="A predictor; the first number if left out.")
]
Limit = Annotated[int, Query(ge=2, le=limits.LEVELS, description="How many levels at most.")]


def _plot(name: str, operation_id: str, summary: str, *problems: str) -> Callable[[Route], Route]:
    """The route of one kind of plot, with all that is the same of each."""
    return router.get(
        f"/{name}.{{extension}}",
        operation_id=operation_id,
        summary=summary,
        response_class=Response,
        openapi_extra=header_parameters("If-None-Match"),
        responses=answers(
            (200, "The plot.", None),
            problems=(*_UNFINISHED, "plot-not-found", *problems),
            headers=("ETag",),
            conditional=True,
            others=(SVG, PNG),
        ),
    )


@router.get(
    "",
    operation_id="listPlots",
    summary="List plots",
    openapi_extra=header_parameters("If-None-Match"),
    responses=answers((200, "The plots.", Plots), problems=_UNFINISHED, headers=("ETag",), conditional=True),
)
def list_plots(request: Request, here: Here, tenant: Tenant, fit_id: str) -> Response:
    """Give the plots that this fit has, with what can be chosen for each."""
    accepted_media_type(request, JSON)
    record = find_ended(here, tenant, fit_id)

    def written() -> bytes:
        encoding = posterior_of(here, record).encoding
        address = f"{here.settings.root_path}/v1/fits/{fit_id}/plots"
        items = [
            {
                "name": kind.name,
                "title": kind.title,
                "choices": choices(kind, encoding),
                "links": {end: f"{address}/{kind.name}.{end}" for end in ("svg", "png")},
            }
            for kind in kinds_of(encoding, record)
        ]
        return to_json({"fit_id": fit_id, "items": items})

    return lasting(request, record, here.settings.cache_max_age, written)


@_plot("intervals", "plotIntervals", "Plot estimates", "unknown-parameter", "limit-exceeded")
async def plot_intervals(asked: FrameOf, parameters: Parameters = [], prob: Prob = USUAL_PROB) -> Response:  # noqa: B006
    """Draw mean, narrow and wide interval of each parameter, each kind of parameter on its own scale."""
    return await answer_picture(asked, "intervals", parameters=parameters, prob=prob)


@_plot("caterpillar", "plotCaterpillar", "Plot the levels of a factor")
async def plot_caterpillar(
    asked: FrameOf,
    factor: FactorName = None,
    coefficient: Annotated[str | None, Query(max_length=4000, description="Only this coefficient.")] = None,
    prob: Prob = USUAL_PROB,
    limit: Limit = 60,
) -> Response:
    """Draw the deviations of a factor's levels in their order; of many levels those at both ends."""
    return await answer_picture(
        asked, "caterpillar", factor=factor, coefficient=coefficient, prob=prob, limit=limit
    )


@_plot("group-lines", "plotGroupLines", "Plot a line for each level over the data", "limit-exceeded")
async def plot_group_lines(
    asked: FrameOf,
    variable: Variable = None,
    factor: FactorName = None,
    prob: Prob = USUAL_PROB,
    limit: Limit = 60,
) -> Response:
    """Draw what is expected along a predictor in each level, the population's line and the rows of the data."""
    return await answer_picture(
        asked, "group-lines", variable=variable, factor=factor, prob=prob, limit=limit
    )


@_plot(
    "conditional-effect",
    "plotConditionalEffect",
    "Plot a conditional effect",
    "invalid-request",
    "limit-exceeded",
)
async def plot_conditional_effect(
    asked: FrameOf,
    variable: Variable = None,
    by: By = None,
    at: At = [],  # noqa: B006
    level: Level = [],  # noqa: B006
    prob: Prob = USUAL_PROB,
) -> Response:
    """Draw what is expected along a predictor, with its interval, everything else at the reference grid's values."""
    return await answer_picture(
        asked, "conditional-effect", variable=variable, by=by, at=at, level=level, prob=prob
    )


@_plot(
    "prior-posterior",
    "plotPriorPosterior",
    "Plot priors and posteriors",
    "unknown-parameter",
    "limit-exceeded",
)
async def plot_prior_posterior(asked: FrameOf, parameters: Parameters = []) -> Response:  # noqa: B006
    """Draw the prior density of each parameter beside its posterior density."""
    return await answer_picture(asked, "prior-posterior", parameters=parameters)


@_plot("trace", "plotTrace", "Plot traces", "unknown-parameter", "limit-exceeded")
async def plot_trace(asked: FrameOf, parameters: Parameters = []) -> Response:  # noqa: B006
    """Draw the draws of each chain in their order; `u[g][level]` names the effects of a level."""
    return await answer_picture(asked, "trace", parameters=parameters)


@_plot("rank", "plotRank", "Plot rank histograms", "unknown-parameter", "limit-exceeded")
async def plot_rank(asked: FrameOf, parameters: Parameters = []) -> Response:  # noqa: B006
    """Draw a histogram of the ranks of each chain's draws; `u[g][level]` names the effects of a level."""
    return await answer_picture(asked, "rank", parameters=parameters)


@_plot("ppc", "plotPosteriorPredictive", "Plot a posterior predictive check")
async def plot_posterior_predictive(
    asked: FrameOf,
    seed: Annotated[int | None, Query(ge=0, lt=1 << 63, description="The fit's own if left out.")] = None,
) -> Response:
    """Draw the responses beside data sets that the fitted model makes up for the same rows."""
    return await answer_picture(asked, "ppc", seed=seed)


@router.get("/{name}", include_in_schema=False)
def no_such_plot(here: Here, tenant: Tenant, fit_id: str, name: str) -> Response:
    """Say which plots there are."""
    find_ended(here, tenant, fit_id)
    raise Refusal("plot-not-found", f"There is no such plot; there are: {', '.join(k.name for k in KINDS)}.")
