"""Callbacks: one message to one address when a fit, or the last fit of a batch, has ended; and the twin in memory.

A callback becomes due in the very change that ends the fit, so neither can be without the other.
"""

import secrets
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Protocol

from model.errors import RanefError
from store.memory import MemoryStore
from store.records import FitStatus, QueueState
from store.settings import StoreSettings

FIT_EVENTS = ("fit.succeeded", "fit.failed", "fit.cancelled")
BATCH_EVENT = "batch.ended"
ACTIVE = frozenset(status for status in FitStatus if not status.terminal)


class CallbackState(StrEnum):
    """Where a callback is in its life."""

    WAITING = "waiting"
    PENDING = "pending"
    DELIVERED = "delivered"
    FAILED = "failed"
    SKIPPED = "skipped"

    @property
    def open(self) -> bool:
        """Whether a message may still be sent."""
        return self in (CallbackState.WAITING, CallbackState.PENDING)


@dataclass(frozen=True, slots=True)
class Callback:
    """A message that is or was to be sent; `id` names it in every attempt, times are unix seconds.

    `event` is what it tells, which of a fit is known when it has ended; `status` and `error` are of the last attempt.
    """

    id: str
    tenant: str
    subject: str
    url: str
    events: tuple[str, ...]
    state: CallbackState = CallbackState.WAITING
    event: str | None = None
    created_at: float = 0.0
    happened_at: float | None = None
    attempts: int = 0
    attempted_at: float | None = None
    due_at: float | None = None
    status: int | None = None
    error: str | None = None


class TooManyCallbacks(RanefError):
    """One fit or batch has as many callbacks that wait or are due as it may have."""


class Callbacks(Protocol):
    """Callbacks by what they are about; every method may raise StoreUnavailable."""

    def register(
        self, subject: str, tenant: str, url: str, events: Sequence[str], fits: Sequence[str]
    ) -> Callback:
        """Have a message sent to `url` when the last of `fits` has ended, if that is one of `events`.

        One that waits for the same, with the same address and events, stays the only one; if all have ended it is due
        now.

        Raises TooManyCallbacks and StoreFull.
        """
        ...

    def of(self, subject: str) -> tuple[Callback, ...]:
        """Give the callbacks of a fit or batch in the order in which they were registered."""
        ...

    def take(self, lease: float) -> Callback | None:
        """Give one that is due, to be attempted now; unless it is settled it is due again after `lease` seconds.

        Of the tenants with one, that with the fewest under way is next; of those, the one whose last turn is longest
        ago; of its own the one that is due first.
        """
        ...

    def settle(self, taken: Callback, state: CallbackState, retry_in: float | None = None) -> bool:
        """Note how an attempt ended, with its `status` and `error`; `pending` is tried again in `retry_in` seconds.

        False if the attempt is no longer the last one.
        """
        ...

    def backlog(self) -> QueueState:
        """Tell how many are due, and for how many seconds the first has been."""
        ...

    def outcomes(self) -> Mapping[str, int]:
        """Count how attempts ended: `delivered`, `retried`, `failed`."""
        ...


def new_id() -> str:
    """Name a message: it is the same in all attempts, so that a receiver knows it again."""
    return f"msg_{secrets.token_hex(16)}"


def wanted(event: str, events: Sequence[str]) -> CallbackState:
    """Give what becomes of a callback when this has happened."""
    return CallbackState.PENDING if event in events else CallbackState.SKIPPED


OUTCOMES = {
    CallbackState.DELIVERED: "delivered",
    CallbackState.PENDING: "retried",
    CallbackState.FAILED: "failed",
}


@dataclass(slots=True)
class _Kept:
    callback: Callback
    waits_for: set[str]
    expires_at: float | None = None
    under_way_until: float = 0.0


class MemoryCallbacks:
    """Callbacks in the memory of one process, of fits in a store there."""

    def __init__(
        self,
        store: MemoryStore,
        settings: StoreSettings | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        settings = settings or StoreSettings()
        self._store = store
        self._ttl, self._most = settings.callback_ttl, settings.open_callbacks
        self._most_kept = settings.kept_callbacks
        self._clock: Callable[[], float] = lambda: round(clock(), 6)
        self._kept: dict[str, _Kept] = {}
        self._outcomes: Counter[str] = Counter()
        self._turns: dict[str, float] = {}  # the last of each tenant
        # A fit tells of its end within the store's lock, so a lock of our own would be a second order.
        self._lock = store.lock
        store.listeners.append(self._told)

    def register(
        self, subject: str, tenant: str, url: str, events: Sequence[str], fits: Sequence[str]
    ) -> Callback:
        """Have a message sent when the last of some fits has ended."""
        with self._lock:
            records = self._store.get_many(fits)
            waits_for = {fit_id for fit_id, record in records.items() if not record.status.terminal}
            # One that is due tells of an end that was, which a fit that began anew has still before it.
            same = CallbackState.WAITING if waits_for else CallbackState.PENDING
            open_ = [callback for callback in self.of(subject) if callback.state.open]
            for callback in open_:
                if (callback.url, callback.events, callback.state) == (url, tuple(events), same):
                    return callback
            if len(open_) >= self._most:
                raise TooManyCallbacks(f"{subject} has {len(open_)} callbacks already")
            over = [callback for callback in self.of(subject) if not callback.state.open]
            for callback in over[: max(0, len(over) - self._most_kept + 1)]:
                del self._kept[callback.id]
            event = BATCH_EVENT if BATCH_EVENT in events else None
            callback = Callback(
                new_id(), tenant, subject, url, tuple(events), event=event, created_at=self._clock()
            )
            self._kept[callback.id] = kept = _Kept(callback, waits_for)
            if not waits_for:
                self._release(kept, records[fits[-1]].status if fits and fits[-1] in records else "gone")
            return kept.callback

    def of(self, subject: str) -> tuple[Callback, ...]:
        """Give the callbacks of a fit or batch."""
        with self._lock:
            self._forget_expired()
            return tuple(kept.callback for kept in self._kept.values() if kept.callback.subject == subject)

    def take(self, lease: float) -> Callback | None:
        """Give one that is due."""
        with self._lock:
            now = self._clock()
            due = [kept for kept in self._due() if (kept.callback.due_at or 0.0) <= now]
            if not due:
                return None
            under_way = Counter(
                kept.callback.tenant for kept in self._kept.values() if kept.under_way_until > now
            )

            def turn(kept: _Kept) -> tuple[int, float, str, float]:
                tenant = kept.callback.tenant
                return (
                    under_way[tenant],
                    self._turns.get(tenant, 0.0),
                    tenant,
                    kept.callback.due_at or 0.0,
                )

            first = min(due, key=turn)
            attempts = first.callback.attempts + 1
            first.under_way_until, self._turns[first.callback.tenant] = now + lease, now
            first.callback = replace(
                first.callback,
                attempts=attempts,
                attempted_at=now,
                due_at=now + lease,
                status=None,
                error=None,
            )
            return first.callback

    def settle(self, taken: Callback, state: CallbackState, retry_in: float | None = None) -> bool:
        """Note how an attempt ended."""
        with self._lock:
            kept = self._kept.get(taken.id)
            if (
                kept is None
                or kept.callback.state is not CallbackState.PENDING
                or kept.callback.attempts != taken.attempts
            ):
                return False
            now = self._clock()
            kept.under_way_until = 0.0
            due_at = None if retry_in is None else now + retry_in
            kept.callback = replace(
                kept.callback, state=state, due_at=due_at, status=taken.status, error=taken.error
            )
            kept.expires_at = now + self._ttl
            self._outcomes[OUTCOMES[state]] += 1
            return True

    def backlog(self) -> QueueState:
        """Tell how many are due."""
        with self._lock:
            now = self._clock()
            overdue = [now - (kept.callback.due_at or now) for kept in self._due()]
            return QueueState(len(overdue), max(0.0, *overdue, 0.0))

    def outcomes(self) -> Mapping[str, int]:
        """Count how attempts ended."""
        with self._lock:
            return dict(self._outcomes)

    def _told(self, fit_id: str, before: str, after: str) -> None:
        if after in ACTIVE:
            return
        with self._lock:
            for kept in self._kept.values():
                if fit_id in kept.waits_for:
                    kept.waits_for.remove(fit_id)
                    if not kept.waits_for:
                        self._release(kept, after)

    def _release(self, kept: _Kept, status: str) -> None:
        now = self._clock()
        event = kept.callback.event or f"fit.{status}"
        state = wanted(event, kept.callback.events)
        due_at = now if state is CallbackState.PENDING else None
        kept.callback = replace(kept.callback, state=state, event=event, happened_at=now, due_at=due_at)
        kept.expires_at = now + self._ttl

    def _due(self) -> list[_Kept]:
        self._forget_expired()
        return [kept for kept in self._kept.values() if kept.callback.state is CallbackState.PENDING]

    def _forget_expired(self) -> None:
        now = self._clock()
        self._kept = {
            key: kept for key, kept in self._kept.items() if kept.expires_at is None or kept.expires_at > now
        }
