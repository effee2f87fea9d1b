"""How many requests each tenant makes: a count in a window of time, by the store's clock.

A window begins with a request, and the next with the first request after its end.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, cast

from store.connection import connect, translated
from store.keys import Keys
from store.settings import StoreSettings

_SCRIPT = Path(__file__).parent / "scripts" / "rate.lua"
# Every request passes here first, so a server that hangs must not hold it up.
_PATIENCE = 0.2


@dataclass(frozen=True, slots=True)
class Allowance:
    """Whether a request is within its tenant's quota, how many more are, and for how many seconds that holds."""

    granted: bool
    remaining: int
    reset: float


class Rates(Protocol):
    """Counts by tenant."""

    def take(self, tenant: str, quota: int, window: float) -> Allowance:
        """Count a request against `quota` requests in `window` seconds; raises StoreUnavailable."""
        ...


class MemoryRates:
    """Counts in the memory of one process."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._counts: dict[str, tuple[int, float]] = {}  # how many, until
        self._lock = threading.Lock()

    def take(self, tenant: str, quota: int, window: float) -> Allowance:
        """Count a request."""
        with self._lock:
            now = self._clock()
            count, until = self._counts.get(tenant, (0, now))
            count, until = (count + 1, until) if now < until else (1, now + window)
            self._counts[tenant] = count, until
            return _allowance(count, quota, until - now)


class RedisRates:
    """Counts on the server that the settings name, shared by all processes of the service."""

    def __init__(self, settings: StoreSettings) -> None:
        self._keys = Keys(settings.key_prefix)
        hasty = settings.model_copy(update={"socket_timeout": _PATIENCE})
        self._count = connect(hasty, _PATIENCE).register_script(_SCRIPT.read_text())

    def take(self, tenant: str, quota: int, window: float) -> Allowance:
        """Count a request."""
        with translated():
            answer = self._count(keys=[self._keys.tenant_rate(tenant)], args=[int(window * 1000)])
        count, milliseconds = cast(list[int], answer)
        return _allowance(count, quota, milliseconds / 1000)


def _allowance(count: int, quota: int, reset: float) -> Allowance:
    return Allowance(granted=count <= quota, remaining=max(0, quota - count), reset=reset)
