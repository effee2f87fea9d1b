"""The shapes of answers: callbacks."""

from typing import Literal

from pydantic import Field

from service.answers.common import Answer
from store.callbacks import CallbackState


class CallbackAnswer(Answer):
    """A message that is or was to be sent."""

    id: str = Field(examples=["msg_9c1b42e0d8f74a6b9a6b1f0c2d3e4f5a"])
    """The id of the message: the header `webhook-id` of every attempt to deliver it."""
    url: str
    """The address that the message goes to."""
    events: list[str]
    """The kinds of event that the message is sent for."""
    state: CallbackState
    """`waiting` until the fit or batch ends; `pending` when the message is due, or is to be tried again;
    `delivered` or `failed` in the end; `skipped` if it ended in a way that was not asked for."""
    event: Literal["fit.succeeded", "fit.failed", "fit.cancelled", "batch.ended"] | None
    """The event that the message tells of; null until it has happened."""
    created_at: str
    """When the callback was registered (RFC 3339, UTC)."""
    happened_at: str | None
    """When the event happened (RFC 3339, UTC); null until then."""
    attempts: int
    """How many times delivery was attempted."""
    attempted_at: str | None
    """When delivery was last attempted (RFC 3339, UTC); null before the first attempt."""
    next_attempt_at: str | None
    """When delivery is attempted next (RFC 3339, UTC); null if it is not."""
    status: int | None
    """The HTTP status of the receiver's answer to the last attempt; null if there was none."""
    error: str | None
    """Why the last attempt got no answer; null if it got one."""


class CallbackList(Answer):
    """The callbacks of a fit or a batch, the oldest first."""

    items: list[CallbackAnswer]
    """The callbacks, the oldest first."""


class CallbackSubject(Answer):
    """A fit or a batch that has ended."""

    id: str = Field(examples=["fit_mfrggzdfmztwq2lknnwg23tpob"])
    """The id of the fit or batch."""
    status: Literal["succeeded", "failed", "cancelled", "ended"]
    """The status that it ended with; `ended` for a batch."""
    links: dict[str, str]
    """Addresses of the fit or batch, by name."""


class CallbackMessage(Answer):
    """The body of a callback."""

    type: Literal["fit.succeeded", "fit.failed", "fit.cancelled", "batch.ended"]
    """The event that has happened."""
    timestamp: str
    """When it happened (RFC 3339, UTC)."""
    data: CallbackSubject
    """The fit or batch that has ended."""
