"""Finding a fit, and its result, or saying exactly why there is none.

Every route that names a fit begins here.
"""

import re

import structlog

from model.results.posterior import Posterior
from model.spec import FitPlan
from service.deps import Services
from service.problems import Refusal
from store.base import StoreUnavailable
from store.batches import BatchRecord
from store.codec import unpack
from store.records import FitRecord, FitStatus

log = structlog.get_logger()
_FIT_ID = re.compile(r"fit_[a-z2-7]{26}")
_BATCH_ID = re.compile(r"bat_[a-z2-7]{26}")


def find(here: Services, tenant: str, fit_id: str) -> FitRecord:
    """Give the tenant's fit; while the store is away, a record that is kept here will do.

    Another tenant's fit is not there: it is looked for by the same calls, and answered in the same words and time.
    """
    record, _ = _look(here, tenant, fit_id)
    return record


def find_batch(here: Services, tenant: str, batch_id: str) -> BatchRecord:
    """Give the tenant's batch."""
    record = here.batches.get(batch_id, tenant) if _BATCH_ID.fullmatch(batch_id) else None
    if record is None:
        raise Refusal("batch-not-found")
    return record


def find_ended(here: Services, tenant: str, fit_id: str) -> FitRecord:
    """Give a fit that may have a result; one that runs or has failed is refused with its reason."""
    record, stored = _look(here, tenant, fit_id)
    if record.status is FitStatus.FAILED and record.failure is not None:
        raise Refusal("fit-failed", f"The fit has failed: {record.failure.detail}")
    if not record.status.terminal:
        raise Refusal("fit-not-finished", f"The fit is {record.status}.", headers={"Retry-After": "1"})
    try:
        # A store that did not answer just now is not waited for once more.
        if stored:
            here.store.extend(record)
    except StoreUnavailable:
        log.warning("could not extend a result's life", fit_id=record.id)
    return record


def posterior_of(here: Services, record: FitRecord) -> Posterior:
    """Give the posterior of a fit that has ended; a cancelled one may have the draws so far, or none."""
    posterior = here.posteriors.posterior(record)
    if posterior is None:
        raise Refusal("fit-cancelled" if record.status is FitStatus.CANCELLED else "fit-gone")
    return posterior


def plan_of(here: Services, record: FitRecord) -> FitPlan:
    """Give what a fit is a fit of, with its data; nothing is left of it once the fit has failed or was cancelled."""
    payload = here.store.payload(record.id)
    if payload is None:
        reasons = {FitStatus.FAILED: "fit-failed", FitStatus.CANCELLED: "fit-cancelled"}
        raise Refusal(reasons.get(record.status, "fit-gone"))
    return FitPlan.from_parts(*unpack(payload))


def _look(here: Services, tenant: str, fit_id: str) -> tuple[FitRecord, bool]:
    """Give a fit's record, and whether it comes from the store."""
    if not _FIT_ID.fullmatch(fit_id):
        raise Refusal("fit-not-found")
    try:
        record = here.store.get(fit_id, tenant)
    except StoreUnavailable:
        record = here.posteriors.record(fit_id, tenant)
        if record is None:
            raise
        return record, False
    if record is None:
        if here.posteriors.record(fit_id, tenant) is not None:
            here.posteriors.forget(fit_id)
        raise Refusal("fit-gone" if here.store.gone(fit_id, tenant) else "fit-not-found")
    return record, True
