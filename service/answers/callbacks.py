"""The shapes of answers: callbacks."""

from typing import Literal

from pydantic import Field

from service.answers.common import Answer
from store.callbacks import CallbackState


class CallbackAnswer(Answer):
    """A message that is or was to be sent."""

    id: str = Field(examples=["msg_9c1b42e0d8f74a6b9a6b1f0c2d3e4f5a"])
    """The header `webhook-id` of every attempt."""
    url: str
    events: list[str]
    state: CallbackState
    """`waiting` for the end; `pending`: due, or to be tried again; `skipped`: it ended in a way not asked for."""
    event: Literal["fit.succeeded", "fit.failed", "fit.cancelled", "batch.ended"] | None
    """What is told, once it is known."""
    created_at: str
    happened_at: str | None
    attempts: int
    attempted_at: str | None
    next_attempt_at: str | None
    status: int | None
    """Of the answer to the last attempt."""
    error: str | None
    """Why the last attempt had no answer."""


class CallbackList(Answer):
    """The callbacks of a fit or a batch, the oldest first."""

    items: list[CallbackAnswer]


class CallbackSubject(Answer):
    """A fit or a batch that has ended."""

    id: str = Field(examples=["fit_mfrggzdfmztwq2lknnwg23tpob"])
    status: Literal["succeeded", "failed", "cancelled", "ended"]
    links: dict[str, str]


class CallbackMessage(Answer):
    """The body of a callback."""

    type: Literal["fit.succeeded", "fit.failed", "fit.cancelled", "batch.ended"]
    timestamp: str
    """When it happened (RFC 3339)."""
    data: CallbackSubject
