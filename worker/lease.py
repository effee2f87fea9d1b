"""The lease of a running fit: a thread renews it, and through it the sampler reports and is cancelled.

The thread also keeps the broker from delivering the message again, and ends a process that will not stop, or that was
told to leave and has had its time.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Self

from model.errors import RanefError
from model.spec import Method
from store.base import Store
from store.codec import pack, unpack
from store.records import Claim, Lease, Progress
from worker.forecast import Forecast
from worker.leaving import Leaving
from worker.monitor import Saved
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)


class HeldLease:
    """A claim kept alive while the context lasts; it is the sampler's `worker.monitor.Monitor`."""

    def __init__(
        self,
        store: Store,
        claim: Claim,
        settings: WorkerSettings,
        hold_message: Callable[[], None],
        leaving: Leaving | None = None,
        hand_back: Callable[[Claim], None] = lambda claim: None,
    ) -> None:
        self._store = store
        self._claim = claim
        self._settings = settings
        self._hold_message = hold_message
        self._leaving = leaving or Leaving()
        self._hand_back = hand_back
        self._has_sampled = False
        self.deferred = False
        """Whether the sampler was told to let others go first."""
        self._lease = Lease(held=True, cancel=False)
        self._forecast = Forecast()
        self._reported: tuple[str, int, int] | None = None
        self._told: tuple[str, float] = ("", 0.0)
        self._forecasting = threading.Lock()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._keep, name="lease", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended.set()
        self._thread.join()

    @property
    def held(self) -> bool:
        """Whether the fit is still ours."""
        return self._lease.held

    def report(self, phase: str, fraction: float | None = None, draws: int = 0, divergences: int = 0) -> None:
        """Publish how far the fit is, with an estimate of the seconds that remain.

        A small fit says so every millisecond, and would spend more time telling the store than sampling; so what the
        store would make no event of is mostly not told.
        """
        with self._forecasting:
            self._forecast.note(phase, fraction)
        self._reported = phase, draws, divergences
        now = time.monotonic()
        if phase != self._told[0] or now - self._told[1] >= self._settings.event_interval / 2:
            self._tell(phase, draws, divergences)

    def expect(self, method: Method, seconds: float) -> None:
        """Estimate by this until something is measured."""
        with self._forecasting:
            self._forecast.expect(method, seconds)

    def _tell(self, phase: str, draws: int, divergences: int) -> None:
        self._told = phase, time.monotonic()
        with self._forecasting:
            fraction, eta = self._forecast.now()
        if not fraction and self._claim.attempt > 1:
            # It may be about to go on where another has left it.
            fraction = None
        progress = Progress(phase, fraction, eta, draws, divergences)
        try:
            self._lease = self._store.progress(self._claim, progress)
        except RanefError as error:
            log.warning("progress of %s is not told: %s", self._claim.fit_id, error)

    def cancelled(self) -> bool:
        """Tell whether to stop."""
        return self._lease.cancel or not self._lease.held

    def leaving(self) -> bool:
        """Tell whether the process is to end."""
        return self._leaving.told

    def defers(self) -> bool:
        """Tell whether others wait, who are to go first; once at most for each fit."""
        if self._claim.deferred:
            return False
        try:
            self.deferred = any(queue.depth for queue in self._store.queues().values())
        except RanefError as error:
            log.warning("who waits beside %s is not known: %s", self._claim.fit_id, error)
        return self.deferred

    def has_sampled(self) -> None:
        """Say that what is left is to publish how the fit ended, which a process that is to leave still does."""
        self._has_sampled = True

    def save(self, progress: Saved) -> None:
        """Keep what another worker needs to go on with the fit, unless it is too large for that."""
        if sum(array.nbytes for array in progress.arrays.values()) > self._settings.checkpoint_bytes:
            return
        try:
            self._store.save_checkpoint(self._claim, pack(progress.meta, progress.arrays))
        except RanefError as error:
            log.warning("the progress of %s is not saved: %s", self._claim.fit_id, error)

    def saved(self) -> Saved | None:
        """Give what a worker before this one has saved."""
        if not self._claim.resumes:
            return None
        try:
            data = self._store.checkpoint(self._claim)
            return None if data is None else Saved(*unpack(data))
        except RanefError as error:
            log.warning("what was saved of %s is not found: %s", self._claim.fit_id, error)
            return None

    def _keep(self) -> None:
        hold_interval = self._settings.visibility_timeout / 4
        next_hold = time.monotonic() + hold_interval
        kill_at: float | None = None
        while not self._ended.wait(self._settings.renew_interval):
            # While the store is away the fit goes on: whether it is still ours is for the fence to say.
            try:
                self._lease = self._store.renew(self._claim, self._settings.lease_seconds)
                if time.monotonic() >= next_hold:
                    self._hold_message()
                    next_hold = time.monotonic() + hold_interval
                # A compiler says nothing for many seconds, in which a client counts down.
                if self._reported and time.monotonic() - self._told[1] >= self._settings.event_interval:
                    self._tell(*self._reported)
            except RanefError as error:
                log.warning("the lease of %s is not renewed: %s", self._claim.fit_id, error)
            except Exception:
                # A thread that ended here would give a running fit away.
                log.exception("the lease of %s is not renewed", self._claim.fit_id)
            if self._leaving.seconds > self._settings.soft_shutdown and not self._has_sampled:
                self._leave()
            if self.cancelled():
                kill_at = kill_at or time.monotonic() + self._settings.cancel_patience
                if time.monotonic() >= kill_at:
                    self._kill()

    def _leave(self) -> None:
        """End this process, whose sampler has not ended in the time it had; another goes on with the fit."""
        log.warning("%s is handed back before its end; its process is to leave", self._claim.fit_id)
        try:
            self._hand_back(self._claim)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)

    def _kill(self) -> None:
        """End this process, whose sampler does not return from a long call; the pool starts another."""
        log.error("%s does not stop; its process is killed", self._claim.fit_id)
        try:
            self._store.cancelled(self._claim)
        finally:
            os.kill(os.getpid(), signal.SIGKILL)
