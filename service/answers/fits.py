"""Fits, and their histories."""

from typing import Literal

from pydantic import Field

from service.answers.common import Answer, FamilyAnswer, Notice, Problem
from store.records import FitStatus


class ProgressAnswer(Answer):
    """How far a running fit is."""

    phase: str = Field(examples=["preparing", "compiling", "warmup", "sampling", "summarizing"])
    """What the worker does: `compiling` only while it waits for the compiler."""
    fraction: float | None
    """The share of the sampler's work that is done: 0 while the fit is prepared and compiled, and null there if it may
    go on where another worker left it. It goes back only where a sampler gave up and another one began."""
    eta_seconds: float | None
    """Seconds until the fit ends: by the pace of the sampler once it moves, never by that of the compiler; before, by
    what compiling took this worker before and by the estimate of sampling that the check of the model gives."""
    draws: int
    """How many draws after warm-up there are, of all chains together."""
    divergences: int
    """How many of them came after a divergent transition; always 0 for the collapsed method."""


class Fit(Answer):
    """A fit: the resource, and the operation that makes it."""

    id: str = Field(examples=["fit_mfrggzdfmztwq2lknnwg23tpob"])
    """The id of the fit: a hash of all that determines its result."""
    status: FitStatus
    """`queued`, `running` or `cancelling`; `succeeded`, `failed` and `cancelled` are final."""
    formula: str
    """The formula in canonical form."""
    family: FamilyAnswer
    """The family of the response, and its link function."""
    rows: int
    """How many rows are fitted."""
    dropped_rows: int
    """How many rows were left out since values are missing."""
    method: str | None
    """The method of sampling, `collapsed` or `nuts`; null until it is known."""
    method_reason: str | None
    """Why this method is used, in a sentence; null until it is known."""
    created_at: str
    """When the fit was submitted (RFC 3339, UTC)."""
    started_at: str | None
    """When a worker began with it (RFC 3339, UTC); null before."""
    finished_at: str | None
    """When it ended (RFC 3339, UTC); null before."""
    expires_at: str | None
    """When it is removed (RFC 3339, UTC); null until it has ended. Reading a result puts it off."""
    progress: ProgressAnswer | None
    """How far it is; null unless it is running."""
    timing: dict[str, float]
    """How long each phase took, in seconds."""
    warnings: list[Notice]
    """What is doubtful about the fit; a fit with warnings has succeeded all the same."""
    failure: Problem | None
    """Why the fit failed; null unless it has."""
    metadata: dict[str, str]
    """The words of your own that were sent with the request."""
    links: dict[str, str]
    """Addresses of the fit and of what it has, by name."""


class FitList(Answer):
    """A page of fits."""

    items: list[Fit]
    """The fits of this page, the newest first."""
    next_cursor: str | None
    """The `cursor` of the next page; null on the last page."""


class EventAnswer(Answer):
    """One entry of a fit's history."""

    id: str
    """The id of the event, for `Last-Event-ID`."""
    kind: Literal["status", "progress"]
    """`status` if the status has changed, else `progress`."""
    at: str
    """When it happened (RFC 3339, UTC)."""
    status: FitStatus
    """The status of the fit from then on."""
    progress: ProgressAnswer | None
    """How far the fit was; null unless the event tells of progress."""


class EventList(Answer):
    """The history of a fit so far."""

    items: list[EventAnswer]
    """The events, the oldest first."""
