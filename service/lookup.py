"""Finding a fit, and its result, or saying exactly why there is none."""

import re

from model.posterior import Posterior
from service.deps import Services
from service.problems import Refusal
from store.base import StoreUnavailable
from store.records import FitRecord, FitStatus

_FIT_ID = re.compile(r"fit_[a-z2-7]{26}")


def find(here: Services, tenant: str, fit_id: str) -> FitRecord:
    """Give the tenant's fit; another tenant's does not exist. While the store is away, what is kept here will do."""
    if not _FIT_ID.fullmatch(fit_id):
        raise Refusal("fit-not-found")
    try:
        record = here.store.get(fit_id)
    except StoreUnavailable:
        record = here.posteriors.record(fit_id)
        if record is None:
            raise
    if record is None:
        here.posteriors.forget(fit_id)
    if record is None or record.tenant != tenant:
        raise Refusal("fit-gone" if here.store.gone(fit_id, tenant) else "fit-not-found")
    return record


def find_finished(here: Services, tenant: str, fit_id: str) -> FitRecord:
    """Give a fit that has a result; any other is refused with its reason."""
    record = find(here, tenant, fit_id)
    if record.status is FitStatus.FAILED and record.failure is not None:
        raise Refusal("fit-failed", f"The fit has failed: {record.failure.detail}")
    if record.status is FitStatus.CANCELLED:
        raise Refusal("fit-cancelled")
    if record.status is not FitStatus.SUCCEEDED:
        raise Refusal("fit-not-finished", f"The fit is {record.status}.", headers={"Retry-After": "1"})
    return record


def posterior_of(here: Services, record: FitRecord) -> Posterior:
    """Give the posterior of a finished fit."""
    posterior = here.posteriors.posterior(record)
    if posterior is None:
        raise Refusal("fit-gone")
    return posterior
