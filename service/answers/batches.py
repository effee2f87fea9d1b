"""Batches."""

from typing import Literal

from pydantic import Field

from service.answers.common import Answer, Problem


class RejectedMember(Answer):
    """A member of a batch that was refused."""

    index: int
    """The position of the member in the request, from 0."""
    custom_id: str
    """The name that the request gives the member; its index if it gives none."""
    problem: Problem
    """Why the member was refused."""


class Batch(Answer):
    """Many fits that were submitted together."""

    id: str = Field(examples=["bat_mfrggzdfmztwq2lknnwg23tpob"])
    """The id of the batch, by which it is looked at, followed and cancelled."""
    status: Literal["running", "ended"]
    """`running` until the last member has ended, then `ended`."""
    members: int
    """How many members the batch has, refused ones included."""
    counts: dict[str, int]
    """How many members have each status of a fit; `rejected` counts those that were refused, `gone` those
    whose fit was deleted."""
    fraction: float
    """The share of the members that have ended, from 0 to 1."""
    rejected: list[RejectedMember]
    """The first 20 members that were refused; the results of the batch have all of them."""
    created_at: str
    """When the batch was submitted (RFC 3339, UTC)."""
    expires_at: str
    """When the batch is removed (RFC 3339, UTC)."""
    links: dict[str, str]
    """Addresses of the batch and of what belongs to it, by name: `self`, `results`, `cancel`,
    `callbacks`."""


class BatchList(Answer):
    """A page of batches."""

    items: list[Batch]
    """The batches of this page, the newest first."""
    next_cursor: str | None
    """The `cursor` of the next page; null on the last page."""
