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
    divergences: int


class Fit(Answer):
    """A fit: the resource, and the operation that makes it."""

    id: str = Field(examples=["fit_mfrggzdfmztwq2lknnwg23tpob"])
    status: FitStatus
    formula: str
    """The formula in canonical form."""
    family: FamilyAnswer
    rows: int
    dropped_rows: int
    method: str | None
    method_reason: str | None
    created_at: str
    started_at: str | None
    finished_at: str | None
    expires_at: str | None
    progress: ProgressAnswer | None
    timing: dict[str, float]
    """Seconds by phase."""
    warnings: list[Notice]
    failure: Problem | None
    metadata: dict[str, str]
    links: dict[str, str]


class FitList(Answer):
    """A page of fits."""

    items: list[Fit]
    next_cursor: str | None


class EventAnswer(Answer):
    """One entry of a fit's history."""

    id: str
    kind: Literal["status", "progress"]
    at: str
    status: FitStatus
    progress: ProgressAnswer | None


class EventList(Answer):
    """The history of a fit so far."""

    items: list[EventAnswer]
