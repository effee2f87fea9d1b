"""What is known about a fit, and the one table of how its status may change.

All values are frozen; times are unix seconds (UTC) by the store's clock, durations are seconds.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

QUEUES = ("interactive", "batch")


class FitStatus(StrEnum):
    """Where a fit is in its life."""

    QUEUED = "queued"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def terminal(self) -> bool:
        """Whether the fit has ended and can change no more."""
        return not TRANSITIONS[self]


TRANSITIONS: Mapping[FitStatus, frozenset[FitStatus]] = {
    # queued -> failed: the third worker in a row died without getting further. running -> queued: a worker died, or
    # handed the fit back, and another may try.
    FitStatus.QUEUED: frozenset({FitStatus.RUNNING, FitStatus.CANCELLED, FitStatus.FAILED}),
    FitStatus.RUNNING: frozenset(
        {
            FitStatus.RUNNING,
            FitStatus.QUEUED,
            FitStatus.CANCELLING,
            FitStatus.SUCCEEDED,
            FitStatus.FAILED,
            FitStatus.CANCELLED,
        }
    ),
    FitStatus.CANCELLING: frozenset({FitStatus.CANCELLED, FitStatus.SUCCEEDED, FitStatus.FAILED}),
    FitStatus.SUCCEEDED: frozenset(),
    FitStatus.FAILED: frozenset(),
    FitStatus.CANCELLED: frozenset(),
}


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a running fit is: the share in [0, 1] of its sampler's work that is done, and the seconds that are left.

    Either is None where it is not known.
    """

    phase: str
    fraction: float | None = None
    eta_seconds: float | None = None
    draws: int = 0
    divergences: int = 0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a fit failed: `kind` is `invalid_model` or one of PASSING_FAILURES."""

    kind: str
    title: str
    detail: str
    issues: tuple[dict[str, Any], ...] = ()


WORKER_LOST = Failure(
    kind="worker_lost",
    title="The fit was given up",
    detail=(
        "The processes that ran this fit died several times in a row without getting any further; most often the"
        " model needs more memory."
    ),
)


# Failures that say nothing of the request: another try may end otherwise.
PASSING_FAILURES = frozenset({"worker_lost", "timeout", "internal", "store_full"})


@dataclass(frozen=True, slots=True)
class FitRecord:
    """Everything about a fit but its data and its draws."""

    id: str
    tenant: str
    formula: str
    family: dict[str, str]
    rows: int
    dropped_rows: int = 0
    status: FitStatus = FitStatus.QUEUED
    queue: str = "interactive"
    attempt: int = 0
    method: str | None = None
    method_reason: str | None = None
    created_at: float = 0.0
    started_at: float | None = None
    finished_at: float | None = None
    expires_at: float | None = None
    progress: Progress | None = None
    timing: dict[str, float] = field(default_factory=dict)
    warnings: tuple[dict[str, Any], ...] = ()
    failure: Failure | None = None
    metadata: dict[str, str] = field(default_factory=dict)

    @property
    def runs_anew(self) -> bool:
        """Whether the same request, made again, is fitted again instead of being given this end."""
        if self.status is FitStatus.FAILED and self.failure is not None:
            return self.failure.kind in PASSING_FAILURES
        return self.status is FitStatus.CANCELLED


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to run a fit: only with the current `fence` can it be published; `waited` is in seconds."""

    fit_id: str
    tenant: str
    worker: str
    fence: str
    attempt: int
    waited: float
    resumes: bool = False
    """Whether a worker before this one has saved how far it came."""
    deferred: bool = False
    """Whether it was handed back for being slow, and has let others go first."""


@dataclass(frozen=True, slots=True)
class Lease:
    """The answer to a holder of a claim: is it still held, and has someone asked to cancel."""

    held: bool
    cancel: bool


@dataclass(frozen=True, slots=True)
class Result:
    """What a successful (or cancelled, with draws) fit adds to its record."""

    method: str
    method_reason: str
    timing: dict[str, float] = field(default_factory=dict)
    warnings: tuple[dict[str, Any], ...] = ()


@dataclass(frozen=True, slots=True)
class Event:
    """One entry of a fit's history; `id` orders events and is what a reader resumes after."""

    id: str
    kind: str  # "status" or "progress"
    at: float
    status: FitStatus
    progress: Progress | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Some records of a tenant, newest first, and where the next page starts (None: there is none)."""

    records: tuple[FitRecord, ...]
    next_cursor: str | None


@dataclass(frozen=True, slots=True)
class WorkerState:
    """What a sampling process says of itself: `warm` once the common programs are compiled."""

    id: str
    warm: bool
    busy: bool
    fit_id: str | None = None
    peak_memory_bytes: int = 0
    # Of the fits since it began: those that found their programs compiled, those that did not, and the
    # seconds spent sampling.
    compile_hits: int = 0
    compile_misses: int = 0
    sampling_seconds: float = 0.0
    # What a fit of each method spends in the compiler, of the methods that were compiled there.
    compile_seconds: dict[str, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class QueueState:
    """How many fits wait in a queue, and for how many seconds the first of them has."""

    depth: int
    age: float
