"""One sampling process, the pool's child: its sampler, its heartbeat and its warm-up.

The process was started afresh, because one that is forked from a process with JAX in it hangs.
"""

import logging
import os
import resource
import socket
import threading
from functools import partial
from typing import TYPE_CHECKING, Protocol

from celery.exceptions import Reject

from model.errors import RanefError
from store.allocation import keep_freed_memory
from store.base import Store
from store.codec import unpack
from store.jobs import Jobs
from store.records import WorkerState
from store.threads import one_blas_thread
from worker.forecast import COMPILE_TIMES
from worker.leaving import Leaving
from worker.monitor import Monitor
from worker.settings import WorkerSettings
from worker.tasks import run

if TYPE_CHECKING:
    from worker.fitting import FitResult

log = logging.getLogger(__name__)


class Sampler(Protocol):
    """What a sampling process needs of the statistics."""

    def fit(self, payload: bytes, monitor: Monitor) -> "FitResult":
        """Fit the plan that the service stored."""
        ...

    def warm_up(self, settings: WorkerSettings) -> None:
        """Compile what common fits need."""
        ...


class JaxSampler:
    """The real one; JAX is imported at its first use and so never in the main process."""

    def fit(self, payload: bytes, monitor: Monitor) -> "FitResult":
        """Fit the plan that the service stored."""
        from model.spec import FitPlan
        from worker.fitting import fit

        return fit(FitPlan.from_parts(*unpack(payload)), monitor)

    def warm_up(self, settings: WorkerSettings) -> None:
        """Compile what common fits need."""
        from worker.fitting import warm_up

        warm_up()


class SamplingProcess:
    """Runs one fit at a time and says that it is alive."""

    def __init__(self, settings: WorkerSettings, store: Store, jobs: Jobs, sampler: Sampler) -> None:
        self.id = f"{socket.gethostname()}:{os.getpid()}"
        self._settings = settings
        self._store = store
        self._jobs = jobs
        self._sampler = sampler
        self._warm = False
        self._fit_id: str | None = None
        self._compile_hits = self._compile_misses = 0
        self._sampling_seconds = 0.0
        self._changed = threading.Event()
        self._leaving = Leaving()

    def start(self) -> None:
        """Begin to beat, and warm up beside whatever fits arrive meanwhile."""
        self._leaving.listen()
        keep_freed_memory(256 << 20, one_arena=False)
        one_blas_thread()
        threading.Thread(target=self._beat, name="heartbeat", daemon=True).start()
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    def fit(self, fit_id: str, queue: str, delivery_tag: str) -> None:
        """Run the fit whose turn it is; the message's delivery tag keeps the message ours meanwhile.

        Raises Reject, which gives the message back, when this process is to leave.
        """
        if self._leaving.told:
            raise Reject("the process is to leave", requeue=True)
        hold_message = partial(self._jobs.hold, delivery_tag)
        try:
            run(
                self._store,
                fit_id,
                self.id,
                self._sample,
                self._settings,
                hold_message,
                self._leaving,
                self._jobs.enqueue,
                queue,
                self._now_runs,
            )
        finally:
            self._now_runs(None)

    def _sample(self, payload: bytes, monitor: Monitor) -> "FitResult":
        result = self._sampler.fit(payload, monitor)
        if result.timing.get("compile", 0.0) > 0:
            self._compile_misses += 1
        else:
            self._compile_hits += 1
        self._sampling_seconds += result.timing.get("sample", 0.0)
        return result

    def _now_runs(self, fit_id: str | None) -> None:
        self._fit_id = fit_id
        self._changed.set()

    def _warm_up(self) -> None:
        try:
            self._sampler.warm_up(self._settings)
        except Exception:
            # It can still fit, only the first of each shape is slow; the readiness probe tells.
            log.exception("warm-up failed")
            return
        self._warm = True
        self._changed.set()
        log.info("warm")

    def _beat(self) -> None:
        while True:
            self._changed.clear()
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
            state = WorkerState(
                id=self.id,
                warm=self._warm,
                busy=self._fit_id is not None,
                fit_id=self._fit_id,
                peak_memory_bytes=peak,
                compile_hits=self._compile_hits,
                compile_misses=self._compile_misses,
                sampling_seconds=self._sampling_seconds,
                compile_seconds={str(method): s for method, s in COMPILE_TIMES.measured().items()},
            )
            try:
                self._store.beat(state, self._settings.heartbeat_ttl)
            except RanefError as error:
                log.warning("the heartbeat is not told: %s", error)
            except Exception:
                # A thread that ended here would make a living worker look dead for ever.
                log.exception("the heartbeat is not told")
            self._changed.wait(self._settings.heartbeat_interval)
