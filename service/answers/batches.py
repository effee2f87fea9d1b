"""Batches."""

from typing import Literal

from pydantic import Field

from service.answers.common import Answer, Problem


class RejectedMember(Answer):
    """A member of a batch that was refused."""

    index: int
    custom_id: str
    problem: Problem


class Batch(Answer):
    """Many fits that were submitted together."""

    id: str = Field(examples=["bat_mfrggzdfmztwq2lknnwg23tpob"])
    status: Literal["running", "ended"]
    members: int
    counts: dict[str, int]
    """Members by the status of their fit; `rejected` if it was refused, `gone` if it was deleted."""
    fraction: float
    """Of the members that have ended."""
    rejected: list[RejectedMember]
    """The first 20; the results have all."""
    created_at: str
    expires_at: str
    links: dict[str, str]


class BatchList(Answer):
    """A page of batches."""

    items: list[Batch]
    next_cursor: str | None
