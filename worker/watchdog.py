"""Ends a worker that takes nothing from a queue where fits wait, so that its supervisor starts it anew.

Consumers that are deaf after the broker was away are a known ailment of message queues, with many causes.
"""

import logging
import os
import signal
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from model.errors import RanefError
from store.base import Store
from store.jobs import Jobs
from worker.settings import WorkerSettings

log = logging.getLogger(__name__)

DEAF = 75
"""The exit status, EX_TEMPFAIL of sysexits.h: start me again."""


@dataclass(frozen=True, slots=True)
class Consumer:
    """What the main process knows of its consumer: its children's ids and processes, and what they were given."""

    host: str
    processes: Callable[[], list[int]]
    taken: Callable[[], int]
    """How many messages were taken so far."""
    running: Callable[[], int]
    """How many of them are being worked on, as the main process sees it."""


class Watchdog:
    """The thread that ends this process."""

    def __init__(self, store: Store, jobs: Jobs, consumer: Consumer, settings: WorkerSettings) -> None:
        self._store = store
        self._jobs = jobs
        self._consumer = consumer
        self._settings = settings
        self._taken = -1
        self._since = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._repeat, name="watchdog", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End: the worker is told to stop, and takes nothing for that reason."""
        self._ended.set()

    def look(self) -> float:
        """Give for how many seconds messages have waited while this worker did nothing; raises StoreUnavailable."""
        waiting = any(self._jobs.lengths().values())
        taken = self._consumer.taken()
        if not waiting or taken != self._taken or self._is_busy():
            self._since = time.monotonic()
        self._taken = taken
        return time.monotonic() - self._since

    def _is_busy(self) -> bool:
        # After a reconnection the main process may have forgotten what its children do; they have not.
        names = {f"{self._consumer.host}:{process}" for process in self._consumer.processes()}
        return self._consumer.running() > 0 or any(
            state.busy for state in self._store.workers() if state.id in names
        )

    def _repeat(self) -> None:
        while not self._ended.wait(self._settings.watch_interval):
            try:
                deaf_for = self.look()
            except RanefError:
                # While the store is away nobody takes anything.
                self._since = time.monotonic()
                continue
            except Exception:
                log.exception("the watchdog cannot see")
                continue
            if deaf_for >= self._settings.deaf_patience and not self._ended.is_set():
                self._end(deaf_for)

    def _end(self, deaf_for: float) -> None:
        log.critical(
            "fits wait, and this worker has taken none for %.0f s: it ends to be started anew", deaf_for
        )
        for process in self._consumer.processes():
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        # Whatever makes the consumer deaf may also keep it from ending in peace.
        os._exit(DEAF)
