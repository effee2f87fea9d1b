"""Whether this sampling process has been told to leave, by a signal of the worker's main process.

A thread hears it at once, while the main thread may be in a compilation of a minute.
"""

import os
import signal
import threading
import time

LEAVE = signal.SIGUSR2
"""Celery and billiard have their own use for SIGTERM, SIGINT, SIGQUIT, SIGHUP and SIGUSR1."""


class Leaving:
    """Heard once, for good."""

    def __init__(self) -> None:
        self._told_at: float | None = None

    @property
    def told(self) -> bool:
        """Tell whether the process is to leave."""
        return self._told_at is not None

    @property
    def seconds(self) -> float:
        """For how many seconds that has been known; 0 while it is not."""
        return 0.0 if self._told_at is None else time.monotonic() - self._told_at

    def tell(self) -> None:
        """Say that the process is to leave."""
        self._told_at = self._told_at or time.monotonic()

    def listen(self) -> None:
        """Hear the signal from now on; to be called in the main thread."""
        reader, writer = os.pipe()
        os.set_blocking(writer, False)
        # The interpreter writes the number of a signal when it arrives; its handler waits for the main thread.
        signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
        signal.signal(LEAVE, lambda *_: None)
        threading.Thread(target=self._hear, args=(reader,), name="leaving", daemon=True).start()

    def _hear(self, reader: int) -> None:
        while LEAVE not in os.read(reader, 64):
            pass
        self.tell()
