"""Requests for callbacks: where a message is sent to, and about what."""

from typing import Annotated, Literal

from pydantic import AfterValidator, Field
from pydantic_core import PydanticCustomError

from service.requests.common import Strict
from store.callbacks import FIT_EVENTS

_URL = Field(max_length=2000, examples=["https://example.org/fit-ended?run=17"])
FitEvent = Literal["fit.succeeded", "fit.failed", "fit.cancelled"]


def _once_each(events: tuple[FitEvent, ...]) -> tuple[FitEvent, ...]:
    if not events:
        raise PydanticCustomError("no_event", "There is no event to be told of")
    return tuple(dict.fromkeys(sorted(events, key=FIT_EVENTS.index)))


class FitCallback(Strict):
    """A signed message to be sent when the fit has ended (Standard Webhooks); it is no part of the fit's identity."""

    url: str = _URL
    """The address that the message goes to; it must be public and use https, unless the service is set up
    otherwise."""
    events: Annotated[tuple[FitEvent, ...], AfterValidator(_once_each)] = Field(
        default=("fit.succeeded", "fit.failed", "fit.cancelled"),
        strict=False,
        json_schema_extra={"minItems": 1},
    )
    """The ends that are told; if it is left out, all of them."""


class BatchCallback(Strict):
    """A signed message (`batch.ended`) to be sent when the last fit of the batch has ended."""

    url: str = _URL
    """The address that the message goes to; it must be public and use https, unless the service is set up
    otherwise."""
