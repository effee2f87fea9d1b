"""A submitted fit on its way in: its id, its record, its payload, its place in a queue.

The id is a hash of the tenant and of all that determines the result, so the same request finds the same fit.
"""

import base64
import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import structlog

from model.spec import FitPlan
from service.deps import Services
from service.requests.callbacks import FitCallback
from service.requests.fits import FitRequest
from store.base import Creation, StoreFull, StoreUnavailable
from store.callbacks import TooManyCallbacks
from store.codec import pack
from store.records import FitRecord

log = structlog.get_logger()


def fit_id(tenant: str, key: str, nonce: str = "") -> str:
    """Name the fit of a plan: `fit_` and 26 characters (130 bits) of base32."""
    digest = hashlib.sha256("\0".join((tenant, key, nonce)).encode()).digest()
    return "fit_" + base64.b32encode(digest).decode().lower()[:26]


@dataclass(frozen=True, slots=True)
class Submission:
    """A fit that is ready to be stored, and whoever is to be told of its end."""

    record: FitRecord
    payload: bytes
    callback: FitCallback | None = None


def prepare(
    tenant: str, request: FitRequest, plan: FitPlan, nonce: str, batch_cost: float, queue: str | None = None
) -> Submission:
    """Name a fit and write down what its worker needs; the nonce goes into the name of one that is to be new.

    Without `queue` a fit that costs more than `batch_cost` seconds waits in the queue `batch`.
    """
    record = FitRecord(
        id=fit_id(tenant, plan.key, "" if request.cache else nonce),
        tenant=tenant,
        formula=plan.formula,
        family={"name": plan.family.name, "link": plan.family.link},
        rows=plan.rows,
        dropped_rows=plan.dropped_rows,
        queue=queue or ("batch" if plan.cost > batch_cost else "interactive"),
        method=plan.method,
        method_reason=plan.method_reason,
        warnings=tuple(asdict(notice) for notice in plan.warnings),
        metadata=request.metadata,
    )
    return Submission(record, pack(*plan.to_parts()), request.callback)


def submit(here: Services, submission: Submission) -> tuple[FitRecord, bool]:
    """Store a fit and queue it, unless it is there; gives its record, and whether it is new.

    Raises StoreUnavailable, StoreFull, QueueFull and TooManyCallbacks.
    """
    (creation,) = submit_many(here, [submission])
    if isinstance(creation, tuple):
        return creation
    raise creation


def submit_many(here: Services, submissions: Sequence[Submission]) -> tuple[Creation | TooManyCallbacks, ...]:
    """Store many fits, queue those that are new, and register their callbacks; one that cannot stops no other.

    Raises StoreUnavailable, and StoreFull if there is no room for a callback.
    """
    creations = here.store.create_many(
        [(submission.record, submission.payload) for submission in submissions]
    )
    created = [creation[0] for creation in creations if isinstance(creation, tuple) and creation[1]]
    try:
        for record in created:
            here.enqueue(record.id, record.queue)
    except (StoreUnavailable, StoreFull):
        # The fits are accepted already: the reconciler finds records that have no message.
        log.warning("could not enqueue", fit_ids=[record.id for record in created])
    pairs = zip(creations, submissions, strict=True)
    return tuple(_with_callback(here, creation, submission.callback) for creation, submission in pairs)


def _with_callback(
    here: Services, creation: Creation, asked: FitCallback | None
) -> Creation | TooManyCallbacks:
    if asked is None or not isinstance(creation, tuple):
        return creation
    fit = creation[0]
    try:
        here.callbacks.register(fit.id, fit.tenant, asked.url, asked.events, [fit.id])
    except TooManyCallbacks as error:
        return error
    return creation
