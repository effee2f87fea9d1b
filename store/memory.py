"""The store in this process's memory: the twin of the one in Redis, for tests and for trying things out.

It keeps the same promises and passes the same tests; its clock can be given, so tests need not sleep.
"""

import itertools
import math
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from store.base import NO_METADATA, Creation, QueueFull, StoreFull
from store.cursors import read_cursor, write_cursor
from store.policy import Policy, matches
from store.records import (
    QUEUES,
    TRANSITIONS,
    WORKER_LOST,
    Claim,
    Event,
    Failure,
    FitRecord,
    FitStatus,
    Lease,
    Page,
    Progress,
    QueueState,
    Result,
    WorkerState,
)
from store.settings import StoreSettings

# What a record, its events and its index entries take beside the payload, roughly.
_RECORD_BYTES = 4096


@dataclass(slots=True)
class _Fit:
    record: FitRecord
    payload: bytes | None
    due: float
    waiting_since: float
    fence: str | None = None
    fruitless: int = 0
    slow: bool = False
    checkpoint: bytes | None = None
    checkpoint_until: float = 0.0
    artifacts: dict[str, bytes] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)

    @property
    def bytes(self) -> int:
        return _RECORD_BYTES + len(self.payload or b"") + sum(map(len, self.artifacts.values()))


class MemoryStore:
    """A store for one process; see `store.base.Store` for what the methods do."""

    def __init__(self, settings: StoreSettings | None = None, clock: Callable[[], float] = time.time) -> None:
        self._policy = Policy.of(settings or StoreSettings())
        # Microseconds, as on a server; cursors hold no more.
        self._clock: Callable[[], float] = lambda: round(clock(), 6)
        self._fits: dict[str, _Fit] = {}
        self._tombstones: dict[str, tuple[str, float]] = {}  # tenant, until
        self._workers: dict[str, tuple[WorkerState, float]] = {}
        self._turns: dict[tuple[str, str], float] = {}  # of a queue and a tenant, the last
        self._outcomes: Counter[tuple[str, str]] = Counter()
        self._leader: tuple[str, float] | None = None
        self._numbers = itertools.count(1)
        self.lock = threading.RLock()
        """Held during every change; whoever listens to changes may use it for their own."""
        self._changed = threading.Condition(self.lock)
        self.listeners: list_[Callable[[str, str, str], None]] = []
        """Each is told a fit's id and its statuses before and after a change; `gone` is the end of what is deleted."""

    def create(self, record: FitRecord, payload: bytes) -> tuple[FitRecord, bool]:
        """Add a queued fit unless its id exists."""
        with self._changed:
            existing = self._find(record.id)
            if existing is not None and not existing.record.runs_anew:
                return existing.record, False
            self._forget_expired()
            active = [fit.record.tenant for fit in self._fits.values() if not fit.record.status.terminal]
            if len(active) >= self._policy.max_active:
                raise QueueFull(f"{self._policy.max_active} fits are waiting or running already")
            if active.count(record.tenant) >= self._policy.tenant_active:
                raise QueueFull(f"{self._policy.tenant_active} of them are the tenant's", scope="tenant")
            spent = sum(
                fit.bytes
                for fit in self._fits.values()
                if fit.record.tenant == record.tenant and fit is not existing
            )
            if spent + len(payload) + _RECORD_BYTES > self._policy.tenant_bytes:
                raise StoreFull(f"the budget of {self._policy.tenant_bytes} bytes is spent", scope="tenant")
            now = self._clock()
            stored = replace(record, status=FitStatus.QUEUED, attempt=0, created_at=now)
            fit = _Fit(stored, payload, due=now + self._policy.queue_grace, waiting_since=now)
            self._fits[record.id] = fit
            self._tombstones.pop(record.id, None)
            self._tell(fit, "status")
            return stored, True

    def create_many(self, fits: Sequence[tuple[FitRecord, bytes]]) -> tuple[Creation, ...]:
        """Add many fits, each as `create` does."""
        with self._changed:
            return tuple(self._attempt(record, payload) for record, payload in fits)

    def get(self, fit_id: str, tenant: str | None = None) -> FitRecord | None:
        """Give a fit's record, if it is the tenant's."""
        with self._changed:
            fit = self._find(fit_id)
            return None if fit is None or tenant not in (None, fit.record.tenant) else fit.record

    def get_many(self, fit_ids: Sequence[str]) -> dict[str, FitRecord]:
        """Give the records of those of many fits that are there."""
        with self._changed:
            found = {fit_id: self._find(fit_id) for fit_id in fit_ids}
            return {fit_id: fit.record for fit_id, fit in found.items() if fit is not None}

    def gone(self, fit_id: str, tenant: str) -> bool:
        """Tell whether the tenant had this fit."""
        with self._changed:
            owner, until = self._tombstones.get(fit_id, ("", 0.0))
            return self._find(fit_id) is None and owner == tenant and self._clock() < until

    def payload(self, fit_id: str) -> bytes | None:
        """Give what `create` was given."""
        with self._changed:
            fit = self._find(fit_id)
            return None if fit is None else fit.payload

    def artifact(self, fit_id: str, name: str) -> bytes | None:
        """Give a published artifact by its name."""
        with self._changed:
            fit = self._find(fit_id)
            return None if fit is None else fit.artifacts.get(name)

    def artifacts(self, fit_ids: Sequence[str], name: str) -> dict[str, bytes]:
        """Give a small artifact of many fits."""
        found = {fit_id: self.artifact(fit_id, name) for fit_id in fit_ids}
        return {fit_id: artifact for fit_id, artifact in found.items() if artifact is not None}

    def list(
        self,
        tenant: str,
        *,
        limit: int = 20,
        cursor: str | None = None,
        status: FitStatus | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> Page:
        """Give a page of the tenant's fits, newest first."""
        last = read_cursor(cursor) if cursor is not None else None
        with self._changed:
            self._forget_expired()
            records = [fit.record for fit in self._fits.values() if fit.record.tenant == tenant]
        rest = sorted((r for r in records if last is None or _age(r) < last), key=_age, reverse=True)
        found: list_[FitRecord] = []
        for scanned, record in enumerate(rest):
            fits = matches(record, status, metadata)
            if scanned == self._policy.scan_limit or (fits and len(found) == limit):
                return Page(tuple(found), write_cursor(*_age(rest[scanned - 1])))
            found += [record] if fits else []
        return Page(tuple(found), None)

    def extend(self, record: FitRecord) -> None:
        """Let a successful fit live for its full time from now."""
        with self._changed:
            fit = self._find(record.id)
            if fit is None or fit.record.status is not FitStatus.SUCCEEDED or fit.record.expires_at is None:
                return
            expires = self._clock() + self._policy.result_ttl
            if expires - fit.record.expires_at < self._policy.extend_interval:
                return
            fit.record = replace(fit.record, expires_at=expires)
            self._tombstones[record.id] = (fit.record.tenant, expires + self._policy.tombstone_ttl)

    def delete(self, fit_id: str) -> bool:
        """Remove a fit with all its data."""
        with self._changed:
            fit = self._find(fit_id)
            if fit is None:
                return False
            del self._fits[fit_id]
            self._announce(fit_id, fit.record.status, "gone")
            self._tombstones[fit_id] = (fit.record.tenant, self._clock() + self._policy.tombstone_ttl)
            return True

    def delete_many(self, fit_ids: Sequence[str], tenant: str) -> None:
        """Remove many fits of a tenant."""
        for fit_id in fit_ids:
            self.delete(fit_id)

    def request_cancel(self, fit_id: str) -> FitRecord | None:
        """Cancel a queued fit at once and ask a running one to stop."""
        with self._changed:
            fit = self._find(fit_id)
            if fit is None:
                return None
            if fit.record.status is FitStatus.QUEUED:
                self._conclude(fit, FitStatus.CANCELLED)
            elif fit.record.status is FitStatus.RUNNING:
                self._turn(fit, FitStatus.CANCELLING)
            return fit.record

    def cancel_many(self, fit_ids: Sequence[str], tenant: str) -> None:
        """Cancel many fits of a tenant."""
        for fit_id in fit_ids:
            self.request_cancel(fit_id)

    def claim(self, fit_id: str, worker: str, lease_seconds: float) -> Claim | None:
        """Take a fit that is queued, or whose worker's lease is dead."""
        with self._changed:
            fit = self._find(fit_id)
            if fit is None or fit.record.status.terminal:
                return None
            now = self._clock()
            if fit.record.status is not FitStatus.QUEUED and fit.due > now:
                return None
            if not self._may_run(fit):
                return None
            attempt = fit.record.attempt + 1
            fit.fence = f"{next(self._numbers)}:{worker}"
            fit.due = now + lease_seconds
            fit.fruitless += 1
            fit.record = replace(fit.record, attempt=attempt, started_at=now, progress=None)
            self._turn(fit, FitStatus.RUNNING)
            waited = now - fit.record.created_at
            resumes = fit.checkpoint is not None
            self._turns[fit.record.queue, fit.record.tenant] = now
            return Claim(fit_id, fit.record.tenant, worker, fit.fence, attempt, waited, resumes, fit.slow)

    def take(self, fit_id: str, queue: str, worker: str, lease_seconds: float) -> Claim | None:
        """Take a fit in exchange for a message."""
        with self._changed:
            fit = self._find(fit_id)
            if fit is not None and fit.record.status is not FitStatus.QUEUED:
                claim = self.claim(fit_id, worker, lease_seconds)
                if claim is not None:
                    return claim
            while (found := self._next(queue)) is not None:
                claim = self.claim(found, worker, lease_seconds)
                if claim is not None:
                    return claim
            return None

    def renew(self, claim: Claim, lease_seconds: float) -> Lease:
        """Prolong a lease."""
        with self._changed:
            fit = self._held(claim)
            if fit is None:
                return Lease(held=False, cancel=False)
            fit.due = self._clock() + lease_seconds
            return Lease(held=True, cancel=fit.record.status is FitStatus.CANCELLING)

    def progress(self, claim: Claim, progress: Progress) -> Lease:
        """Note how far the fit is."""
        with self._changed:
            fit = self._held(claim)
            if fit is None:
                return Lease(held=False, cancel=False)
            before = fit.record.progress
            fit.record = replace(fit.record, progress=progress)
            new_phase = before is None or before.phase != progress.phase
            if new_phase or self._clock() - fit.events[-1].at >= self._policy.event_interval:
                self._tell(fit, "progress", progress)
            return Lease(held=True, cancel=fit.record.status is FitStatus.CANCELLING)

    def save_checkpoint(self, claim: Claim, data: bytes) -> bool:
        """Keep what another worker needs to go on with the fit."""
        with self._changed:
            fit = self._held(claim)
            if fit is None:
                return False
            fit.checkpoint, fit.checkpoint_until = data, self._clock() + self._policy.checkpoint_ttl
            fit.fruitless = 0
            return True

    def checkpoint(self, claim: Claim) -> bytes | None:
        """Give what was kept last."""
        with self._changed:
            fit = self._held(claim)
            return None if fit is None or self._clock() >= fit.checkpoint_until else fit.checkpoint

    def hand_back(self, claim: Claim, *, slow: bool = False) -> FitRecord | None:
        """Give up a claim of one's own accord."""
        with self._changed:
            fit = self._held(claim)
            if fit is None:
                return None
            if fit.record.status is FitStatus.CANCELLING:
                self._conclude(fit, FitStatus.CANCELLED)
                return None
            now = self._clock()
            if now < fit.checkpoint_until:
                fit.checkpoint_until = math.inf
            fit.fence, fit.due = None, now + self._policy.queue_grace
            fit.fruitless = max(0, fit.fruitless - 1)
            fit.record = replace(fit.record, attempt=fit.record.attempt - 1, progress=None)
            if slow:
                fit.slow, fit.record = True, replace(fit.record, queue=QUEUES[-1])
            self._turn(fit, FitStatus.QUEUED)
            return fit.record

    def finish(self, claim: Claim, result: Result, artifacts: Mapping[str, bytes]) -> bool:
        """Publish a success with its artifacts, all at once."""
        return self._publish(claim, FitStatus.SUCCEEDED, result, artifacts)

    def fail(self, claim: Claim, failure: Failure) -> bool:
        """Publish a failure."""
        return self._publish(claim, FitStatus.FAILED, None, {}, failure)

    def cancelled(
        self, claim: Claim, result: Result | None = None, artifacts: Mapping[str, bytes] | None = None
    ) -> bool:
        """Publish a cancellation, with the draws so far when there are any."""
        return self._publish(claim, FitStatus.CANCELLED, result, artifacts or {})

    def events(self, fit_id: str, after: str | None = None) -> tuple[Event, ...]:
        """Give a fit's events in order."""
        with self._changed:
            fit = self._find(fit_id)
            events = [] if fit is None else fit.events
            return tuple(event for event in events if after is None or _number(event.id) > _number(after))

    def follow(self, after: Mapping[str, str], wait_seconds: float) -> dict[str, tuple[Event, ...]]:
        """Wait for new events of many fits at once."""

        def news() -> dict[str, tuple[Event, ...]]:
            found = {fit_id: self.events(fit_id, last) for fit_id, last in after.items()}
            return {fit_id: events for fit_id, events in found.items() if events}

        with self._changed:
            self._changed.wait_for(lambda: bool(news()), wait_seconds)
            return news()

    def beat(self, worker: WorkerState, ttl: float) -> None:
        """Say that a worker is alive for `ttl` seconds more."""
        with self._changed:
            self._workers[worker.id] = (worker, self._clock() + ttl)

    def workers(self) -> tuple[WorkerState, ...]:
        """Give the workers that are alive, by id."""
        with self._changed:
            now = self._clock()
            return tuple(worker for _, (worker, until) in sorted(self._workers.items()) if now < until)

    def queues(self) -> Mapping[str, QueueState]:
        """Tell what waits, by queue."""
        with self._changed:
            now = self._clock()
            queued = [fit for fit in self._fits.values() if fit.record.status is FitStatus.QUEUED]
            return {
                queue: QueueState(len(ages), max(ages, default=0.0))
                for queue in QUEUES
                for ages in [[now - fit.waiting_since for fit in queued if fit.record.queue == queue]]
            }

    def outcomes(self) -> Mapping[tuple[str, str], int]:
        """Count the fits that have ended."""
        with self._changed:
            return dict(self._outcomes)

    def lead(self, worker: str, ttl: float) -> bool:
        """Become or stay the one worker that reconciles."""
        with self._changed:
            now = self._clock()
            if self._leader is not None and self._leader[0] != worker and now < self._leader[1]:
                return False
            self._leader = (worker, now + ttl)
            return True

    def overdue(self, limit: int = 100) -> tuple[str, ...]:
        """Give ids of fits that nobody takes care of."""
        with self._changed:
            now = self._clock()
            active = [fit for fit in self._fits.values() if not fit.record.status.terminal and fit.due <= now]
            return tuple(fit.record.id for fit in sorted(active, key=lambda fit: fit.due)[:limit])

    def recover(self, fit_id: str) -> FitRecord | None:
        """Put an overdue fit right."""
        with self._changed:
            fit = self._find(fit_id)
            if fit is None or fit.record.status.terminal or fit.due > self._clock():
                return None
            if not self._may_run(fit):
                return None
            if fit.record.status is FitStatus.RUNNING:
                self._turn(fit, FitStatus.QUEUED)
            fit.due = self._clock() + self._policy.queue_grace
            return fit.record

    def ping(self) -> None:
        """Return, as memory always answers."""

    def _attempt(self, record: FitRecord, payload: bytes) -> Creation:
        try:
            return self.create(record, payload)
        except (StoreFull, QueueFull) as error:
            return error

    def _announce(self, fit_id: str, before: str, after: str) -> None:
        for listener in self.listeners:
            listener(fit_id, before, after)

    def _find(self, fit_id: str) -> _Fit | None:
        fit = self._fits.get(fit_id)
        if fit is None or fit.record.expires_at is None or self._clock() < fit.record.expires_at:
            return fit
        return None

    def _forget_expired(self) -> None:
        for fit_id in [fit_id for fit_id in self._fits if self._find(fit_id) is None]:
            del self._fits[fit_id]

    def _next(self, queue: str) -> str | None:
        waiting = [
            fit
            for fit in self._fits.values()
            if fit.record.status is FitStatus.QUEUED and fit.record.queue == queue
        ]
        if not waiting:
            return None
        first = min(waiting, key=lambda fit: fit.waiting_since)
        if first.slow:
            return first.record.id

        def turn(fit: _Fit) -> tuple[float, str, float]:
            tenant = fit.record.tenant
            return self._turns.get((queue, tenant), 0.0), tenant, fit.waiting_since

        return min((fit for fit in waiting if not fit.slow), key=turn).record.id

    def _held(self, claim: Claim) -> _Fit | None:
        fit = self._find(claim.fit_id)
        if fit is None or fit.fence != claim.fence:
            return None
        if fit.record.status is FitStatus.QUEUED:
            # It was thought dead, and nobody else has begun: it gets its fit back.
            self._turn(fit, FitStatus.RUNNING)
        return fit

    def _may_run(self, fit: _Fit) -> bool:
        if fit.record.status is FitStatus.CANCELLING:
            self._conclude(fit, FitStatus.CANCELLED)
            return False
        if fit.fruitless >= self._policy.max_attempts:
            fit.record = replace(fit.record, failure=WORKER_LOST)
            self._conclude(fit, FitStatus.FAILED)
            return False
        return True

    def _publish(
        self,
        claim: Claim,
        status: FitStatus,
        result: Result | None,
        artifacts: Mapping[str, bytes],
        failure: Failure | None = None,
    ) -> bool:
        with self._changed:
            fit = self._held(claim)
            if fit is None:
                return False
            fit.artifacts = dict(artifacts)
            fit.record = replace(fit.record, failure=failure)
            if result is not None:
                fit.record = replace(
                    fit.record,
                    method=result.method,
                    method_reason=result.method_reason,
                    timing=result.timing,
                    warnings=result.warnings,
                )
            self._conclude(fit, status)
            return True

    def _conclude(self, fit: _Fit, status: FitStatus) -> None:
        succeeded = status is FitStatus.SUCCEEDED
        now = self._clock()
        expires = now + (self._policy.result_ttl if succeeded else self._policy.unsuccessful_ttl)
        if not succeeded:
            fit.payload = None
        fit.fence = fit.checkpoint = None
        fit.record = replace(fit.record, finished_at=now, expires_at=expires)
        self._outcomes[str(status), fit.record.method or "none"] += 1
        self._tombstones[fit.record.id] = (fit.record.tenant, expires + self._policy.tombstone_ttl)
        self._turn(fit, status)

    def _turn(self, fit: _Fit, status: FitStatus) -> None:
        if status not in TRANSITIONS[fit.record.status]:
            raise AssertionError(f"{fit.record.status} -> {status} is no legal transition")
        before = fit.record.status
        fit.record = replace(fit.record, status=status)
        self._announce(fit.record.id, before, status)
        if status is FitStatus.QUEUED:
            fit.waiting_since = self._clock()
        self._tell(fit, "status")

    def _tell(self, fit: _Fit, kind: str, progress: Progress | None = None) -> None:
        event = Event(f"{next(self._numbers)}-0", kind, self._clock(), fit.record.status, progress)
        fit.events = [*fit.events, event][-self._policy.max_events :]
        self._changed.notify_all()


list_ = list  # `list` is a method of the class above


def _age(record: FitRecord) -> tuple[float, str]:
    return record.created_at, record.id


def _number(event_id: str) -> tuple[int, ...]:
    return tuple(map(int, event_id.split("-")))
