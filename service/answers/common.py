"""What the answers of several resources share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ProblemError(Answer):
    """One thing that is wrong, and where."""

    code: str
    message: str
    pointer: str | None = None
    """JSON pointer (RFC 6901) into the request."""
    position: int | None = None
    """Offset in characters into the formula, from 0."""
    column: str | None = None


class Problem(Answer):
    """What went wrong (RFC 9457)."""

    type: str
    """Address of a page about this type of problem."""
    title: str
    status: int
    detail: str
    errors: list[ProblemError] = []
    """At most 20 of them."""
    errors_total: int = 0
    request_id: str | None = None


class Notice(Answer):
    """A structured warning."""

    code: str
    message: str
    severity: Literal["info", "warning", "serious"]
    parameters: list[str] = []
    advice: str | None = None


class FamilyAnswer(Answer):
    """The distribution of the response."""

    name: str
    link: str


class Estimate(Answer):
    """A posterior quantity; what cannot be computed is null."""

    mean: float | None
    sd: float | None
    median: float | None
    lower: float | None
    upper: float | None
    mcse_mean: float | None
    ess_bulk: float | None
    ess_tail: float | None
    r_hat: float | None
