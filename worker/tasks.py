"""What a worker does with a message: claim, load, fit, finish; no mathematics.

`run` is a plain function and knows no queue; the Celery task is in `worker.app`.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import orjson
from billiard.exceptions import SoftTimeLimitExceeded

from model.errors import InvalidModel
from store.base import Store, StoreFull, StoreUnavailable
from store.codec import pack
from store.records import QUEUES, Claim, Failure, Result
from worker.lease import HeldLease
from worker.leaving import Leaving
from worker.monitor import Cancelled, HandedBack, Monitor
from worker.settings import WorkerSettings

if TYPE_CHECKING:
    from worker.fitting import FitResult

log = logging.getLogger(__name__)
Fit = Callable[[bytes, Monitor], "FitResult"]
Value = TypeVar("Value")
# Seconds between two tries of what the store did not do.
_PAUSE = 1.0
# Seconds that a process which is to leave goes on trying to publish a fit that has ended.
_LEAVING_PATIENCE = 10.0


def run(
    store: Store,
    fit_id: str,
    worker: str,
    fit: Fit,
    settings: WorkerSettings,
    hold_message: Callable[[], None] = lambda: None,
    leaving: Leaving | None = None,
    send: Callable[[str, str], None] = lambda fit_id, queue: None,
    queue: str = QUEUES[0],
    begun: Callable[[str], None] = lambda fit_id: None,
) -> None:
    """Run the fit whose turn it is when a message of a queue names one, and publish what came of it.

    Every way it can end is in its record. A process that is leaving hands the fit back, as one does whose fit proves
    slow while others wait, and has its id sent to its queue again. `begun` is told which fit it is.
    """
    leaving = leaving or Leaving()
    claim = _claim(store, fit_id, queue, worker, settings, leaving)
    if claim is None:
        log.info("%s is not ours to run", fit_id)
        return
    fit_id = claim.fit_id
    begun(fit_id)
    log.info("%s begins, attempt %d", fit_id, claim.attempt)

    def hand_back(claim: Claim, slow: bool = False) -> None:
        record = store.hand_back(claim, slow=slow)
        if record is not None:
            send(record.id, record.queue)

    with HeldLease(store, claim, settings, hold_message, leaving, hand_back) as lease:
        try:
            publish = _attempt(store, claim, fit, lease, settings, leaving)
        except HandedBack:
            hand_back(claim, slow=lease.deferred)
            log.info("%s is handed back%s", fit_id, "; others go first" if lease.deferred else "")
            return
        lease.has_sampled()
        published = _patiently(publish, settings.publish_patience, leaving)
    log.info("%s ends%s", fit_id, "" if published else "; its claim was lost")


def _claim(
    store: Store, fit_id: str, queue: str, worker: str, settings: WorkerSettings, leaving: Leaving
) -> Claim | None:
    """Take a fit, and wait for a store that takes no changes; whether one that is silent has done it is not known."""
    give_up = time.monotonic() + settings.publish_patience
    while True:
        try:
            return store.take(fit_id, queue, worker, settings.lease_seconds)
        except StoreUnavailable as error:
            if error.refusal is None or leaving.told or time.monotonic() >= give_up:
                raise
            time.sleep(_PAUSE)


def _attempt(
    store: Store, claim: Claim, fit: Fit, monitor: Monitor, settings: WorkerSettings, leaving: Leaving
) -> Callable[[], bool]:
    """Fit, and give the call that publishes how it ended."""
    try:
        payload = _patiently(partial(store.payload, claim.fit_id), settings.publish_patience, leaving)
        if payload is None:
            return lambda: False
        result = fit(payload, monitor)
        artifacts = _artifacts(result)
    except Cancelled as stop:
        if stop.partial is None:
            return partial(store.cancelled, claim)
        so_far = _result(stop.partial, claim), _artifacts(stop.partial)
        return partial(store.cancelled, claim, *so_far)
    except InvalidModel as error:
        issues = tuple(asdict(issue) for issue in error.issues)
        detail = "The data and the model do not fit together."
        return partial(store.fail, claim, Failure("invalid_model", "Invalid model", detail, issues))
    except SoftTimeLimitExceeded:
        detail = "The fit took longer than this service allows."
        return partial(store.fail, claim, Failure("timeout", "The fit took too long", detail))
    except (HandedBack, StoreUnavailable):
        # Neither says anything of the fit.
        raise
    except Exception:
        log.exception("%s failed", claim.fit_id)
        detail = "Something went wrong on our side; the log has the details."
        return partial(store.fail, claim, Failure("internal", "Internal error", detail))
    return partial(_finish, store, claim, _result(result, claim), artifacts)


def _finish(store: Store, claim: Claim, result: Result, artifacts: dict[str, bytes]) -> bool:
    try:
        return store.finish(claim, result, artifacts)
    except StoreFull:
        detail = "The fit ended, but the store has no room for its result."
        return store.fail(claim, Failure("store_full", "No room for the result", detail))


def _patiently(call: Callable[[], Value], patience: float, leaving: Leaving) -> Value:
    """Ask the store, and while it is away ask again; the lease goes on meanwhile."""
    give_up = time.monotonic() + patience
    while True:
        try:
            return call()
        except StoreUnavailable:
            if time.monotonic() >= give_up or leaving.seconds > _LEAVING_PATIENCE:
                raise
            time.sleep(_PAUSE)


def _result(result: "FitResult", claim: Claim) -> Result:
    return Result(
        method=result.method,
        method_reason=result.method_reason,
        timing={"queued": claim.waited, **result.timing},
        warnings=tuple(asdict(notice) for notice in result.warnings),
    )


def _artifacts(result: "FitResult") -> dict[str, bytes]:
    # In JSON a number is finite or null.
    summary = orjson.dumps(result.summary, option=orjson.OPT_SERIALIZE_NUMPY)
    return {"posterior": pack(*result.posterior.to_parts()), "summary": summary}
