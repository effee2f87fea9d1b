"""What the answers of several resources share."""

from typing import Literal

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """A part of an answer."""

    model_config = ConfigDict(extra="forbid", use_attribute_docstrings=True)


class ProblemError(Answer):
    """One thing that is wrong, and where."""

    code: str
    """A stable code of what is wrong; `/problems/{code}` explains it."""
    message: str
    """What is wrong, in a sentence for people."""
    pointer: str | None = None
    """A JSON pointer (RFC 6901) to the place in the request; left out if it has none."""
    position: int | None = None
    """The offset in characters into the formula, from 0; left out if the error has no place in one."""
    column: str | None = None
    """The column of the data that is meant; left out if none is."""


class Problem(Answer):
    """What went wrong (RFC 9457)."""

    type: str
    """The address of a page about this type of problem; its last part is a stable code."""
    title: str
    """The type of problem in a few words."""
    status: int
    """The HTTP status of the answer."""
    detail: str
    """What went wrong this time, in a sentence for people."""
    errors: list[ProblemError] = []
    """What is wrong in detail: at most 20 entries."""
    errors_total: int = 0
    """How many entries there would be in all."""
    request_id: str | None = None
    """The id of the request, which is in the log too; left out where a fit tells why it failed."""


class Notice(Answer):
    """A structured warning."""

    code: str
    """A stable code of the warning."""
    message: str
    """What is doubtful, in a sentence for people."""
    severity: Literal["info", "warning", "serious"]
    """`info` is worth knowing, `warning` may matter, `serious` means that the result should not be relied
    on as it is."""
    parameters: list[str] = []
    """The names of the parameters that it concerns."""
    advice: str | None = None
    """What to do about it; null if there is nothing to advise."""


class FamilyAnswer(Answer):
    """The distribution of the response."""

    name: str
    """The name of the family."""
    link: str
    """The name of the link function."""


class Estimate(Answer):
    """A posterior quantity; what cannot be computed is null."""

    mean: float | None
    """The posterior mean."""
    sd: float | None
    """The posterior standard deviation."""
    median: float | None
    """The posterior median."""
    lower: float | None
    """The lower end of the central interval whose probability is `prob`."""
    upper: float | None
    """The upper end of the central interval whose probability is `prob`."""
    mcse_mean: float | None
    """The Monte Carlo standard error of the mean."""
    ess_bulk: float | None
    """The effective sample size in the bulk of the distribution."""
    ess_tail: float | None
    """The effective sample size in its tails."""
    r_hat: float | None
    """The rank-normalized split R-hat; draws with one above 1.01 should not be relied on."""
