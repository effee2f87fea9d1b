"""Comparisons of finished fits of the same data, by leave-one-out cross-validation."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter
from starlette.responses import Response

from model.criticism.comparison import Observed, compare, notices
from model.errors import InvalidModel, Issue
from model.family import Family
from model.frame.design import Design
from model.results.posterior import Posterior
from service.answers.comparisons import Comparison
from service.bodies import JsonBody
from service.caching import fresh
from service.deps import Here, Reader, Services
from service.documentation import answers, json_request
from service.lookup import find_ended, plan_of, posterior_of
from service.problem_types import PROBLEM_TYPES
from service.problems import Refusal
from service.reading import read_comparison
from service.requests.comparisons import ComparisonRequest
from store.records import FitRecord

router = APIRouter(prefix="/v1/comparisons", tags=["results"])

# Codes of a fit's own address that mean something else where its id is a field of a document.
_IN_A_BODY = {"fit-not-found": "unknown-fit", "fit-gone": "unknown-fit"}


@router.post(
    "",
    operation_id="compareFits",
    summary="Compare fits",
    openapi_extra=json_request(ComparisonRequest),
    responses=answers(
        (200, "The fits, the best first.", Comparison),
        problems=(
            "unknown-fit",
            "different-data",
            "fit-not-finished",
            "fit-failed",
            "fit-cancelled",
            "store-unavailable",
        ),
        body=True,
    ),
)
async def compare_fits(here: Here, tenant: Reader, body: JsonBody) -> Response:
    """Compare what fits of the same data predict of rows they have not seen: differences of elpd, stacking weights."""

    def answer() -> Response:
        ids, issues = read_comparison(body.data, here.settings.limits)
        records = _records(here, tenant, ids, issues)
        if not issues:
            issues = _differences(here, records)
        if issues:
            raise InvalidModel(issues)
        return fresh(_compare(here, records))

    return await run_sync(answer, limiter=here.judging)


def _records(here: Services, tenant: str, ids: Sequence[str], issues: list[Issue]) -> list[FitRecord]:
    """The fits that can be compared; what is wrong with the others joins `issues`."""
    records = []
    for place, fit_id in enumerate(ids):
        if fit_id in ids[:place]:
            issues.append(Issue("invalid-value", "The fit is in the list already.", f"/fits/{place}"))
            continue
        with _collecting(issues, place):
            records.append(find_ended(here, tenant, fit_id))
    return records


def _differences(here: Services, records: Sequence[FitRecord]) -> list[Issue]:
    """Why the fits are not of the same data; an empty list when they are."""
    issues: list[Issue] = []
    first: Observed | None = None
    for place, record in enumerate(records):
        with _collecting(issues, place):
            plan = plan_of(here, record)
            observed = Observed.of(plan.encoding, plan.design())
            first = first or observed
            issues += observed.issues(first, place)
    return issues


@contextmanager
def _collecting(issues: list[Issue], place: int) -> Iterator[None]:
    try:
        yield
    except Refusal as refusal:
        code = _IN_A_BODY.get(refusal.code, refusal.code)
        message = None if code != refusal.code else refusal.detail
        issues.append(Issue(code, message or PROBLEM_TYPES[code].meaning, f"/fits/{place}"))


def _compare(here: Services, records: Sequence[FitRecord]) -> dict[str, Any]:
    def load(record: FitRecord) -> tuple[Posterior, Design]:
        return posterior_of(here, record), plan_of(here, record).design()

    results = [here.loos.get(record, lambda: load(record)) for record in records]  # noqa: B023
    summaries = [here.posteriors.summary(record) for record in records]
    evidences = [summary and summary["diagnostics"].get("log_marginal_likelihood") for summary in summaries]
    families = [Family(**record.family) for record in records]
    return {
        "rows": results[0].rows,
        "left_out": len(results[0].sampled),
        "fits": [
            {
                "fit_id": records[one.place].id,
                "formula": records[one.place].formula,
                "family": records[one.place].family,
                "elpd_diff": asdict(one.difference),
                "elpd_loo": asdict(results[one.place].elpd_total),
                "p_loo": asdict(results[one.place].p_loo_total),
                "stacking_weight": one.weight,
                "pareto_k_max": results[one.place].pareto_k.max(),
                "unreliable": int(results[one.place].unreliable.sum()),
                "log_marginal_likelihood": evidences[one.place],
            }
            for one in compare(results)
        ],
        "warnings": [asdict(notice) for notice in notices(families, results)],
    }
