"""The interface of a store: what the service and the workers may ask of the state between them.

Every method that changes something is atomic and safe to repeat; time is the store's own, never the caller's.
"""

from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal, Protocol

from model.errors import RanefError
from store.records import (
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

NO_METADATA: Mapping[str, str] = MappingProxyType({})


class StoreUnavailable(RanefError):
    """The store does not answer (in time), or says that it cannot do it now: `refusal` is then its word for why.

    After a refusal nothing was written; without one nothing is known about whether a write took place.
    """

    def __init__(self, message: str = "the store does not answer", refusal: str | None = None) -> None:
        super().__init__(message)
        self.refusal = refusal


class StoreFull(RanefError):
    """There is no room: the server's memory or the tenant's budget (`scope`) is spent."""

    def __init__(self, message: str, scope: Literal["store", "tenant"] = "store") -> None:
        super().__init__(message)
        self.scope: Literal["store", "tenant"] = scope


class QueueFull(RanefError):
    """Too many fits are waiting or running already: of all tenants together, or of this one (`scope`)."""

    def __init__(self, message: str, scope: Literal["store", "tenant"] = "store") -> None:
        super().__init__(message)
        self.scope: Literal["store", "tenant"] = scope


class InvalidCursor(RanefError):
    """A cursor that no page of ours gave."""


Creation = tuple[FitRecord, bool] | StoreFull | QueueFull
"""What became of a fit that was to be added: the record that is there now and whether it is new, or why not."""


class Store(Protocol):
    """The state between the service and the workers; every method may raise StoreUnavailable."""

    def create(self, record: FitRecord, payload: bytes) -> tuple[FitRecord, bool]:
        """Add a queued fit unless its id exists; gives the record that is there now, and whether it is new.

        One that was cancelled, or failed for a passing reason, gives way to it.

        Raises StoreFull and QueueFull.
        """
        ...

    def create_many(self, fits: Sequence[tuple[FitRecord, bytes]]) -> tuple[Creation, ...]:
        """Add many fits in few exchanges, each as `create` does; what it would raise is given in its place."""
        ...

    def get(self, fit_id: str, tenant: str | None = None) -> FitRecord | None:
        """Give a fit's record; None if there is none (any more), or if it is not that tenant's.

        Whose it is is found out where it lies, so that it takes no longer to be refused one that exists.
        """
        ...

    def get_many(self, fit_ids: Sequence[str]) -> dict[str, FitRecord]:
        """Give the records of those of many fits that are there, in one exchange."""
        ...

    def gone(self, fit_id: str, tenant: str) -> bool:
        """Tell whether the tenant had this fit until it expired or was deleted (known for a day)."""
        ...

    def payload(self, fit_id: str) -> bytes | None:
        """Give what `create` was given; failed and cancelled fits have none."""
        ...

    def artifact(self, fit_id: str, name: str) -> bytes | None:
        """Give a published artifact by its name: `posterior`, `summary`."""
        ...

    def artifacts(self, fit_ids: Sequence[str], name: str) -> dict[str, bytes]:
        """Give a small artifact of many fits, `summary`, of those that have it, in few exchanges."""
        ...

    def list(
        self,
        tenant: str,
        *,
        limit: int = 20,
        cursor: str | None = None,
        status: FitStatus | None = None,
        metadata: Mapping[str, str] = NO_METADATA,
    ) -> Page:
        """Give a page of the tenant's fits, newest first, of this status and with all of these metadata.

        No more than `scan_limit` fits are looked at, so a page may be short, and even empty, and not the last.

        Raises InvalidCursor.
        """
        ...

    def extend(self, record: FitRecord) -> None:
        """Let a successful fit live for its full time from now, unless that was done of late."""
        ...

    def delete(self, fit_id: str) -> bool:
        """Remove a fit with all its data, whatever its status; its worker loses the claim."""
        ...

    def delete_many(self, fit_ids: Sequence[str], tenant: str) -> None:
        """Do what `delete` does for many fits of a tenant, in few exchanges."""
        ...

    def request_cancel(self, fit_id: str) -> FitRecord | None:
        """Cancel a queued fit at once and ask a running one to stop; an ended one stays as it is."""
        ...

    def cancel_many(self, fit_ids: Sequence[str], tenant: str) -> None:
        """Do what `request_cancel` does for many fits of a tenant, in few exchanges."""
        ...

    def claim(self, fit_id: str, worker: str, lease_seconds: float) -> Claim | None:
        """Take a fit that is queued, or whose worker's lease is dead; None if it is not ours to run.

        After `max_attempts` workers in a row that died and had saved nothing new the fit is failed with kind
        `worker_lost`.
        """
        ...

    def take(self, fit_id: str, queue: str, worker: str, lease_seconds: float) -> Claim | None:
        """Take a fit in exchange for a message of a queue that names one; None if none is to be run.

        One whose worker died is taken itself. Otherwise a message stands for a place in the queue, whoever sent it: of
        the tenants with fits that wait there the one whose last turn is longest ago has its oldest taken. A fit that
        was handed back for being slow is taken once it is the oldest of all.
        """
        ...

    def renew(self, claim: Claim, lease_seconds: float) -> Lease:
        """Prolong a lease; also a dead one, as long as nobody else has claimed the fit."""
        ...

    def progress(self, claim: Claim, progress: Progress) -> Lease:
        """Note how far the fit is; one event each `event_interval` seconds, or a new phase."""
        ...

    def save_checkpoint(self, claim: Claim, data: bytes) -> bool:
        """Keep what another worker needs to go on with the fit, in place of what was kept; False if the claim is lost.

        It lives for `checkpoint_ttl` seconds, and never longer than the fit runs. Raises StoreFull.
        """
        ...

    def checkpoint(self, claim: Claim) -> bytes | None:
        """Give what was kept last, by this worker or by one before it; None if nothing was or the claim is lost."""
        ...

    def hand_back(self, claim: Claim, *, slow: bool = False) -> FitRecord | None:
        """Give up a claim of one's own accord: the fit waits in its queue again, and the attempt does not count.

        One that is slow waits in the queue `batch`, behind all that wait there now.
        What was saved of it stays until it has ended. Gives the record if it now needs a message in the queue; None if
        the claim is lost, or the fit was to be cancelled and now is.
        """
        ...

    def finish(self, claim: Claim, result: Result, artifacts: Mapping[str, bytes]) -> bool:
        """Publish a success with its artifacts, all at once; False if the claim is lost."""
        ...

    def fail(self, claim: Claim, failure: Failure) -> bool:
        """Publish a failure; False if the claim is lost."""
        ...

    def cancelled(
        self, claim: Claim, result: Result | None = None, artifacts: Mapping[str, bytes] | None = None
    ) -> bool:
        """Publish a cancellation, with the draws so far when there are any; False if the claim is lost."""
        ...

    def events(self, fit_id: str, after: str | None = None) -> tuple[Event, ...]:
        """Give a fit's events in order, those after an event's id only."""
        ...

    def follow(self, after: Mapping[str, str], wait_seconds: float) -> dict[str, tuple[Event, ...]]:
        """Wait for new events of many fits at once, by fit id; `after` gives each fit's last seen event's id.

        `"0"` is before the first event. Empty if nothing happened in `wait_seconds`.
        """
        ...

    def beat(self, worker: WorkerState, ttl: float) -> None:
        """Say that a worker is alive for `ttl` seconds more."""
        ...

    def workers(self) -> tuple[WorkerState, ...]:
        """Give the workers that are alive, by id."""
        ...

    def queues(self) -> Mapping[str, QueueState]:
        """Tell what waits, by queue."""
        ...

    def outcomes(self) -> Mapping[tuple[str, str], int]:
        """Count the fits that have ended, by status and method; what is deleted or expired still counts."""
        ...

    def lead(self, worker: str, ttl: float) -> bool:
        """Become or stay, for `ttl` seconds, the one worker that reconciles; False while another is."""
        ...

    def overdue(self, limit: int = 100) -> tuple[str, ...]:
        """Give ids of fits that nobody has claimed for `queue_grace` seconds, or whose lease is dead."""
        ...

    def recover(self, fit_id: str) -> FitRecord | None:
        """Put an overdue fit right: queued once more, or ended if it was cancelled or has had its attempts.

        Gives the record if it now waits in the queue and needs a message there, else None.
        """
        ...

    def ping(self) -> None:
        """Return if the store answers and takes changes, be it full or not."""
        ...
