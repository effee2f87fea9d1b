"""Puts right what fell between record and queue: fits without a message, and fits whose worker died.

A thread in the main process of each worker, of which one at a time leads. A fit of a dead worker is sent
again at once, a queued one only if its queue has fewer messages than fits that wait.
"""

import logging
import os
import socket
import threading

from model.errors import RanefError
from store.base import Store
from store.jobs import Jobs
from store.records import FitStatus
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)


def reconcile(store: Store, jobs: Jobs) -> tuple[str, ...]:
    """Look once after every overdue fit, and give the ids that were sent to the queue again."""
    overdue = store.overdue()
    if not overdue:
        return ()
    lengths = jobs.lengths()
    missing = {queue: state.depth - lengths[queue] for queue, state in store.queues().items()}
    sent = []
    for fit_id in overdue:
        before = store.get(fit_id)
        record = store.recover(fit_id)
        if before is None or record is None:
            continue
        # Any message of its queue will do: whoever takes it runs the fit whose turn it is.
        if before.status is FitStatus.QUEUED:
            if missing[record.queue] <= 0:
                continue
            missing[record.queue] -= 1
        jobs.enqueue(fit_id, record.queue)
        sent.append(fit_id)
    return tuple(sent)


class Reconciler:
    """The thread that reconciles while this worker leads."""

    def __init__(self, store: Store, jobs: Jobs, settings: WorkerSettings) -> None:
        self._store = store
        self._jobs = jobs
        self._interval = settings.reconcile_interval
        self._id = f"{socket.gethostname()}:{os.getpid()}"
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="reconciler", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, after the round that may be under way."""
        self._ended.set()

    def _repeat(self) -> None:
        while not self._ended.wait(self._interval):
            try:
                if self._store.lead(self._id, 3 * self._interval):
                    for fit_id in reconcile(self._store, self._jobs):
                        log.warning("%s was sent to the queue again", fit_id)
            except RanefError as error:
                log.warning("not reconciled: %s", error)
            except Exception:
                log.exception("not reconciled")
