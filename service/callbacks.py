"""The resource `callbacks`: what was sent, or is to be, when a fit or a batch has ended; workers send it."""

from typing import Any

from fastapi import APIRouter
from starlette.responses import Response

from model.errors import Issue
from service.answers.callbacks import CallbackList
from service.caching import fresh
from service.deps import Here, Services, Tenant
from service.documentation import answers
from service.lookup import find, find_batch
from service.reading import CheckCallback
from service.views import timestamp
from store.callbacks import BATCH_EVENT, Callback
from store.destinations import Destinations, InvalidDestination

router = APIRouter(prefix="/v1", tags=["callbacks"])


@router.get(
    "/fits/{fit_id}/callbacks",
    operation_id="listFitCallbacks",
    summary="List the callbacks of a fit",
    responses=answers(
        (200, "Its callbacks, the oldest first.", CallbackList),
        problems=("fit-not-found", "fit-gone", "store-unavailable"),
    ),
)
def list_fit_callbacks(here: Here, tenant: Tenant, fit_id: str) -> Response:
    """Tell which callbacks wait for the fit's end, and how the others fared."""
    record = find(here, tenant, fit_id)
    return _describe(here, record.id)


@router.get(
    "/batches/{batch_id}/callbacks",
    operation_id="listBatchCallbacks",
    summary="List the callbacks of a batch",
    responses=answers(
        (200, "Its callbacks, the oldest first.", CallbackList),
        problems=("batch-not-found", "store-unavailable"),
    ),
)
def list_batch_callbacks(here: Here, tenant: Tenant, batch_id: str) -> Response:
    """Tell which callbacks wait for the batch's end, and how the others fared; those of its fits are the fits'."""
    record = find_batch(here, tenant, batch_id)
    return _describe(here, record.id)


def checker(here: Services, tenant: str) -> CheckCallback:
    """Give what judges whether a callback of the tenant may go to an address."""
    rules = Destinations.of(here.budgets)

    def check(url: str) -> list[Issue]:
        issues = []
        if tenant not in here.secrets:
            message = "There is no secret that your callbacks could be signed with."
            issues.append(Issue("no-callback-secret", message, "/callback"))
        try:
            rules.read(url)
        except InvalidDestination as error:
            issues.append(Issue("invalid-callback", str(error), "/callback/url"))
        return issues

    return check


def call_back_about_batch(
    here: Services, tenant: str, batch_id: str, url: str | None, fit_ids: list[str]
) -> None:
    """Register what a request for a batch asks for; raises StoreFull and StoreUnavailable."""
    if url is not None:
        here.callbacks.register(batch_id, tenant, url, (BATCH_EVENT,), fit_ids)


def _describe(here: Services, subject: str) -> Response:
    return fresh({"items": [_view(callback) for callback in here.callbacks.of(subject)]})


def _view(callback: Callback) -> dict[str, Any]:
    return {
        "id": callback.id,
        "url": callback.url,
        "events": callback.events,
        "state": callback.state,
        "event": callback.event,
        "created_at": timestamp(callback.created_at),
        "happened_at": timestamp(callback.happened_at),
        "attempts": callback.attempts,
        "attempted_at": timestamp(callback.attempted_at),
        "next_attempt_at": timestamp(callback.due_at),
        "status": callback.status,
        "error": callback.error,
    }
