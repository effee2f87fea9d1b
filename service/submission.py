"""A submitted fit on its way in: its id, its record, its payload, its place in a queue.

The id is a hash of the tenant and of all that determines the result, so the same request finds the same fit.
"""

import base64
import hashlib
import secrets
from dataclasses import asdict

import structlog

from model.spec import FitPlan
from service.deps import Services
from service.requests.fits import FitRequest
from store.base import StoreUnavailable
from store.codec import pack
from store.records import FitRecord

log = structlog.get_logger()


def fit_id(tenant: str, key: str, nonce: str = "") -> str:
    """Name the fit of a plan: `fit_` and 26 characters (130 bits) of base32."""
    digest = hashlib.sha256("\0".join((tenant, key, nonce)).encode()).digest()
    return "fit_" + base64.b32encode(digest).decode().lower()[:26]


def submit(
    here: Services, tenant: str, request: FitRequest, plan: FitPlan, queue: str | None = None
) -> tuple[FitRecord, bool]:
    """Store a fit and queue it, unless it is there; gives its record, and whether it is new.

    Without `queue` what the fit costs decides in which one it waits.

    Raises StoreUnavailable, StoreFull and QueueFull.
    """
    nonce = "" if request.cache else secrets.token_hex(16)
    record, created = here.store.create(
        FitRecord(
            id=fit_id(tenant, plan.key, nonce),
            tenant=tenant,
            formula=plan.formula,
            family={"name": plan.family.name, "link": plan.family.link},
            rows=plan.rows,
            dropped_rows=plan.dropped_rows,
            queue=queue or ("batch" if plan.cost > here.settings.batch_cost else "interactive"),
            method=plan.method,
            method_reason=plan.method_reason,
            warnings=tuple(asdict(notice) for notice in plan.warnings),
            metadata=request.metadata,
        ),
        pack(*plan.to_parts()),
    )
    if created:
        try:
            here.enqueue(record.id, record.queue)
        except StoreUnavailable:
            # The fit is accepted already: the reconciler finds records that have no message.
            log.warning("could not enqueue", fit_id=record.id)
    return record, created
